"""What is asked of a painter: prompt, numbers and settings; what it cannot do is refused, with the limit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from PIL import Image

from pictura.core.errors import ConfigError, PromptError, did_you_mean
from pictura.sample.steering import OFF, on, plain_parts
from pictura.store.models import AT_ONCE, AUTOREGRESSIVE, BY_IMAGINATION, ModelInfo, Sampling
from pictura.store.student import draft_steps, student_of


class Choices(TypedDict, total=False):
    """What a person may choose, beside the prompt; what is left out, or None, is as the model advises."""

    num_images: int
    """How many pictures, 1 to 64; 4 unless given."""
    first: int
    """Number of the first of them; 4 goes on where a seed's first four ended. 0 unless given."""
    seed: int | None
    """The same seed paints the same pictures; drawn unless given."""
    size: tuple[int, int] | None
    """(width, height) of the pictures in pixels, each 16 to 1024, at most 2:1; 256x256 unless given."""
    enlarge: str | None
    """How pictures become so large where they are painted smaller: `learnt`, by the enlarger, which is so
    unless given, or `lanczos`."""
    num_steps: int | None
    """Network steps per picture."""
    guidance_scale: float | None
    """How closely to follow the prompt; 1 = off."""
    solver: str | None
    """`euler`, `ab2` or `dpmpp_2m`."""
    temperature: float | None
    """Of painters by tokens: 0 takes the likeliest token, 1 draws as they are likely."""
    top_k: int | None
    """Of painters by tokens: draw among so many likeliest; 0 = all."""
    candidates: int | None
    """Paint so many, up to 128, and keep those that `clip-guide` finds best, best first."""
    given: Sequence[int] | None
    """Tokens that every picture begins with; `complete` reads them off a picture."""
    image: Image.Image | None
    """Of painters by steps: a picture to begin with, as the next two; RGB or RGBA."""
    noise_level: float | None
    """How much of it is given up: 0.02 hardly anything, 1 all; 0.7 unless given."""
    mask: Image.Image | None
    """As large as the picture; it is painted anew where the mask is light, and kept elsewhere."""
    parts: Sequence[Sequence[Any]] | None
    """Of painters by steps, as the next four: words and their shares, which add up to 1, in the place of the
    prompt; a negative share steers away. `prompt.ParsedPrompt.shares` gives them."""
    chaos: int | None
    """How much the pictures differ, 0 (off) to 100."""
    weird: int | None
    """How far away from what is usual, 0 (off) to 3000."""
    tile: bool | None
    """Whether edges meet."""
    stop: int | None
    """After what share of the steps to stop, in percent; 100 is off."""
    student: bool | None
    """Of painters by steps that have one: draft by the student, if nothing is asked for that it never learnt;
    else by the model itself in half its steps."""
    typed: str
    """How a person typed the prompt, for the picture's metadata."""
    resolved: str
    """The same with its braces and repeats resolved."""
    read_as: Sequence[Sequence[str]] | None
    """Pairs of words of the prompt and what is read in their place. Unless given, words that the model does
    not know are looked up in `encode.lexicon`; () leaves every word as it is written."""
    vector: str | None
    """Of painters by imagination, as the next five: what the decoder is told of the picture, see
    `sample.imagining.VECTORS`. Their `num_steps` and `guidance_scale` are the decoder's."""
    prior_steps: int | None
    """Calls of the prior per picture."""
    prior_guidance: float | None
    """How closely the prior follows the prompt; 1 = off."""
    decoder_solver: str | None
    """`ddim`, or one of those above."""
    eta: float | None
    """Of `ddim`: 0 takes no fresh noise on the way, 1 as much as DDPM."""
    upsampler_steps: int | None
    """Calls of the upsampler per picture."""


MAX_PROMPT = 2000
MAX_IMAGES = 64
MAX_CANDIDATES = 128
STEPS = ("num_steps", "guidance_scale", "guidance_interval", "solver", "shift")
TOKENS = ("solver", "temperature", "top_k", "guidance_scale")
_OWN = ("vector", "prior_steps", "prior_guidance", "decoder_solver", "eta", "upsampler_steps")
IMAGINATION = (*STEPS, *_OWN)
"""Kept in pictures' metadata, in this order, whoever chose them."""
_CHOSEN = {
    "num_steps": "num_steps (--steps)",
    "guidance_scale": "guidance_scale (--guidance)",
    "solver": "solver",
    "temperature": "temperature (--temperature)",
    "top_k": "top_k (--top-k)",
    "given": "given (--complete)",
    **dict.fromkeys(("image", "noise_level", "mask"), "a picture to begin with (image, noise_level, mask)"),
    "parts": "parts (:: and --no)",
    **{name: f"{name} (--{name})" for name in OFF},
    "student": "student (--draft)",
    **{name: name for name in _OWN},
}
"""Settings that a person can choose, and their names for people."""
_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("guidance_scale", "temperature", "prior_guidance", "eta"), float),
    "given": list,
    "parts": plain_parts,
}
"""What makes a value as a picture's metadata holds it."""
_HAS = {
    AT_ONCE: ((), "in one pass, without steps and guidance"),
    AUTOREGRESSIVE: (("guidance_scale", "temperature", "top_k", "given"), "token by token, without steps"),
    BY_IMAGINATION: (("num_steps", "guidance_scale", *_OWN), "by imagination, without tokens"),
}
_HAS_STEPS = (
    ("num_steps", "guidance_scale", "solver", "image", "noise_level", "mask", "parts", "student", *OFF),
    "by steps, without tokens",
)
_UNLEARNT = ("num_steps", "guidance_scale", "solver", "parts", "weird")
"""Beside these no student paints: it learnt its own steps, from noise, of one prompt."""


