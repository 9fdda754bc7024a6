"""Classifier-free guidance: two velocities in, one that follows the prompt more closely out.

Source  Ho & Salimans 2022 (arXiv:2207.12598); the interval is from Kynkäänniemi et al. 2024
        (arXiv:2404.07724): outside it guidance harms or is wasted, and one network call does.
Units   t in [0, 1], 1 = noise; guidance_scale 1 = off.
"""

from dataclasses import dataclass

from pictura.core.errors import ConfigError
from pictura.core.types import Array, Velocity

MAX_GUIDANCE = 50
_ROUNDING = 1e-6  # the times of a batch are float32: 0.6 there is 0.60000002


@dataclass(frozen=True, slots=True)
class Guidance:
    """How much more closely the prompt is followed, and when."""

    scale: float
    """s in v_without + s (v_with - v_without), 0 to 50; 1 = off."""
    interval: tuple[float, float] = (0.0, 1.0)
    """The times (lowest, highest) at which guidance is on, both ends included."""

    def __post_init__(self) -> None:
        check_guidance(self.scale)
        low, high = self.interval
        if not 0 <= low <= high <= 1:
            raise ConfigError(f"The guidance interval must be 0 <= low <= high <= 1; got {low} to {high}.")

    def inside(self, t: float) -> bool:
        """Whether time `t` lies in the interval."""
        low, high = self.interval
        return low - _ROUNDING <= t <= high + _ROUNDING

    def on(self, t: float) -> bool:
        """Whether the velocity without the prompt is wanted at time `t`."""
        return self.scale != 1 and self.inside(t)

    def join(self, with_prompt: Array, without_prompt: Array) -> Array:
        """The velocity that follows the prompt more closely."""
        return without_prompt + self.scale * (with_prompt - without_prompt)


def guided(
    with_prompt: Velocity,
    without_prompt: Velocity,
    *,
    guidance_scale: float,
    interval: tuple[float, float] = (0.0, 1.0),
) -> Velocity:
    """Join the velocities with and without the prompt.

    Args:
        with_prompt: velocity given the prompt.
        without_prompt: velocity given the empty prompt; called only where guidance is on.
        guidance_scale: see `Guidance`.
        interval: see `Guidance`.

    Returns:
        A velocity for batches whose rows share one time.

    Raises:
        ConfigError: the scale or the interval is out of range.
    """
    guidance = Guidance(guidance_scale, interval)
    if guidance_scale == 1:
        return with_prompt

    def velocity(x_t: Array, t: Array) -> Array:
        v = with_prompt(x_t, t)
        return guidance.join(v, without_prompt(x_t, t)) if guidance.on(float(t[0])) else v

    return velocity


def check_guidance(guidance_scale: float) -> None:
    """Refuse scales that make no sense.

    Raises:
        ConfigError: the scale is out of range.
    """
    if not 0 <= guidance_scale <= MAX_GUIDANCE:
        raise ConfigError(f"guidance_scale must be from 0 to {MAX_GUIDANCE} (1 = off); got {guidance_scale}.")
