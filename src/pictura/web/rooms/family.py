"""Where a picture comes from and what came of it: parents above, its job's others beside, children below."""

from collections.abc import Mapping, Sequence
from typing import Any

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.told import Image
from pictura.web.wire import ApiError

ACTIONS: Mapping[str, str] = {
    "vary": "varied",
    "remix": "remixed",
    "region": "region varied",
    "upscale": "upscaled",
    "zoom": "zoomed out",
    "pan": "panned",
    "square": "made square",
    "reroll": "rerolled",
    "blend": "blended",
    "image_prompt": "painted with it",
    "imagine": "painted after it",
}
_MOST_PARENTS = 8
_MOST_CHILDREN = 60


class Family:
    """The family of one picture."""

    def __init__(self, here: Here, image: Image, others: Sequence[Image]) -> None:
        """Make it, empty.

        Args:
            here: the page it stands on.
            image: whose family it is.
            others: the pictures of its job, itself too.
        """
        self._here, self._image, self._others = here, image, others
        self._place = Tag("div", classes="family")

    async def draw(self) -> None:
        """Show the family as it is now."""
        parents = await self._parents()
        children = await self._children()
        self._place.clear()
        with self._place:
            if parents:
                _line("Comes from", parents)
            if len(self._others) > 1:
                _line("Painted together", self._others, self._image.id)
            for name, images in _grouped(children):
                _line(name, images)
            if not (parents or children or len(self._others) > 1):
                Tag("p", "Nothing came of it yet. What you make of it hangs here.", "soft")

    async def _parents(self) -> list[Image]:
        """From the oldest to the one before; where several were blended, the first one's line is followed."""
        found: list[Image] = []
        at = self._image
        while len(found) < _MOST_PARENTS:
            before = [await self._seen(one) for one in sources(at)]
            images = [one for one in before if one is not None and one.id not in {i.id for i in found}]
            if not images:
                break
            found = images + found
            at = images[0]
        return found

    async def _children(self) -> list[Image]:
        page = await self._here.api.images(parent=self._image.id, limit=_MOST_CHILDREN)
        return [one for one in page.items if one.id != self._image.id]

    async def _seen(self, image_id: str) -> Image | None:
        """A picture, if it may still be seen."""
        try:
            image = await self._here.api.image(image_id)
        except ApiError as error:
            if error.http_status == 404:
                return None
            raise
        return image if image.deleted_at is None else None


def origin(image: Image) -> Mapping[str, Any]:
    """What was done to make a picture of another."""
    found = image.details.get("origin")
    return found if isinstance(found, Mapping) else {}


def sources(image: Image) -> list[str]:
    """Ids of the pictures that it was made of."""
    return [str(one) for one in origin(image).get("source_image_ids") or []]


def _line(title: str, images: Sequence[Image], current: str | None = None) -> None:
    with Tag("section", classes="family-line", aria_label=title):
        Tag("h3", title)
        with Tag("ul", classes="family-tiles"):
            for image in images:
                with Tag("li"):
                    tile = parts.tile(image)
                    tile.put(aria_current="page" if image.id == current else None, title=image.prompt)


def _grouped(images: Sequence[Image]) -> list[tuple[str, list[Image]]]:
    """Pictures of one job under what was done, the newest job first."""
    jobs: dict[str, list[Image]] = {}
    for image in images:
        jobs.setdefault(image.job_id, []).append(image)
    return [(title(many[0]), many) for many in jobs.values()]


def title(image: Image) -> str:
    """What was done to make a picture, in words."""
    told = origin(image)
    action = str(told.get("action", "imagine"))
    more = told.get("strength") or told.get("direction") or told.get("factor")
    is_factor = isinstance(more, int | float)
    return ACTIONS.get(action, action).capitalize() + (
        f", {more:g}x" if is_factor else f", {more}" if more else ""
    )
