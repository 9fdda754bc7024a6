"""Actions of painters by steps: a picture goes part of the way back to noise, and the prompt paints it anew.

Source  Meng et al. 2022, SDEdit (arXiv:2108.01073); under a mask as in `sample/from_picture.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from PIL import Image

from pictura.core import images
from pictura.pipeline import Painter, Picture
from pictura.sample.calls import Way
from pictura.sample.canvas import Canvas
from pictura.sample.request import Choices

_LEAST_NOISE = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Renoised:
    """A picture that is painted anew from some noise on, as `vary`, `remix`, `blend` and image prompts do."""

    image: Image.Image
    action: Mapping[str, Any]
    """With its ``noise_level``."""
    together: bool = False

    def making(self, painter: Painter, prompt: str, **choices: Unpack[Choices]) -> Way[list[Picture]]:
        """See `making.Work`."""
        level = max(_LEAST_NOISE, self.action["noise_level"])
        way = painter.making(prompt, **{**choices, "image": self.image, "noise_level": level})
        return finished(way, lambda one: told(one, self.action))


@dataclass(frozen=True, kw_only=True, slots=True)
class OnCanvas:
    """A canvas whose new places are painted."""

    canvas: Canvas
    action: Mapping[str, Any]
    """With its ``noise_level``."""
    together: bool = False

    def making(self, painter: Painter, prompt: str, **choices: Unpack[Choices]) -> Way[list[Picture]]:
        """See `making.Work`; sizes are the canvas's own."""
        image, mask = self.canvas.seen
        given: Choices = {
            **choices,
            "image": image,
            "mask": mask,
            "noise_level": self.action["noise_level"],
            "size": image.size,
        }
        return finished(painter.making(prompt, **given), self._pasted)

    def _pasted(self, one: Picture) -> Picture:
        whole = replace(one, image=self.canvas.finished(one.image))
        return told(whole, self.action, size=list(self.canvas.size), scaling="pasted")


def finished(way: Way[list[Picture]], each: Callable[[Picture], Picture]) -> Way[list[Picture]]:
    """The same way, with something done to each picture at its end."""
    pictures = yield from way
    return [each(one) for one in pictures]


def told(picture: Picture, action: Mapping[str, Any], **more: Any) -> Picture:
    """A picture that says by which action it was made."""
    made = {"command": action["action"], **action}
    del made["action"]
    return replace(picture, settings={**picture.settings, **more, "made_by": made})


def mean_of(given: Sequence[Image.Image]) -> Image.Image:
    """The mean of pictures, each scaled to the size of the first."""
    same = [one.convert("RGBA").resize(given[0].size, Image.Resampling.LANCZOS) for one in given]
    mean = images.from_pil(same).mean(axis=0, keepdims=True, dtype=np.float32)
    return images.to_pil(mean)[0]
