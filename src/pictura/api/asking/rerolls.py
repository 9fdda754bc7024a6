"""The same request once more: with another seed, and another prompt where one is given."""

from collections.abc import Mapping
from typing import Any

from pictura.api.asking.actions import Place
from pictura.api.asking.wishes import Wish, check_budget, resolve
from pictura.core.errors import ConfigError
from pictura.jobs.talking import TALKS
from pictura.jobs.values import JobRequest
from pictura.prompt.grammar import parse
from pictura.sample.randomness import draw_seed
from pictura.store.tables import Job

_KEPT = (
    *("num_steps", "guidance_scale", "solver", "temperature", "top_k", "candidates", "noise_level"),
    "enlarge",
)
"""Choices that hold for another prompt too."""
_OF_ACTIONS = ("action", "pictures", "painter", "image", "mask")


def reroll(place: Place, job: Job, prompt: str | None) -> JobRequest:
    """The job that does it.

    Args:
        place: where it is asked for.
        job: that was done before.
        prompt: in the language; None keeps what the job painted.

    Raises:
        PicturaError: the job has no seed, or something cannot be done or is not allowed any more.
    """
    action = (job.request.get("action") or {}).get("action")
    if job.kind in TALKS or action == "upscale":
        raise ConfigError(f"A job that did {action or job.kind} has nothing left to chance; reroll another.")
    request = job.request if prompt is None else _reprompted(place, job, prompt)
    model = place.models.find(request.get("model", "default"))
    choices = {**request["choices"], "num_images": job.num_images, "seed": draw_seed()}
    check_budget(choices, model, place.who.limits)
    parts = choices.get("parts", [[request.get("prompt", ""), 1]])
    place.policy.check([text for text, share in parts if share > 0])
    return JobRequest(
        num_images=job.num_images,
        kind="reroll",
        parent_id=job.id,
        source_image_id=job.source_image_id,
        request={**request, "choices": choices},
    )


def _reprompted(place: Place, job: Job, prompt: str) -> Mapping[str, Any]:
    """The job's request with another prompt; what the prompt itself says goes before what was chosen."""
    asked, given = job.request, parse(prompt, max_jobs=1)[0].parameters
    kept = {name: value for name, value in asked["choices"].items() if name in _KEPT and value is not None}
    if given.draft or given.quality is not None:
        kept.pop("num_steps", None)
    size = asked["choices"].get("size")
    wish = Wish(
        prompt=prompt,
        model=given.model or asked.get("model"),
        num_images=job.num_images,
        as_written=asked["choices"].get("read_as") == [],
        size=None if size is None or given.aspect or given.draft else tuple(size),
        **{name: value for name, value in kept.items() if name != "noise_level"},
    )
    (made,) = resolve(wish, place.who, place.models, place.policy, max_jobs=1).requests
    carried = {name: asked[name] for name in _OF_ACTIONS if name in asked}
    noise = {name: kept[name] for name in ("noise_level",) if name in kept}
    return {**made.request, **carried, "choices": {**made.request["choices"], **noise}}
