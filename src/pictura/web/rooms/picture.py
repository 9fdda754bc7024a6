"""The page of one picture: large, with how it was painted, its family, and all that can be made of it."""

import datetime
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from nicegui import background_tasks, ui

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.rooms.acting import Acting, Region, Remix
from pictura.web.rooms.coming import Coming
from pictura.web.rooms.family import Family, origin, title
from pictura.web.rooms.mixing import Blend, Prompted
from pictura.web.told import Image, Job
from pictura.web.wire import ApiError

_HIDDEN = frozenset(
    ("typed", "resolved", "device", "size", "painted_size", "scaling", "num_images", "made_by")
)
"""Settings that are told elsewhere, or to nobody's use."""
_LONGEST = 40
"""Letters of a value without blanks; of longer ones, which are hashes, the beginning is shown."""


async def show(here: Here, image_id: str) -> None:
    """Build the page."""
    try:
        image = await here.api.image(image_id)
    except ApiError as error:
        if error.http_status != 404:
            raise
        parts.empty(
            "There is no such picture", "It was never there, is somebody else's, or was deleted for good."
        )
        with Tag("p", classes="center"):
            parts.link("To the gallery", "/gallery", icon="grid", kind="main")
        return
    await _Picture(here, image, await _job(here, image)).build()
    background_tasks.create(_seen(here, image))


async def _job(here: Here, image: Image) -> Job | None:
    """The picture's job; None where it is somebody else's."""
    try:
        return await here.api.job(image.job_id)
    except ApiError as error:
        if error.http_status == 404:
            return None
        raise


async def _seen(here: Here, image: Image) -> None:
    """Remember that it was looked at: what is seen and let be says something too."""
    try:
        await here.api.rate("view", image.id, "gallery")
    except ApiError:
        return  # nobody waits for it


