"""What the parameters of a prompt ask of a model: a request that was read in, settings to paint by out.

    --ar        size: that shape at the area of 256 x 256; the network paints the nearest shape it learnt
    --quality   num_steps, times that
    --draft     half the side, by the model's student where it has one; else half the steps, but at least 4
    --stylize   strength: how much of what the model learnt on top of its base, 100 = as it learnt
    --raw       0.3 of that strength
    --iw        how much a picture beside the prompt weighs; whoever brings the picture asks for it
    --seed, --chaos, --weird, --tile, --stop, weights and --no go by these names (`sample.request.Choices`)

What a model's way of painting does not have is refused by the name that a person typed.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pictura.core.errors import ConfigError
from pictura.prompt.parameters import MAX_SEED, Parameters
from pictura.prompt.printing import to_text
from pictura.prompt.request import ParsedPrompt, Part
from pictura.store.models import AT_ONCE, AUTOREGRESSIVE, BY_IMAGINATION, ModelInfo, resolve
from pictura.store.student import draft_steps, student_of

SIDE = 256
"""Of a square picture, in pixels."""
RAW = 0.3
"""Of the strength, what --raw leaves."""
AS_LEARNT, MAX_STYLIZE, MAX_STRENGTH = 100, 1000, 200.0
_CLOSE = 0.1
"""How far a whole multiple of a shape may be from the area, to be taken for being exact."""
_TYPED = {"size": "--ar or --draft", "num_steps": "--quality or --draft", "parts": ":: or --no"}
"""Settings that are typed by other names."""
_WAYS = {
    AT_ONCE: "in one pass",
    AUTOREGRESSIVE: "token by token",
    BY_IMAGINATION: "by imagination",
}
"""Ways of painting that take none of what bends the way of a painter by steps."""


def choices(prompt: ParsedPrompt, model: ModelInfo) -> dict[str, Any]:
    """The settings that a prompt asks for, by the names of `sample.request.Choices`.

    Returns:
        What JSON can hold: lists, no tuples. `ParsedPrompt.words` is the prompt beside them. `typed` and
        `resolved`, for the metadata, are there unless the prompt is plain words.

    Raises:
        ConfigError: the model cannot do what a parameter asks for.
    """
    given = prompt.parameters
    _refuse(prompt, model)
    _check_model(given, model)
    found: dict[str, Any] = {
        "seed": given.seed,
        "size": list(pixels) if (pixels := size(given)) else None,
        **_work(given, model),
        "chaos": given.chaos,
        "weird": given.weird,
        "tile": given.tile or None,
        "stop": given.stop,
    }
    if len(shares := prompt.shares()) > 1:
        found["parts"] = [[text, share] for text, share in shares]
    if prompt != ParsedPrompt((Part(prompt.words),)) or prompt.typed.strip() not in ("", prompt.words):
        resolved = to_text(replace(prompt, parameters=replace(given, repeat=None)))
        found |= {"typed": prompt.typed or resolved, "resolved": resolved}
    return {name: value for name, value in found.items() if value is not None}


def strength(prompt: ParsedPrompt, model: ModelInfo) -> float | None:
    """The strength at which to load a model, in percent; None where the prompt says nothing of it.

    Raises:
        ConfigError: the model learnt nothing on top of a base, so that there is nothing to scale.
    """
    given = prompt.parameters
    if given.stylize is None and not given.raw:
        return None
    stylize = AS_LEARNT if given.stylize is None else given.stylize
    above = (stylize - AS_LEARNT) * (MAX_STRENGTH - AS_LEARNT) / (MAX_STYLIZE - AS_LEARNT)
    found = (stylize if stylize <= AS_LEARNT else AS_LEARNT + above) * (RAW if given.raw else 1.0)
    if found != AS_LEARNT and not model.deltas:
        names = " and ".join(["--stylize"] * (stylize != AS_LEARNT) + ["--raw"] * given.raw)
        raise ConfigError(
            f"{names}: the model {model.name!r} learnt nothing on top of its base that could be scaled. "
            "`pictura models` shows which did; leave it out for the others."
        )
    return float(found)


def size(given: Parameters) -> tuple[int, int] | None:
    """(width, height) of the pictures; None where a prompt says nothing of it.

    A shape's whole multiple is taken where one has nearly the area of 256 x 256, else whole pixels near it.
    """
    if given.aspect is None and not given.draft:
        return None
    side = SIDE // 2 if given.draft else SIDE
    width, height = given.aspect or (1, 1)
    common = math.gcd(width, height)
    width, height = width // common, height // common
    times = side / math.sqrt(width * height)
    if times >= 1 and abs(round(times) / times - 1) < _CLOSE:
        times = round(times)
    return max(1, round(width * times)), max(1, round(height * times))


def merged(
    prompt: ParsedPrompt, model: ModelInfo, loaded: float, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """What a prompt asks for and what is chosen beside it, together; and what the prompt was, for metadata.

    Args:
        prompt: of one job.
        model: that shall paint.
        loaded: the strength at which it was loaded.
        chosen: `sample.request.Choices`.

    Raises:
        ConfigError: both say the same thing, or the prompt asks for another model or strength, or for more
            than one job.
    """
    asked = choices(prompt, model)
    if prompt.parameters.iw is not None:
        raise ConfigError(
            f"--iw {prompt.parameters.iw:g} weighs a picture that is sent to the studio with the prompt; "
            "here give image and noise_level."
        )
    for name in (*asked, *(["num_steps"] if "student" in asked else [])):
        if chosen.get(name) is not None:
            typed = _TYPED.get(name, f"--{name}")
            raise ConfigError(
                f"{typed} in the prompt and {name} beside it say the same. Leave one of them out."
            )
    if (prompt.parameters.repeat or 1) > 1:
        raise ConfigError(
            f"--repeat {prompt.parameters.repeat} asks for so many jobs: paint each of pictura.prompt.jobs()."
        )
    wanted = strength(prompt, model)
    if wanted is not None and wanted != loaded:
        raise ConfigError(
            f"--stylize and --raw ask for strength {wanted:g}, but the model was loaded at {loaded:g}: "
            f"pictura.load({model.name!r}, strength={wanted:g})."
        )
    return {**chosen, **asked}


def jobs(prompt: ParsedPrompt) -> Iterator[ParsedPrompt]:
    """One request for each time that --repeat asks for, without it; seeds go up by one where one is given."""
    given = prompt.parameters
    for i in range(given.repeat or 1):
        seed = None if given.seed is None else (given.seed + i) % (MAX_SEED + 1)
        yield replace(prompt, parameters=replace(given, repeat=None, seed=seed))


def _work(given: Parameters, model: ModelInfo) -> dict[str, Any]:
    """How much work a picture is worth."""
    if given.draft:
        return {"student": True} if student_of(model) else {"num_steps": draft_steps(model)}
    if given.quality in (None, 1.0):
        return {}
    return {"num_steps": max(1, round(model.sampling.num_steps * given.quality))}


def _refuse(prompt: ParsedPrompt, model: ModelInfo) -> None:
    """Refuse by name what bends the way of painters by steps alone."""
    way = _WAYS.get(model.sampling.solver)
    if way is None:
        return
    given = prompt.parameters
    asked = {
        "weights (::)": len(prompt.parts) > 1,
        "--no": bool(given.no),
        "--chaos": bool(given.chaos),
        "--weird": bool(given.weird),
        "--tile": given.tile,
        "--quality": given.quality not in (None, 1.0),
        "--stop": given.stop not in (None, 100),
        "--draft": given.draft,
    }
    if wrong := [name for name, is_asked in asked.items() if is_asked]:
        raise ConfigError(
            f"The model {model.name!r} paints {way}: leave {', '.join(wrong)} out, or choose a model that "
            "paints by steps, such as those of the family flow."
        )


def _check_model(given: Parameters, model: ModelInfo) -> None:
    if given.model is not None and resolve(given.model).hash != model.hash:
        raise ConfigError(
            f"The prompt asks for --model {given.model}, but the model here is {model.name!r}. Load that one."
        )
