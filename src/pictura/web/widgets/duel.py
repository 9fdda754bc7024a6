"""Two pictures of one prompt side by side, of which one is chosen."""

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from pictura.web.told import Pair

Choose = Callable[[str, str, int], Awaitable[None]]


class Duel(Element, component="duel.js"):
    """The two; keys 1 and 2 choose, 0 and T tell a tie, space skips."""

    def __init__(self, pair: Pair, on_choose: Choose) -> None:
        """Show a pair.

        Args:
            pair: the first one.
            on_choose: called with the pair's token, ``left``, ``right``, ``tie`` or ``skip``, and the
                milliseconds that it took.
        """
        super().__init__()
        self._props["pair"] = _told(pair)

        async def choose(event: GenericEventArguments) -> None:
            await on_choose(str(event.args["token"]), str(event.args["choice"]), int(event.args["ms"]))

        self.on("choose", choose)

    def next(self, pair: Pair) -> None:
        """Show another pair."""
        self._props["pair"] = _told(pair)
        self.update()

    def again(self) -> None:
        """Let the same pair be chosen once more."""
        self.run_method("again")


def _told(pair: Pair) -> dict[str, Any]:
    return {
        "token": pair.token,
        "prompt": pair.prompt,
        "left": pair.left.id,
        "right": pair.right.id,
        "width": pair.left.width,
        "height": pair.left.height,
    }
