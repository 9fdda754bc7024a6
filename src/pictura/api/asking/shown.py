"""A picture that comes with a prompt: one of the studio, or one that is sent; and what `--iw` makes of it."""

import math
from dataclasses import dataclass
from typing import Any

from pictura.actions.strengths import resolved
from pictura.api.asking.uploads import from_base64, prepared
from pictura.core.errors import ConfigError
from pictura.jobs.values import JobRequest
from pictura.prompt.request import ParsedPrompt
from pictura.sample.sizes import DEFAULT_SIZE, MAX_RATIO, MIN_SIDE
from pictura.store.models import ModelInfo
from pictura.store.tables import Image

IW = 1.0
"""How much a picture weighs where nobody says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A picture beside a prompt."""

    size: tuple[int, int]
    """(width, height) of the pictures that are painted by it."""
    image: Image | None = None
    """Of the studio."""
    png: bytes | None = None
    """Or sent."""

    def asked(self, request: dict[str, Any], action: dict[str, Any], **more: Any) -> JobRequest:
        """The request of a job that begins with it."""
        if self.image is None:
            return JobRequest(
                request={**request, "action": action}, uploads={"image": self.png or b""}, **more
            )
        action = {**action, "of": [self.image.id], "parent_id": self.image.job_id}
        return JobRequest(
            request={**request, "action": action, "pictures": {"image": self.image.path}},
            parent_id=self.image.job_id,
            source_image_id=self.image.id,
            **more,
        )


def of_studio(image: Image) -> Shown:
    """A picture that was painted here."""
    return Shown(size=shaped((image.width, image.height)), image=image)


def sent(text: str, name: str, max_pixels: int) -> Shown:
    """A picture in base64.

    Raises:
        DataError: it is none, or none that is read.
        SizeError: its shape cannot be painted.
    """
    upload = prepared(from_base64(text, name, max_pixels), None, None)
    return Shown(size=shaped(upload.size), png=upload.image)


def weighed(shown: Shown | None, prompt: ParsedPrompt, model: ModelInfo) -> dict[str, Any] | None:
    """The action that paints a prompt with its picture; None where there is none.

    Raises:
        ConfigError: --iw without a picture, or a model that takes none.
    """
    iw = prompt.parameters.iw
    if shown is None:
        if iw is not None:
            raise ConfigError(f"--iw {iw:g} weighs a picture, but none came: send image_id or image with it.")
        return None
    return resolved({"action": "image_prompt", "iw": IW if iw is None else iw}, model)


def shaped(size: tuple[int, int]) -> tuple[int, int]:
    """The shape of a picture at the area that is painted, or its own size where that is smaller."""
    scale = min(1.0, math.sqrt(math.prod(DEFAULT_SIZE) / math.prod(size)))
    width, height = (max(MIN_SIDE, round(side * scale)) for side in size)
    longest = MAX_RATIO * min(width, height)
    return min(width, longest), min(height, longest)
