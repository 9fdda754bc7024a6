"""From an action and the pictures that it begins with to the way of network calls that does it."""

from collections.abc import Mapping
from typing import Any, Protocol, Unpack

from PIL import Image

from pictura.actions.enlarging import Enlarged
from pictura.actions.imagining import Blended, Prompted, Varied
from pictura.actions.renoising import OnCanvas, Renoised, mean_of
from pictura.core.errors import ConfigError
from pictura.pipeline import Painter, Picture
from pictura.sample.calls import Way
from pictura.sample.canvas import Canvas, masked, panned, squared, zoomed
from pictura.sample.request import Choices


class Work(Protocol):
    """Something that is made of given pictures."""

    @property
    def together(self) -> bool:
        """Whether all its pictures are painted side by side, because they share some work."""
        ...

    def making(self, painter: Painter, prompt: str, **choices: Unpack[Choices]) -> Way[list[Picture]]:
        """The way to its pictures; arguments and errors are those of `Painter.making`."""
        ...


def work(action: Mapping[str, Any], pictures: Mapping[str, Image.Image]) -> Work:
    """What does an action.

    Args:
        action: with numbers, as `strengths.resolved` gives it.
        pictures: ``image``, and ``mask`` of ``region``; of ``blend`` ``image_0``, ``image_1`` …

    Raises:
        ConfigError: there is no such action, or it takes another picture.
        SizeError: a picture has another size than it needs.
    """
    name = action["action"]
    if name == "blend":
        given = [pictures[f"image_{i}"] for i in range(sum(key.startswith("image_") for key in pictures))]
        if "noise_level" in action:
            return Renoised(image=mean_of(given), action=action)
        return Blended(images=given, action=action)
    image = pictures["image"]
    match name:
        case "upscale":
            return Enlarged(image=image, action=action)
        case "zoom" | "pan" | "square" | "region":
            return OnCanvas(canvas=canvas_of(action, image, pictures.get("mask")), action=action)
        case "vary" | "remix" | "image_prompt" if "noise_level" in action:
            return Renoised(image=image, action=action)
        case "vary":
            return Varied(image=image, action=action)
        case "remix" | "image_prompt":
            return Prompted(image=image, action=action)
        case _:
            raise ConfigError(f"No action is named {name!r}.")


def canvas_of(action: Mapping[str, Any], image: Image.Image, mask: Image.Image | None) -> Canvas:
    """The canvas that an action paints on.

    Raises:
        ConfigError: a number of it is out of range, or the mask is missing or dark.
        SizeError: a size is out of range.
    """
    match action["action"]:
        case "zoom":
            return zoomed(image, action["factor"])
        case "pan":
            return panned(image, action["direction"])
        case "square":
            return squared(image)
    if mask is None:
        raise ConfigError("To vary a region takes a mask: white where it shall be painted anew.")
    return masked(image, mask)
