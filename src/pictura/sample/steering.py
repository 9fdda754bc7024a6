"""Settings that bend the way of painters by steps: their ranges, and what each is where it is off."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pictura.core.errors import ConfigError
from pictura.sample.chaos import MAX_CHAOS
from pictura.sample.mixing import MAX_WEIRD

OFF: Mapping[str, Any] = MappingProxyType({"chaos": 0, "weird": 0, "tile": False, "stop": 100})
"""A setting that is off is left out, so that pictures and their metadata are those without it."""
MAX_PARTS = 16
"""Of a prompt. Each costs a network call at every step."""
_RANGES = {"chaos": (0, MAX_CHAOS), "weird": (0, MAX_WEIRD), "stop": (1, 100)}
MAX_SHARE = 100
_ROUNDING = 1e-9


def on(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of some settings is neither None nor off."""
    return {name: value for name, value in given.items() if value is not None and not _is_off(name, value)}


def _is_off(name: str, value: Any) -> bool:
    return name in OFF and value == OFF[name]


def plain_parts(parts: Any) -> list[list[Any]]:
    """Words and their shares as a picture's metadata holds them."""
    return [[str(text), float(share)] for text, share in parts]


def check_steering(settings: Mapping[str, Any]) -> None:
    """Refuse what is out of range.

    Raises:
        ConfigError: it is; the message says of what.
    """
    for name, (low, high) in _RANGES.items():
        value = settings.get(name, low)
        if type(value) is not int or not low <= value <= high:
            raise ConfigError(f"{name} must be a whole number from {low} to {high}; got {value}.")
    if (parts := settings.get("parts")) is None:
        return
    if not 1 <= len(parts) <= MAX_PARTS:
        raise ConfigError(f"A prompt may have from 1 to {MAX_PARTS} parts; got {len(parts)}.")
    shares = [share for _, share in parts]
    if not abs(sum(shares) - 1) < _ROUNDING or max(map(abs, shares)) > MAX_SHARE:
        raise ConfigError(
            f"The shares of a prompt's parts must add up to 1, and none may pass {MAX_SHARE}; got {shares}."
        )
