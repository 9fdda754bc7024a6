"""What is done with a picture, made into a job: by which model, by which prompt, on which canvas.

The picture's own model does it if its way of painting can, else the default one, which the job's user is
told. Pictures are named in the request, not held by it (`jobs.sources`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image as Pixels

from pictura.actions.enlarging import LANCZOS, LEARNT, enlarged_size, learner
from pictura.actions.making import canvas_of
from pictura.actions.strengths import can, resolved
from pictura.api.access.accounts import Who
from pictura.api.access.policy import Policy
from pictura.api.asking.models import Models
from pictura.api.asking.shown import shaped
from pictura.api.asking.uploads import as_png, from_base64
from pictura.api.asking.wishes import Wish, resolve
from pictura.core.errors import ConfigError, PicturaError
from pictura.jobs.values import JobRequest
from pictura.prompt.grammar import parse
from pictura.prompt.parameters import Parameters
from pictura.prompt.printing import to_text
from pictura.prompt.request import MAX_PARTS, ParsedPrompt, Part
from pictura.sample.randomness import draw_seed
from pictura.store.models import ModelInfo
from pictura.store.tables import Image

UNKNOWN = "picture"
"""The prompt of a picture that says none."""
_CANVASES = ("zoom", "pan", "square", "region")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where requests are made: who asks, with which models, under which policy."""

    who: Who
    models: Models
    policy: Policy
    max_pixels: int
    """Of pictures that are sent."""


def act(place: Place, image: Image, asked: Mapping[str, Any]) -> JobRequest:
    """The job that does an action.

    Args:
        place: where it is asked for.
        image: the picture that it begins with.
        asked: the action's name and what it takes, as `schemas.actions` have it.

    Raises:
        PicturaError: something of it cannot be done or is not allowed.
    """
    name = asked["action"]
    if name == "upscale":
        return _upscale(place, image, asked)
    model, warnings = _painter(place.models, [image], name)
    mask = from_base64(asked["mask"], "mask", place.max_pixels) if "mask" in asked else None
    said = {key: asked[key] for key in ("action", "strength", "factor", "direction") if key in asked}
    size = shaped((image.width, image.height))
    if name in _CANVASES:
        blank = Pixels.new("RGB", (image.width, image.height))
        canvas = canvas_of(asked, blank, mask)
        size, mask = canvas.size, canvas.mask
    prompt = asked.get("prompt")
    action = resolved(said, model, new_prompt=prompt is not None) | _whence([image])
    strength = None if prompt else _strength(image, model)
    wish = _wish(asked, prompt or own_text([image], model), model, size, strength)
    uploads = {"mask": as_png(mask)} if name == "region" and mask else {}
    return _job(place, wish, action, [image], warnings, uploads)


def blend(place: Place, images: Sequence[Image], asked: Mapping[str, Any]) -> JobRequest:
    """The job that blends pictures; arguments and errors are those of `act`."""
    if asked.get("model") is not None:
        model, warnings = place.models.find(asked["model"]), list[str]()
    else:
        model, warnings = _painter(place.models, images, "blend")
    prompt = asked.get("prompt")
    action = resolved({"action": "blend", "prompted": prompt is not None}, model) | _whence(images)
    size = shaped((images[0].width, images[0].height))
    wish = _wish(asked, prompt or own_text(images, model), model, size)
    return _job(place, wish, action, images, warnings, {})


def own_text(images: Sequence[Image], model: ModelInfo) -> str:
    """The prompts of pictures as one text in the language, without what is decided anew.

    Several become parts of equal weight for a painter by steps, and one line for others.
    """
    prompts = [_own(image, model) for image in images]
    if len(prompts) == 1:
        return to_text(prompts[0])
    words = list(dict.fromkeys(prompt.words for prompt in prompts))
    if model.by_imagination or len(words) == 1:
        return to_text(ParsedPrompt((Part(", ".join(words)),)))
    return to_text(ParsedPrompt(tuple(Part(text) for text in words[:MAX_PARTS])))


