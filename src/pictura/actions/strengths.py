"""How far each action goes, in the numbers of the model that does it.

    by steps        noise_level: how much of the picture is given up, 0.02 to 1
    by imagination  eta: how much fresh noise the decoder takes
                    share: how much of the vector is the picture's; the rest is the prior's

The numbers were chosen by looking at what the embedded models paint; docs/actions.md tells of it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pictura.core.errors import ConfigError
from pictura.store.models import ModelInfo

Strength = Literal["subtle", "strong"]
STRENGTHS: tuple[Strength, ...] = ("subtle", "strong")
NOISE: Mapping[str, float] = MappingProxyType({"subtle": 0.8, "strong": 0.93})
REMIX_NOISE: Mapping[str, float] = MappingProxyType({"subtle": 0.7, "strong": 0.85})
ETA: Mapping[str, float] = MappingProxyType({"subtle": 0.3, "strong": 0.8})
REMIX_SHARE: Mapping[str, float] = MappingProxyType({"subtle": 0.67, "strong": 0.5})
AROUND: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"zoom": (0.65, 0.95), "square": (0.65, 0.95), "pan": (0.85, 1.0), "region": (1.0, 1.0)}
)
"""Noise on what is new, with the picture's own prompt and with another one."""
BLEND_NOISE = 0.85
MAX_IW = 3.0
_IW_NOISE = 0.18
BY_STEPS = ("vary", "remix", "region", "zoom", "pan", "square", "blend", "image_prompt")
BY_IMAGINATION = ("vary", "remix", "blend", "image_prompt")


def can(model: ModelInfo, action: str) -> bool:
    """Whether a model's way of painting does an action; to enlarge needs no painting."""
    if action in ("upscale", "reroll"):
        return True
    if model.by_imagination:
        return action in BY_IMAGINATION
    return action in BY_STEPS and not (model.one_pass or model.by_tokens)


def check_can(model: ModelInfo, action: str) -> None:
    """Refuse what a model cannot do.

    Raises:
        ConfigError: it cannot.
    """
    if not can(model, action):
        raise ConfigError(
            f"The model {model.name!r} of the family {model.family} cannot do {action.replace('_', ' ')}: "
            "take one that paints by steps, such as 'flow'."
        )


def resolved(action: Mapping[str, Any], model: ModelInfo, *, new_prompt: bool = False) -> dict[str, Any]:
    """An action with the numbers of the model that shall do it.

    Args:
        action: its name as ``action``, and what it takes: ``strength``, ``factor``, ``iw`` …
        model: that paints.
        new_prompt: whether the prompt is another than that of the picture.

    Raises:
        ConfigError: the model cannot do it, or a number is out of range.
    """
    name = action["action"]
    check_can(model, name)
    said = dict(action)
    if name in ("vary", "remix") and said.get("strength") not in STRENGTHS:
        raise ConfigError(f"strength must be subtle or strong; got {said.get('strength')!r}.")
    if name == "image_prompt" and not 0 <= said["iw"] <= MAX_IW:
        raise ConfigError(f"iw must be from 0 to {MAX_IW:g}; got {said['iw']:g}.")
    return said | (_imagined(said) if model.by_imagination else _renoised(said, new_prompt))


def _renoised(said: Mapping[str, Any], new_prompt: bool) -> dict[str, Any]:
    match said["action"]:
        case "vary":
            return {"noise_level": NOISE[said["strength"]]}
        case "remix":
            return {"noise_level": REMIX_NOISE[said["strength"]]}
        case "image_prompt":
            return {"noise_level": round(1 / (1 + _IW_NOISE * said["iw"]), 3)}
        case "blend":
            return {"noise_level": BLEND_NOISE}
        case "zoom" | "square" | "pan" | "region" as name:
            return {"noise_level": AROUND[name][new_prompt]}
        case _:
            return {}


def _imagined(said: Mapping[str, Any]) -> dict[str, Any]:
    match said["action"]:
        case "vary":
            return {"eta": ETA[said["strength"]]}
        case "remix":
            return {"share": REMIX_SHARE[said["strength"]]}
        case "image_prompt":
            return {"share": round(said["iw"] / (said["iw"] + 1), 3)}
        case _:
            return {}
