"""A picture to paint a mask on, in the browser: what is painted white comes anew."""

from collections.abc import Callable

from nicegui.element import Element
from nicegui.events import GenericEventArguments

_ANSWER_S = 10.0


class Mask(Element, component="mask.js"):
    """The canvas, its brush, and undo, clear and invert."""

    def __init__(self, src: str, size: tuple[int, int], on_change: Callable[[float], None]) -> None:
        """Show it.

        Args:
            src: address of the picture.
            size: of the picture, (width, height).
            on_change: called with the share of the picture that is painted, in [0, 1].
        """
        super().__init__()
        self._props |= {"src": src, "width": size[0], "height": size[1], "label": "Tools for the mask"}

        def tell(event: GenericEventArguments) -> None:
            on_change(float(event.args))

        self.on("painted", tell)

    async def png(self) -> str:
        """The mask as PNG in base64, as large as the picture."""
        return str(await self.run_method("png", timeout=_ANSWER_S))