def _own(image: Image, model: ModelInfo) -> ParsedPrompt:
    """The prompt of a picture; its seed, shape and haste are not those of what is made of it."""
    settings = image.details.get("settings", {})
    words = " ".join(str(image.details.get("prompt", "")).split()) or UNKNOWN
    plain = ParsedPrompt((Part(words),))
    same = image.details.get("model_hash") == model.hash
    if not same or "resolved" not in settings:
        return plain
    try:
        (prompt,) = parse(str(settings["resolved"]), max_jobs=1)
    except (PicturaError, ValueError):  # of an older language
        return plain
    given = prompt.parameters
    kept = Parameters(no=given.no, stylize=given.stylize, weird=given.weird, raw=given.raw)
    return replace(prompt, parameters=kept)


def _painter(models: Models, images: Sequence[Image], action: str) -> tuple[ModelInfo, list[str]]:
    """Who does it, and what to tell where it is not the model that painted the first picture."""
    painters = models.painters()
    own = next((one for one in painters if one.hash == images[0].details.get("model_hash")), None)
    if action == "blend":
        # What is between pictures is a thing of vectors: who imagines goes first.
        others = [one for one in painters if one.by_imagination]
        own = own if (own and own.by_imagination) or not others else others[0]
    if own is not None and can(own, action):
        return own, []
    default = models.find("default")
    if own is None:
        told = f"The model {images[0].details.get('model', '')!r} that painted the picture is not here"
    else:
        told = f"The model {own.path.name!r} cannot do {action}"
    return default, [f"{told}; {default.path.name!r} does it."]


def _upscale(place: Place, image: Image, asked: Mapping[str, Any]) -> JobRequest:
    size, details = enlarged_size((image.width, image.height), asked["factor"]), image.details
    limit = place.who.limits.pixels
    if limit is not None and math.prod(size) > limit:
        raise ConfigError(f"{size[0]}x{size[1]} has more than the {limit:,} pixels that you may ask for.")
    learnt = learner(place.models.painters())
    painter = learnt or place.models.find("default")
    said = {name: value for name, value in details.items() if name not in ("notices", "origin")}
    action = {
        "action": "upscale",
        "factor": asked["factor"],
        "by": LEARNT if learnt else LANCZOS,
        **_whence([image]),
        "said": said,
    }
    seed = asked.get("seed")
    request = {
        "prompt": str(details.get("prompt", "")) or UNKNOWN,
        "model": str(details.get("model", painter.path.name)),
        "painter": painter.path.name,
        "choices": {"num_images": 1, "size": list(size), "seed": draw_seed() if seed is None else seed},
        "num_previews": 0,
        "metadata": place.policy.metadata,
        "warnings": [],
        "via": "api",
        "action": action,
        "pictures": {"image": image.path},
    }
    return JobRequest(
        num_images=1, kind="upscale", parent_id=image.job_id, source_image_id=image.id, request=request
    )


def _strength(image: Image, model: ModelInfo) -> float | None:
    """At which the picture was painted, if by that model."""
    same = image.details.get("model_hash") == model.hash
    return image.details.get("settings", {}).get("strength") if same else None


def _wish(
    asked: Mapping[str, Any],
    text: str,
    model: ModelInfo,
    size: tuple[int, int],
    strength: float | None = None,
) -> Wish:
    return Wish(
        prompt=text,
        model=model.path.name,
        num_images=asked.get("num_images", 4),
        seed=asked.get("seed"),
        size=size,
        strength=strength,
    )


def _job(
    place: Place,
    wish: Wish,
    action: Mapping[str, Any],
    images: Sequence[Image],
    warnings: Sequence[str],
    uploads: Mapping[str, bytes],
) -> JobRequest:
    (made,) = resolve(wish, place.who, place.models, place.policy, max_jobs=1).requests
    names = ["image"] if len(images) == 1 else [f"image_{i}" for i in range(len(images))]
    request = {
        **made.request,
        "action": dict(action),
        "pictures": {name: image.path for name, image in zip(names, images, strict=True)},
        "warnings": [*warnings, *made.request["warnings"]],
    }
    return replace(
        made,
        kind=str(action["action"]),
        parent_id=images[0].job_id,
        source_image_id=images[0].id,
        request=request,
        uploads=uploads,
    )


def _whence(images: Sequence[Image]) -> dict[str, Any]:
    return {"of": [image.id for image in images], "parent_id": images[0].job_id}