def advised(model: ModelInfo) -> dict[str, Any]:
    """How a model paints unless told otherwise, as a picture's metadata holds it."""
    return _told(model.sampling)


def _told(sampling: Sampling) -> dict[str, Any]:
    names = {AUTOREGRESSIVE: TOKENS, BY_IMAGINATION: IMAGINATION}.get(sampling.solver, STEPS)
    found = {name: getattr(sampling, name) for name in names}
    if "guidance_interval" in found:
        found["guidance_interval"] = list(found["guidance_interval"])
    return found


def choose(model: ModelInfo, given: Mapping[str, Any], *, from_noise: bool = True) -> dict[str, Any]:
    """What is given where something is, else what the model advises.

    Args:
        model: that paints.
        given: name of a setting to its value; None where nobody chose.
        from_noise: false where a picture is given to begin with.

    Raises:
        ConfigError: a setting is given that the model's way of painting does not have.
    """
    refuse_foreign(model, given)
    found = on(given)
    is_draft = found.pop("student", False)
    usual = _draft(model, found, from_noise=from_noise) if is_draft else advised(model)
    chosen = {name: found[name] for name in _CHOSEN if name in found}
    return {**usual, **{name: _PLAIN.get(name, _as_is)(value) for name, value in chosen.items()}}


def _draft(model: ModelInfo, found: Mapping[str, Any], *, from_noise: bool) -> dict[str, Any]:
    """How a draft is painted: by the student, or by the model where that learnt something else."""
    student = student_of(model)
    if student is None:
        raise ConfigError(f"The model {model.name!r} has no student: leave {_CHOSEN['student']} out.")
    if from_noise and not any(name in found for name in (*_UNLEARNT, "image")):
        return {**_told(student.sampling), "student": student.hash}
    return {**advised(model), "num_steps": draft_steps(model)}


def _as_is(value: Any) -> Any:
    return value


def refuse_foreign(model: ModelInfo, given: Mapping[str, Any]) -> None:
    """Refuse settings that a model's way of painting does not have.

    Raises:
        ConfigError: one is given that is not None, or no way of painting has it.
    """
    for name in given:
        if name not in _CHOSEN:
            raise ConfigError(f"No setting is named {name!r}. {did_you_mean(name, Choices.__annotations__)}")
    has, way = _HAS.get(model.sampling.solver, _HAS_STEPS)
    if wrong := [_CHOSEN[name] for name in on(given) if name not in has]:
        raise ConfigError(f"The model {model.name!r} paints {way}: leave {', '.join(wrong)} out.")


def check_numbers(num_images: int, candidates: int | None) -> None:
    """Refuse to paint no picture, or too many.

    Raises:
        ConfigError: a number is out of range.
    """
    if not 1 <= num_images <= MAX_IMAGES:
        raise ConfigError(f"num_images must be from 1 to {MAX_IMAGES}; got {num_images}.")
    if candidates is not None and not num_images <= candidates <= MAX_CANDIDATES:
        raise ConfigError(
            f"candidates must be from {num_images}, the number of pictures to keep, to {MAX_CANDIDATES}; "
            f"got {candidates}."
        )


def check_prompt(prompt: str) -> None:
    """Refuse what cannot be painted.

    Raises:
        PromptError: the prompt is empty, too long or no text.
    """
    if not prompt.strip():
        raise PromptError("The prompt is empty. Say what to paint, such as 'a red fox'.")
    if len(prompt) > MAX_PROMPT:
        raise PromptError(f"The prompt has {len(prompt)} characters; at most {MAX_PROMPT} are allowed.")
    if any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise PromptError("The prompt holds bytes that are no text in UTF-8. Type it in a UTF-8 terminal.")


def check_length(model: ModelInfo, count: int) -> None:
    """Refuse a prompt that a painter by tokens has no places for.

    Raises:
        PromptError: it has more tokens than the model reads.
    """
    if count > model.max_tokens:
        raise PromptError(
            f"The prompt has {count} tokens; the model {model.name!r} reads at most {model.max_tokens}. "
            "Shorten it."
        )
