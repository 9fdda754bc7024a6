"""The times at which a sampler calls the network: a number of steps to a grid from 1 (noise) to 0 (image).

Source  Esser et al. 2024, Stable Diffusion 3 (arXiv:2403.03206), equation 23, for the shift.
Units   t in [0, 1], 1 = noise.
"""

from pictura.core.errors import ConfigError

MAX_STEPS = 1000


def time_grid(num_steps: int, *, shift: float = 1.0) -> tuple[float, ...]:
    """Even steps from 1 to 0, then bent by `shift`: above 1 spends more of them at high noise.

    Args:
        num_steps: how many steps, 1 to 1000.
        shift: s in t -> s t / (1 + (s - 1) t); 1 leaves the grid even.

    Returns:
        num_steps + 1 falling times; the first is exactly 1, the last exactly 0.

    Raises:
        ConfigError: the number of steps or the shift is out of range.
    """
    if not 1 <= num_steps <= MAX_STEPS:
        raise ConfigError(f"num_steps must be from 1 to {MAX_STEPS}; got {num_steps}.")
    if not 0 < shift < float("inf"):
        raise ConfigError(f"shift must be above 0 (1 = even steps); got {shift}.")
    even = (1 - i / num_steps for i in range(num_steps + 1))
    return tuple(shift * t / (1 + (shift - 1) * t) for t in even)


def last_step(num_steps: int, percent: int | None) -> int:
    """After how many of `num_steps` steps to stop, which are at least one; None is after all of them."""
    return num_steps if percent is None else max(1, round(num_steps * percent / 100))
