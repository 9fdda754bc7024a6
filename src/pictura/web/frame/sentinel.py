"""The end of a list that is brought piece by piece."""

import asyncio
from collections.abc import Awaitable, Callable

from nicegui.element import Element

from pictura.web.frame.here import Here
from pictura.web.frame.parts import Trouble

REST_S = 2.0
"""After a piece that did not come."""


class Sentinel(Element, component="sentinel.js"):
    """Stands behind a list, and asks for more of it when its end comes near."""

    def __init__(
        self, here: Here, more: Callable[[], Awaitable[bool]], trouble: Trouble | None = None
    ) -> None:
        """Begin; the first piece may be there already.

        Args:
            here: the visit.
            more: brings the next piece; False when there is none.
            trouble: where it is said why none could be brought.
        """
        super().__init__()
        self._here, self._more, self._trouble = here, more, trouble
        self._busy = False
        self._props["round"] = 0
        self.on("near", self._bring, args=[])

    async def _bring(self) -> None:
        if self._busy:
            return
        self._busy = True
        there_is_more = None
        with self._here.telling(self._trouble):
            there_is_more = await self._more()
        if there_is_more is None:
            await asyncio.sleep(REST_S)
        self._busy = False
        if there_is_more is False:
            self.delete()
        elif not self.is_deleted:
            self._props["round"] += 1
            self.update()