class _Picture:
    """One visit to one picture."""

    def __init__(self, here: Here, image: Image, job: Job | None) -> None:
        self._here, self._image, self._job = here, image, job

    async def build(self) -> None:
        image = self._image
        with Tag("article", classes="picture"):
            with Tag("div", classes="picture-left"):
                self._place = Tag("div")
                shape = f"--shape: {image.width / image.height:.4f}"
                with Tag("figure", classes="picture-figure", style=shape) as self._figure:
                    Tag(
                        "img",
                        src=parts.file(image.id),
                        alt=image.prompt,
                        width=image.width,
                        height=image.height,
                    )
            with Tag("div", classes="picture-right"):
                self._head()
                self._trouble = parts.Trouble()
                self._gone()
                coming_place = Tag("div")
                with coming_place:
                    self._coming = Coming(self._here, self._came)
                self._acting_place = Tag("div", classes="stack")
                with self._acting_place:
                    self._acts()
                self._details()
        with Tag("section", classes="picture-family", aria_label="Family"):
            Tag("h2", "Family")
            others = [one for one in self._job.images if one.deleted_at is None] if self._job else []
            self._family = Family(self._here, image, others)
        with self._here.telling(self._trouble):
            await self._family.draw()

    def _head(self) -> None:
        image = self._image
        Tag("h1", image.prompt, "picture-prompt")
        with Tag("div", classes="picture-tools"):
            self._heart = parts.button("Like", self._like, icon="heart", aria_pressed=_said(image.liked))
            parts.link("Download", f"{parts.file(image.id)}?download=1", icon="download", download=True)
            parts.link("Use prompt", f"/?prompt={quote(image.prompt)}", icon="text")
            parts.button("Copy prompt", self._copier(image.prompt), icon="copy")
            if self._job is not None:
                self._shown = parts.button("", self._show, icon="eye")
                self._tell_shown()
                parts.button("Delete", self._delete, icon="trash", kind="danger")

    def _gone(self) -> None:
        """What stands there while it is deleted."""
        self._gone_line = Tag("div", classes="gone-line", role="status")
        with self._gone_line:
            Tag("span", "This picture is deleted; it can be restored for 30 days.")
            parts.button("Restore", self._restore, icon="undo")
        self._tell_gone()

    def _acts(self) -> None:
        acting = Acting(self._here, self._image, self._coming)
        region = Region(acting, self._image, self._place, self._figure)
        with Tag("div", classes="picture-pair"):
            parts.button("Vary a region", region.open, icon="brush")
            parts.button("Describe", self._describe, icon="text")
        self._captions = Tag("div", classes="captions-place", role="status")
        with Tag("div", classes="folds"):
            Remix(acting, self._image)
            Prompted(self._here, self._image, self._coming)
            Blend(self._here, self._image, self._coming)
        if self._here.client.request.query_params.get("do") == "region":  # the feed and its lightbox ask so
            region.open()

    async def _describe(self) -> None:
        self._captions.clear()
        with self._captions:
            waiting = Tag("p", "Looking at it …", "soft")
        with self._here.telling(self._trouble):
            captions = await self._here.api.describe(self._image.id)
            self._captions.clear()
            with self._captions, Tag("ul", classes="captions", aria_label="What it shows"):
                for text, score in captions:
                    with Tag("li"):
                        Tag("span", text)
                        Tag("span", f"{score:.2f}", "soft numbers small", title="How well it fits")
                        parts.link("Use", f"/?prompt={quote(text)}", kind="quiet", aria_label=f"Use: {text}")
            return
        waiting.delete()

    def _details(self) -> None:
        facts = list(_facts(self._image))
        with Tag("section", classes="details", aria_label="How it was painted"):
            with Tag("div", classes="row details-head"):
                Tag("h2", "How it was painted")
                everything = json.dumps(dict(self._image.details), indent=1, ensure_ascii=False)
                parts.button("Copy all", self._copier(everything), icon="copy", kind="quiet")
            with Tag("dl", classes="facts wide numbers"):
                for name, value in facts:
                    with Tag("div"):
                        Tag("dt", name)
                        Tag("dd", value if len(value) <= _LONGEST or " " in value else f"{value[:12]}…")
                        parts.button(
                            f"Copy {name.lower()}",
                            self._copier(value),
                            icon="copy",
                            kind="quiet",
                            hide_label=True,
                        )
            for notice in self._image.details.get("notices") or []:
                Tag("p", str(notice), "soft small")

    async def _came(self, job: Job) -> None:
        await self._family.draw()

    async def _like(self) -> None:
        liked = not self._image.liked
        with self._here.telling(self._trouble):
            await self._here.api.rate("like" if liked else "unlike", self._image.id, "gallery")
            self._image = await self._here.api.image(self._image.id)
            self._heart.put(aria_pressed=_said(self._image.liked))

    async def _show(self) -> None:
        other = "private" if self._image.visibility == "public" else "public"
        with self._here.telling(self._trouble):
            self._image = await self._here.api.show(self._image.id, other)
            self._tell_shown()

    def _tell_shown(self) -> None:
        is_public = self._image.visibility == "public"
        self._shown.clear()
        with self._shown:
            parts.icon("eye")
            Tag("span", "Public" if is_public else "Private")
        self._shown.put(
            aria_pressed=_said(is_public), title="Who may see it: everybody of this studio, or you alone"
        )

    async def _delete(self) -> None:
        with self._here.telling(self._trouble):
            self._image = await self._here.api.delete(self._image.id)
            self._tell_gone()

    async def _restore(self) -> None:
        with self._here.telling(self._trouble):
            self._image = await self._here.api.restore(self._image.id)
            self._tell_gone()

    def _tell_gone(self) -> None:
        self._gone_line.put(hidden=True if self._image.deleted_at is None else None)

    def _copier(self, text: str) -> Any:
        def copy() -> None:
            ui.clipboard.write(text)
            self._here.toast("Copied.")

        return copy


def _facts(image: Image) -> Iterator[tuple[str, str]]:
    """How it was painted, as people read it."""
    settings = image.settings
    resolved = settings.get("resolved")
    if resolved and resolved != image.prompt:
        yield "Painted", str(resolved)
    if origin(image):
        yield "Made by", title(image)
    yield "Model", image.model
    yield "Seed", str(image.details.get("seed", ""))
    yield "Index", str(image.details.get("index", image.index))
    yield "Size", f"{image.width} x {image.height}"
    painted = settings.get("painted_size")
    if painted and list(painted) != [image.width, image.height]:
        yield "Painted size", f"{painted[0]} x {painted[1]}, scaled by {settings.get('scaling') or 'nothing'}"
    for name, value in settings.items():
        if name not in _HIDDEN and value is not None and value is not False:
            yield name.replace("_", " ").capitalize(), _text(value)
    yield "Model hash", str(image.details.get("model_hash", ""))
    yield "Pictura", str(image.details.get("version", ""))
    yield "When", f"{datetime.datetime.fromtimestamp(image.created_at, datetime.UTC):%d %b %Y, %H:%M} UTC"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _said(value: bool) -> str:
    return "true" if value else "false"
