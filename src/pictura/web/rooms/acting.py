"""What can be made of a picture: variations, larger ones, other frames, other words, one region anew."""

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui.events import GenericEventArguments

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.rooms.coming import Coming
from pictura.web.told import Image
from pictura.web.widgets.mask import Mask

_ARROWS = ("left", "up", "down", "right")
_JS_VALUE = "(event) => emit(event.target.value)"
Press = Callable[[], Awaitable[None]]


class Acting:
    """The buttons beside a picture, and the two that open a place of their own: remix and region."""

    def __init__(self, here: Here, image: Image, coming: Coming) -> None:
        """Draw them.

        Args:
            here: the page they stand on.
            image: that is acted upon.
            coming: where jobs that were asked for are shown.
        """
        self._here, self._image, self._coming = here, image, coming
        with Tag("section", classes="acting", aria_label="Make of it"):
            with Tag("div", classes="act-groups"):
                with _group("Vary"):
                    self._act("Subtle", "vary", "Varied", strength="subtle", says="Vary subtly")
                    self._act("Strong", "vary", "Varied", strength="strong", says="Vary strongly")
                with _group("Upscale"):
                    self._act("2x", "upscale", "Upscaled", factor=2, says="Upscale to 2x")
                    self._act("4x", "upscale", "Upscaled", factor=4, says="Upscale to 4x")
                with _group("Zoom out"):
                    self._act("1.5x", "zoom", "Zoomed out", factor=1.5, says="Zoom out 1.5x")
                    self._act("2x", "zoom", "Zoomed out", factor=2, says="Zoom out 2x")
                with _group("Pan"):
                    for way in _ARROWS:
                        pan = self._press("pan", "Panned", direction=way)
                        parts.button(f"Pan {way}", pan, icon=f"arrow-{way}", hide_label=True)
                with _group("Frame"):
                    self._act("Make square", "square", "Made square", says="Make square")
                with _group("Anew"):
                    parts.button("Reroll", self._reroll, icon="again")
            self._trouble = parts.Trouble()

    async def ask(self, action: str, title: str, trouble: parts.Trouble, **more: Any) -> bool:
        """Ask for something; True if it will be done."""
        with self._here.telling(trouble):
            for job in await self._here.api.act(self._image.id, action, **more):
                self._coming.add(job, title)
            return True
        return False

    def _act(self, label: str, action: str, title: str, *, says: str, **more: Any) -> None:
        parts.button(label, self._press(action, title, **more), aria_label=says)

    def _press(self, action: str, title: str, **more: Any) -> Press:
        async def press() -> None:
            await self.ask(action, title, self._trouble, **more)

        return press

    async def _reroll(self) -> None:
        with self._here.telling(self._trouble):
            for job in await self._here.api.reroll(self._image.job_id):
                self._coming.add(job, "Rerolled")


class Remix:
    """The prompt, to be changed, and how far the picture may go from itself."""

    def __init__(self, acting: Acting, image: Image) -> None:
        """Draw it."""
        self._acting = acting
        self._prompt = image.prompt
        with Tag("details", classes="fold", id="remix"):
            Tag("summary", "Remix: the same picture by other words")
            with Tag("div", classes="stack"):
                words = prompt_field("Prompt", self._prompt)
                words.on("input", self._typed, js_handler=_JS_VALUE)
                self._trouble = parts.Trouble()
                with Tag("div", classes="row"):
                    parts.button("Remix subtly", self._press("subtle"))
                    parts.button("Remix strongly", self._press("strong"))

    def _typed(self, event: GenericEventArguments) -> None:
        self._prompt = str(event.args)

    def _press(self, strength: str) -> Press:
        async def press() -> None:
            more = {"strength": strength, "prompt": self._prompt}
            await self._acting.ask("remix", "Remixed", self._trouble, **more)

        return press


class Region:
    """The picture under a brush: what is painted comes anew."""

    def __init__(self, acting: Acting, image: Image, place: Tag, figure: Tag) -> None:
        """Make it, closed.

        Args:
            acting: that asks for it.
            image: that is painted on.
            place: where it is drawn when it is opened.
            figure: what it stands in the place of meanwhile.
        """
        self._acting, self._image, self._place, self._figure = acting, image, place, figure
        self._prompt = ""

    def open(self) -> None:
        """Draw it."""
        self._figure.put(hidden=True)
        self._place.clear()
        with self._place, Tag("section", classes="region", aria_label="Vary a region"):
            Tag("p", "Paint over what shall come anew. The rest stays as it is.", "soft")
            self._mask = Mask(
                parts.file(self._image.id), (self._image.width, self._image.height), self._painted
            )
            words = prompt_field("What shall be there (empty: as the whole picture)", "", rows=2)
            words.on("input", self._typed, js_handler=_JS_VALUE)
            self._trouble = parts.Trouble()
            with Tag("div", classes="row"):
                self._send = parts.button(
                    "Paint it anew", self._sent, icon="brush", kind="main", disabled=True
                )
                parts.button("Close", self.close, kind="quiet")

    def close(self) -> None:
        """Show the picture again."""
        self._place.clear()
        self._figure.put(hidden=None)

    def _painted(self, share: float) -> None:
        self._send.put(disabled=None if share else True)

    def _typed(self, event: GenericEventArguments) -> None:
        self._prompt = str(event.args)

    async def _sent(self) -> None:
        mask = await self._mask.png()
        more = {"mask": mask, "prompt": self._prompt.strip() or None}
        if await self._acting.ask("region", "Region varied", self._trouble, **more):
            self.close()


def prompt_field(label: str, value: str, rows: int = 3) -> Tag:
    """A field for a prompt under its label."""
    with Tag("label"):
        Tag("span", label, "label")
        more = {"rows": rows, "spellcheck": "false", "maxlength": 8192, "aria_label": label}
        return Tag("textarea", value, "field", **more)


def _group(name: str) -> Tag:
    found = Tag("div", classes="act-group", role="group", aria_label=name)
    with found:
        Tag("span", name, "act-name")
    return found
