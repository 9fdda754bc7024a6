"""Pictures that are made of a picture and something else: other pictures, or words beside it."""

from collections.abc import Mapping

from nicegui.events import GenericEventArguments

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.rooms.acting import prompt_field
from pictura.web.rooms.coming import Coming
from pictura.web.told import Image

_NUM_OFFERED = 25
_MOST = 4
"""Pictures beside the one that is looked at; five are blended at most."""
WEIGHTS: Mapping[str, str] = {"0.5": "a little", "1": "as much as the words", "2": "more", "3": "most"}
_JS_VALUE = "(event) => emit(event.target.value)"


class Prompted:
    """Words that the picture is sent with: something new in its likeness."""

    def __init__(self, here: Here, image: Image, coming: Coming) -> None:
        """Draw it, folded."""
        self._here, self._image, self._coming = here, image, coming
        self._words, self._weight = image.prompt, "1"
        with Tag("details", classes="fold", id="prompted"):
            Tag("summary", "Paint with it: something new in its likeness")
            with Tag("div", classes="stack"):
                prompt_field("Words", self._words).on("input", self._typed, js_handler=_JS_VALUE)
                with Tag("label", classes="row"):
                    Tag("span", "The picture counts", "small soft")
                    with Tag("select", classes="select", aria_label="How much the picture counts") as weights:
                        for value, said in WEIGHTS.items():
                            chosen = True if value == self._weight else None
                            Tag("option", said, value=value, selected=chosen)
                weights.on("change", self._weighed, js_handler=_JS_VALUE)
                self._trouble = parts.Trouble()
                with Tag("div", classes="row"):
                    parts.button("Paint with it", self._paint)

    def _typed(self, event: GenericEventArguments) -> None:
        self._words = str(event.args)

    def _weighed(self, event: GenericEventArguments) -> None:
        self._weight = str(event.args)

    async def _paint(self) -> None:
        with self._here.telling(self._trouble):
            prompt = f"{self._words} --iw {self._weight}"
            for job in await self._here.api.submit(prompt, image_id=self._image.id):
                self._coming.add(job, "Painted with it")


class Blend:
    """Other pictures of one's own to choose from; what is between them is painted."""

    def __init__(self, here: Here, image: Image, coming: Coming) -> None:
        """Draw it, folded; the others are asked for when it is opened."""
        self._here, self._image, self._coming = here, image, coming
        self._chosen: list[str] = []
        self._is_filled = False
        with Tag("details", classes="fold", id="blend") as fold:
            Tag("summary", "Blend it with others")
            with Tag("div", classes="stack"):
                self._others = Tag(
                    "div", classes="offered", role="group", aria_label="Pictures to blend with"
                )
                self._trouble = parts.Trouble()
                with Tag("div", classes="row"):
                    self._send = parts.button("Blend", self._blend, disabled=True)
        fold.on("toggle", self._fill, args=[])

    async def _fill(self) -> None:
        if self._is_filled:
            return
        self._is_filled = True
        with self._here.telling(self._trouble):
            page = await self._here.api.images(limit=_NUM_OFFERED)
            with self._others:
                for image in page.items:
                    if image.id != self._image.id:
                        self._offer(image)

    def _offer(self, image: Image) -> None:
        def turn() -> None:
            if image.id in self._chosen:
                self._chosen.remove(image.id)
            elif len(self._chosen) < _MOST:
                self._chosen.append(image.id)
            button.put(aria_pressed="true" if image.id in self._chosen else "false")
            self._send.put(disabled=None if self._chosen else True)

        button = Tag("button", classes="offer", type="button", aria_pressed="false", title=image.prompt)
        button.put(aria_label=f"Picture {image.index + 1}: {image.prompt}")
        with button:
            Tag("img", src=parts.thumb(image.id), alt="", loading="lazy")
        button.on("click", turn, args=[])

    async def _blend(self) -> None:
        with self._here.telling(self._trouble):
            for job in await self._here.api.blend([self._image.id, *self._chosen]):
                self._coming.add(job, "Blended")
