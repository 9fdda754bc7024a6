"""The bar in which a prompt is written."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from pictura.web.frame.here import NOBODY, Here
from pictura.web.told import Model, PromptTold
from pictura.web.wire import ApiError

Paint = Callable[[str], Awaitable[None]]


class PromptBar(Element, component="prompt.js"):
    """Takes a prompt, says what is wrong with it while it is typed, and hands it on."""

    def __init__(self, here: Here, models: Sequence[Model], paint: Paint, start: str = "") -> None:
        """Make it.

        Args:
            here: the visit.
            models: to choose from.
            paint: called with the prompt; what it raises as ApiError is said under the text.
            start: what stands in it at first.
        """
        super().__init__()
        self._here, self._paint = here, paint
        self._typed = ""
        self._props["start"] = start
        self._props["models"] = [{"name": one.name, "is_default": one.is_default} for one in models]
        self._props["told"] = None
        self._props["busy"] = False
        self._props["problem"] = ""
        self.on("typed", self._read)
        self.on("paint", self._send)

    def write(self, prompt: str) -> None:
        """Put another prompt into it."""
        self.run_method("write", prompt)

    async def _read(self, event: GenericEventArguments) -> None:
        """Tell what a text means; only the newest is waited for."""
        self._typed = text = str(event.args)
        self._props["problem"] = ""
        if not text.strip():
            self._tell(text, PromptTold(ok=True))
            return
        try:
            told = await self._here.api.parse(text)
        except ApiError as error:
            self._refuse(error)
            return
        if text == self._typed:
            self._tell(text, told)

    async def _send(self, event: GenericEventArguments) -> None:
        text = str(event.args)
        self._props.update(busy=True, problem="")
        self.update()
        try:
            await self._paint(text)
        except ApiError as error:
            self._refuse(error, text)
        self._props["busy"] = False
        self.update()

    def _tell(self, text: str, told: PromptTold) -> None:
        wrong = told.error
        mistake = wrong and {"message": wrong.message, "column": wrong.column, "found": wrong.found}
        self._props["told"] = {"text": text, "ok": told.ok, "error": mistake, "num_jobs": told.num_jobs}
        self.update()

    def _refuse(self, error: ApiError, text: str | None = None) -> None:
        """Say why; where the API names a column of the text, mark it."""
        if error.code == NOBODY:
            self._here.client.open("/login")
        elif text is not None and error.column is not None:
            mistake = {"message": error.sentence, "column": error.column, "found": None}
            self._props["told"] = {"text": text, "ok": False, "error": mistake, "num_jobs": 0}
        else:
            self._props["problem"] = error.sentence
        self.update()
