"""The velocity that a painter with guidance follows, of whoever is asked, with its gradient.

Source  Ho & Salimans 2022 (arXiv:2207.12598) in the form of `sample/guidance.py`; in `guided` each picture
        of a batch has its own time.
Letters B pictures, C channels, h w latent size.
"""

from functools import partial

from torch import Tensor, where

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning, Velocity
from pictura.learn.actors import VelocityOf
from pictura.learn.policy import Policy
from pictura.learn.renoise import Renoised
from pictura.sample.guidance import guided as guided_velocity


def guided(
    hand: VelocityOf,
    policy: Policy,
    at: Renoised,
    plain: Tensor,
    *,
    scale: float,
    interval: tuple[float, float],
) -> Tensor:
    """Velocity with guidance.

    Args:
        hand: whose.
        policy: reads the empty prompt.
        at: latents and their times.
        plain: (B, C, h, w) what `hand` says of the prompts.
        scale: of guidance; 1 is off.
        interval: times at which it is on.

    Returns:
        (B, C, h, w).
    """
    if scale == 1:
        return plain
    without = hand(at.x_t, at.t, _nothing(policy, len(plain))).float()
    low, high = interval
    scale_B = where((at.t >= low) & (at.t <= high), scale, 1.0)
    return without + scale_B[:, None, None, None] * (plain - without)


def guided_way(
    hand: VelocityOf,
    policy: Policy,
    cond: Conditioning,
    *,
    scale: float,
    interval: tuple[float, float],
) -> Velocity:
    """What a solver follows, whose pictures share one time: velocities (B, C, h, w) of (x_t, t).

    Args:
        hand: whose.
        policy: reads the empty prompt.
        cond: of the B pictures' prompts.
        scale: of guidance; 1 is off.
        interval: times at which it is on.
    """
    none = _nothing(policy, len(cond.tokens))
    return guided_velocity(
        partial(_call, hand, cond), partial(_call, hand, none), guidance_scale=scale, interval=interval
    )


def _call(hand: VelocityOf, cond: Conditioning, x_t: Tensor, t: Tensor) -> Tensor:
    return hand(x_t, t, cond)


def _nothing(policy: Policy, num: int) -> Conditioning:
    """What `num` pictures without a prompt are told."""
    empty = policy.read([""])
    return Conditioning(tokens=empty.tokens.expand(num, -1, -1), mask=empty.mask.expand(num, -1))


def check_guidance(scale: float, interval: tuple[float, float]) -> None:
    """Refuse impossible guidance.

    Raises:
        ConfigError: the scale is below 0, or the interval is none of times.
    """
    low, high = interval
    if not 0 <= low <= high <= 1:
        raise ConfigError(f"algorithm.guidance_interval must be 0 <= low <= high <= 1; got {low} to {high}.")
    if not scale >= 0:
        raise ConfigError(f"algorithm.guidance_scale must be at least 0; got {scale}.")
