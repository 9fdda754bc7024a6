"""What a client wishes, in whichever API, to requests that a worker can paint: resolved, checked, frozen.

Everything that can be refused is refused here, before the queue: what the language does not allow, models
that are not there, settings that a model does not have, and more work than a user may ask for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pictura.api.access.accounts import Who
from pictura.api.access.policy import Policy
from pictura.api.asking.models import Models
from pictura.api.asking.shown import Shown, weighed
from pictura.api.asking.uploads import Upload
from pictura.api.config import Limits
from pictura.core.errors import BudgetError, ConfigError
from pictura.jobs.values import JobRequest
from pictura.prompt.grammar import MAX_JOBS, parse
from pictura.prompt.meaning import choices as meant
from pictura.prompt.meaning import jobs
from pictura.prompt.meaning import strength as meant_strength
from pictura.prompt.request import ParsedPrompt, Part
from pictura.sample.ode import check_solver
from pictura.sample.randomness import draw_seed
from pictura.sample.request import check_numbers, check_prompt, choose
from pictura.sample.sizes import DEFAULT_SIZE, check_size
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.store.student import draft_steps

_ASIDE = (
    *("num_images", "first", "seed", "size", "enlarge", "read_as", "candidates", "noise_level"),
    *("typed", "resolved"),
)
"""Choices that say nothing about how the model paints."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A request as it came; None where the client said nothing."""

    prompt: str
    language: bool = True
    """Whether the prompt is in the prompt language, or words and nothing else."""
    no: tuple[str, ...] = ()
    """What shall not be seen, beside what the prompt says."""
    model: str | None = None
    foreign_names: bool = False
    """Whether OpenAI's names of models count."""
    num_images: int = 4
    seed: int | None = None
    size: tuple[int, int] | None = None
    enlarge: str | None = None
    """`learnt` or `lanczos`."""
    as_written: bool = False
    """Whether words that the model does not know stay as they are."""
    num_steps: int | None = None
    guidance_scale: float | None = None
    solver: str | None = None
    temperature: float | None = None
    top_k: int | None = None
    candidates: int | None = None
    strength: float | None = None
    tile: bool = False
    raw: bool = False
    quality: float | None = None
    upload: Upload | None = None
    """A picture to begin with."""
    noise_level: float | None = None
    """How much of it is given up, 0.02 to 1."""
    shown: Shown | None = None
    """A picture that the prompt is about."""
    num_previews: int = 2
    via: str = "api"
    """Which API it came by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """Requests for the queue, and what their user should know."""

    requests: list[JobRequest]
    warnings: list[str]


def resolve(wish: Wish, who: Who, models: Models, policy: Policy, *, max_jobs: int = MAX_JOBS) -> Resolved:
    """Make requests of a wish.

    Args:
        wish: what came.
        who: asks.
        models: that there are.
        policy: of the studio.
        max_jobs: most jobs that the prompt may ask for.

    Raises:
        PicturaError: something of it cannot be done or is not allowed.
    """
    requests, warnings = list[JobRequest](), list[str]()
    for prompt in _read(wish, max_jobs):
        for warning in policy.check(part.text for part in prompt.parts if part.weight > 0):
            if warning not in warnings:
                warnings.append(warning)
        requests += _jobs(wish, prompt, who, models, warnings, metadata=policy.metadata)
    return Resolved(requests=requests, warnings=warnings)


def _read(wish: Wish, max_jobs: int) -> list[ParsedPrompt]:
    if wish.language:
        prompts = parse(wish.prompt, max_jobs=max_jobs)
    else:
        check_prompt(wish.prompt)
        prompts = [ParsedPrompt((Part(" ".join(wish.prompt.split())),), typed=wish.prompt)]
    return [_with(wish, prompt) for prompt in prompts]


def _with(wish: Wish, prompt: ParsedPrompt) -> ParsedPrompt:
    """A prompt with what the client chose beside it."""
    given = prompt.parameters
    more: dict[str, Any] = {
        "seed": wish.seed,
        "quality": wish.quality,
        "tile": wish.tile or None,
        "raw": wish.raw or None,
    }
    chosen = {name: value for name, value in more.items() if value is not None}
    for name, value in chosen.items():
        in_prompt = getattr(given, name)
        if in_prompt not in (None, False, value):
            raise ConfigError(
                f"--{name} {in_prompt} stands in the prompt and {name} {value} beside it; give one."
            )
    if wish.size is not None and given.aspect is not None:
        raise ConfigError("--ar stands in the prompt and a size beside it; give one.")
    if wish.model is not None and given.model is not None and given.model != wish.model:
        raise ConfigError("--model stands in the prompt and another model beside it; give one.")
    no = given.no + tuple(item for item in wish.no if item not in given.no)
    return replace(prompt, parameters=replace(given, no=no, **chosen))


def _jobs(
    wish: Wish, prompt: ParsedPrompt, who: Who, models: Models, warnings: Sequence[str], *, metadata: bool
) -> list[JobRequest]:
    if prompt.parameters.model is not None:
        model = models.find(prompt.parameters.model)
    else:
        model = models.find(wish.model or "default", foreign=wish.foreign_names)
    asked = meant_strength(prompt, model) if wish.strength is None else wish.strength
    strength = AS_LEARNT if asked is None else asked
    wished: dict[str, Any] = {
        "num_images": wish.num_images,
        "size": wish.size,
        "enlarge": wish.enlarge,
        "read_as": [] if wish.as_written else None,
        "num_steps": wish.num_steps,
        "guidance_scale": wish.guidance_scale,
        "solver": wish.solver,
        "temperature": wish.temperature,
        "top_k": wish.top_k,
        "candidates": wish.candidates,
        "noise_level": wish.noise_level,
    }
    chosen = {name: value for name, value in wished.items() if value is not None}
    found = list[JobRequest]()
    for one in jobs(prompt):
        choices: dict[str, Any] = {"seed": draw_seed(), **meant(one, model), **chosen}
        if "size" in choices:
            choices["size"] = list(choices["size"])
        elif wish.shown:
            choices["size"] = list(wish.shown.size)
        _check(choices, one, model, strength, wish.upload)
        check_budget(choices, model, who.limits)
        request = {
            "prompt": one.words,
            "typed": wish.prompt,
            "model": model.path.name,
            "choices": choices,
            "strength": strength,
            "num_previews": wish.num_previews,
            "metadata": metadata,
            "warnings": list(warnings),
            "via": wish.via,
        }
        if wish.shown and (action := weighed(wish.shown, one, model)):
            found.append(wish.shown.asked(request, action, num_images=wish.num_images))
            continue
        weighed(None, one, model)
        uploads = wish.upload.pictures() if wish.upload else {}
        found.append(JobRequest(num_images=wish.num_images, request=request, uploads=uploads))
    return found


def _check(
    choices: dict[str, Any], prompt: ParsedPrompt, model: ModelInfo, strength: float, upload: Upload | None
) -> None:
    """What painting would refuse, as far as it can be told without the networks."""
    check_prompt(prompt.words)
    check_numbers(choices["num_images"], choices.get("candidates"))
    check_size(tuple(choices.get("size") or DEFAULT_SIZE))
    picture = {"image": upload} if upload else {}
    if "solver" in choices:
        check_solver(choices["solver"])
    choose(model, {name: value for name, value in choices.items() if name not in _ASIDE} | picture)
    model.check_strength(strength)


def check_budget(choices: Mapping[str, Any], model: ModelInfo, limits: Limits) -> None:
    """Refuse more work than a user may ask for at once.

    Raises:
        BudgetError: it is more.
    """
    width, height = choices.get("size") or DEFAULT_SIZE
    painted = max(choices["num_images"], choices.get("candidates") or 0)
    usual = draft_steps(model) if choices.get("student") else model.sampling.num_steps
    steps = choices.get("num_steps") or usual
    asked = (
        (painted, limits.images_a_job, "pictures in one job"),
        (width * height, limits.pixels, "pixels in a picture"),
        (steps, limits.steps, "steps for a picture"),
    )
    for value, limit, what in asked:
        if limit is not None and value > limit:
            raise BudgetError(
                f"{value:,} {what} are more than the {limit:,} that you may ask for. Ask for fewer."
            )
