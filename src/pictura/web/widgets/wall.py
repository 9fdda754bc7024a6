"""A wall of pictures that grows when its end is seen, with what can be done to each."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from pictura.web.frame.parts import ICONS
from pictura.web.told import Image

Act = Callable[[str, dict[str, Any]], Awaitable[None]]
ACTS = ("like", "remove", "restore")


class Wall(Element, component="wall.js"):
    """The wall; arrow keys go from picture to picture."""

    def __init__(
        self,
        images: Sequence[Image],
        *,
        has_more: bool,
        is_mine: bool,
        on_more: Callable[[], Awaitable[None]],
        on_act: Act,
    ) -> None:
        """Show the first pictures.

        Args:
            images: the newest first.
            has_more: whether there are others behind them.
            is_mine: whether they may be liked and deleted.
            on_more: called when the end is seen; it calls `add`.
            on_act: called with one of `ACTS` and what is told with it, the picture's ``id`` above all.
        """
        super().__init__()
        self._is_mine = is_mine
        self._props |= {"first": self._told(images), "icons": ICONS, "open": has_more}
        self.on("more", lambda _: on_more())
        for act in ACTS:
            self.on(act, self._handler(act, on_act))

    def add(self, images: Sequence[Image], *, has_more: bool) -> None:
        """Append pictures."""
        self.run_method("add", self._told(images), has_more)

    def replace(self, images: Sequence[Image], *, has_more: bool, is_mine: bool) -> None:
        """Show other pictures."""
        self._is_mine = is_mine
        self.run_method("replace", self._told(images), has_more)

    def change(self, image_id: str, **values: Any) -> None:
        """Show that a picture is ``liked`` or ``deleted``, or not any more."""
        self.run_method("change", image_id, values)

    def _handler(self, act: str, on_act: Act) -> Callable[[GenericEventArguments], Awaitable[None]]:
        async def handle(event: GenericEventArguments) -> None:
            await on_act(act, dict(event.args))

        return handle

    def _told(self, images: Sequence[Image]) -> list[dict[str, Any]]:
        return [
            {
                "id": image.id,
                "prompt": image.prompt,
                "label": f"Picture {image.index + 1}: {image.prompt}",
                "width": image.width,
                "height": image.height,
                "liked": image.liked,
                "deleted": image.deleted_at is not None,
                "mine": self._is_mine,
                "at": image.created_at,
            }
            for image in images
        ]
