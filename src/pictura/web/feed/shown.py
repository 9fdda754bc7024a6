"""Jobs and pictures as the components of the feed take them: plain JSON, all texts ready."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pictura.web.frame import parts
from pictura.web.told import Image, Job

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "vary": "Variation",
        "remix": "Remix",
        "upscale": "Upscaled",
        "region": "Region changed",
        "zoom": "Zoomed out",
        "pan": "Panned",
        "square": "Made square",
        "blend": "Blend",
        "reroll": "Reroll",
    }
)
WORDLESS = frozenset(("describe", "shorten"))
"""Kinds of jobs that paint nothing."""


def job(one: Job, *, cancelling: bool = False) -> dict[str, Any]:
    """A job for a card."""
    ended = not one.is_pending
    failed = one.error.message if one.error and one.status in ("failed", "dead") else None
    return {
        "id": one.id,
        "status": one.status,
        "label": LABELS.get(one.kind, ""),
        "resolved": one.resolved or one.prompt,
        "model": one.model,
        "seed": one.seed,
        "num": one.num_images,
        "ratio": _ratio(one),
        "warnings": list(one.warnings),
        "error": failed,
        "position": one.position,
        "cancelling": cancelling or (one.cancel_asked and not ended),
        "gone": ended and not one.images,
        "images": [image(picture, one) for picture in one.images],
    }


def image(one: Image, of: Job) -> dict[str, Any]:
    """A picture for a card and for the lightbox."""
    return {
        "id": one.id,
        "job": one.job_id,
        "index": one.index,
        "w": one.width,
        "h": one.height,
        "liked": one.liked,
        "thumb": parts.thumb(one.id),
        "file": parts.file(one.id),
        "page": f"/picture/{one.id}",
        "prompt": of.resolved or of.prompt or one.prompt,
        "label": LABELS.get(of.kind, ""),
        "model": one.model or of.model,
        "seed": one.details.get("seed", of.seed),
        "notices": list(one.details.get("notices") or ()),
    }


def _ratio(one: Job) -> float:
    """Width by height of the pictures to come, as far as it is known."""
    size = one.choices.get("size")
    if isinstance(size, list | tuple) and len(size) == 2 and all(isinstance(side, int) for side in size):
        return float(size[0]) / max(1, size[1])
    return 1.0
