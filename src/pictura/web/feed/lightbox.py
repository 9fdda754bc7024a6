"""A picture seen large, one after another, with everything that can be done with it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

Shown = dict[str, Any]
"""A picture as `shown.image` makes it."""


class Lightbox(Element, component="lightbox.js"):
    """Lies over a page; opened with the pictures that one may go through."""

    def __init__(self, on_act: Callable[[str, Shown], Awaitable[None]]) -> None:
        """Make it, closed.

        Args:
            on_act: called with what shall be done and the picture: ``like``, ``vary``, ``reroll`` …, and
                ``view`` for each picture that was seen.
        """
        super().__init__()
        self._on_act = on_act
        self._props["items"] = []
        self._props["trouble"] = ""
        self._is_open = False
        self.on("act", self._acted)
        self.on("closed", self._closed, args=[])

    def open(self, pictures: Sequence[Shown], at: str) -> None:
        """Show pictures.

        Args:
            pictures: in the order in which arrows go through them.
            at: id of the first to be seen.
        """
        self._props["items"] = list(pictures)
        self._props["trouble"] = ""
        self._is_open = True
        self.update()
        self.run_method("open", at)

    def close(self) -> None:
        """Put it away."""
        if self._is_open:
            self.run_method("close")

    def add(self, pictures: Sequence[Shown]) -> None:
        """Go through these from now on, if it is open."""
        if self._is_open:
            self._props["items"] = list(pictures)
            self.update()

    def like(self, image_id: str, liked: bool) -> None:
        """Show whether a picture is liked."""
        for item in self._props["items"]:
            if item["id"] == image_id:
                item["liked"] = liked
        if self._is_open:
            self.update()

    def say(self, sentence: str) -> None:
        """Say what went wrong; an empty sentence takes that away."""
        if sentence != self._props["trouble"]:
            self._props["trouble"] = sentence
            self.update()

    async def _acted(self, event: GenericEventArguments) -> None:
        item = next((one for one in self._props["items"] if one["id"] == event.args["image"]), None)
        if item is not None:
            await self._on_act(str(event.args["what"]), item)

    def _closed(self) -> None:
        self._is_open = False
