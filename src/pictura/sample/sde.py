"""Solvers of flow SDEs: noise and a velocity in, the image's latent out, with the steps that were drawn.

A stochastic step is Euler's, turned towards the predicted noise, plus fresh noise: its law is normal, so that
what was drawn has a probability and a policy gradient can be taken. Both kinds have the form
mean = x_t + dt velocity + turn noise_hat, where noise_hat = x_t + (1 - t) velocity.

Source  Liu et al. 2025, Flow-GRPO (arXiv:2505.05470): "flow_sde" keeps the marginal law of the ODE at every
        t. Wang & Yu 2025, CPS (arXiv:2509.05952): "cps" keeps the share of noise that belongs to t, so that
        pictures have no grain, but it narrows the law. At t = 1, where flow_sde divides by 1 - t, the next
        time stands in for t there, as in the published code.
        Differs: a step that draws nothing (noise_level 0, or the last of cps) is Euler's bit by bit.
Letters B pictures; further axes are the numbers of a latent.
Units   t in [0, 1], 1 = noise; velocity = noise - x_0; dt = t_next - t < 0; std in latent units.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from array_api_compat import array_namespace, device

from pictura.core.errors import ConfigError, did_you_mean
from pictura.core.types import Array, Velocity
from pictura.sample.ode import Point, check_solver


class Step(NamedTuple):
    """A step that was drawn."""

    t: float
    t_next: float
    x_t: Array
    """(B, ...) before it."""
    x_next: Array
    """(B, ...) after it."""
    mean: Array
    """(B, ...) of the normal law it was drawn from."""
    std: float
    """Of each number."""
    log_prob: Array
    """(B,) of `x_next`, mean over the numbers."""


def flow_sde(t: float, t_next: float, noise_level: float) -> tuple[float, float]:
    """Of Flow-GRPO: (turn, std) with sd = noise_level sqrt(t / (1 - t))."""
    dt = t_next - t
    variance = noise_level**2 * t / (1 - (t if t < 1 else t_next))
    return dt * variance / (2 * t), math.sqrt(-dt * variance)


def cps(t: float, t_next: float, noise_level: float) -> tuple[float, float]:
    """Of CPS: (turn, std): at t_next the old noise keeps cos and the fresh gets sin of noise_level pi / 2."""
    std = t_next * math.sin(noise_level * math.pi / 2)
    return math.sqrt(t_next**2 - std**2) - t_next, std


KINDS: Mapping[str, Callable[[float, float, float], tuple[float, float]]] = MappingProxyType(
    {"flow_sde": flow_sde, "cps": cps}
)


def step_law(
    x_t: Array, velocity: Array, t: float, t_next: float, *, kind: str, noise_level: float
) -> tuple[Array, float]:
    """The normal law of x at `t_next`.

    Args:
        x_t: (B, ...) latents at `t`.
        velocity: (B, ...) that the network gives there.
        t: time, above `t_next`, at most 1.
        t_next: time, at least 0.
        kind: a name in `KINDS`.
        noise_level: 0 is Euler's step; cps takes at most 1.

    Returns:
        Mean (B, ...) and standard deviation of each number.
    """
    turn, std = KINDS[kind](t, t_next, noise_level)
    return x_t + (t_next - t) * velocity + turn * (x_t + (1 - t) * velocity), std


def log_prob(x_next: Array, mean: Array, std: float, *, exact: bool = False) -> Array:
    """Log-density of what was drawn: (B,).

    Args:
        x_next: (B, ...) drawn latents.
        mean: (B, ...) of their law.
        std: of each number.
        exact: the sum over the numbers of a latent, which is the log-density; otherwise their mean, which
            does not grow with the size of the picture.
    """
    xp = array_namespace(x_next)
    far = (x_next - mean) / std
    each = -0.5 * far * far - (math.log(std) + 0.5 * math.log(2 * math.pi))
    axes = tuple(range(1, each.ndim))
    return xp.sum(each, axis=axes) if exact else xp.mean(each, axis=axes)


def solve_sde(
    velocity: Velocity,
    x_T: Array,
    times: Sequence[float],
    *,
    stochastic: Collection[int],
    noise: Callable[[int], Array],
    kind: str = "flow_sde",
    noise_level: float = 0.7,
    method: str = "ab2",
) -> tuple[Array, tuple[Step, ...]]:
    """Follow the velocity from noise to an image, drawing some of the steps.

    Args:
        velocity: the network with its prompt; called once a step.
        x_T: (B, C, H, W) at times[0], any floating array of the array API standard.
        times: falling times, such as `time_grid` gives.
        stochastic: the steps that are drawn, from 0.
        noise: standard normal numbers of a step, shaped as `x_T`; called for the drawn steps alone.
        kind: a name in `KINDS`.
        noise_level: how much is drawn; 0 is Euler's ODE.
        method: solver of the other steps. The one after a drawn step is of first order, as the velocity
            before it belongs to another path.

    Returns:
        (B, C, H, W) at times[-1], and the steps with noise in their order.

    Raises:
        ConfigError: no solver or kind has that name, or a step or level is out of range.
    """
    ode_step, num_steps = check_solver(method), len(times) - 1
    check_noise(kind, noise_level)
    if not all(0 <= step < num_steps for step in stochastic):
        raise ConfigError(
            f"Stochastic steps are numbered from 0 to {num_steps - 1} where there are {num_steps}; "
            f"got {sorted(stochastic)}."
        )
    xp = array_namespace(x_T)
    x_t, before, path = x_T, None, []
    for step, (t, t_next) in enumerate(pairwise(times)):
        now = Point(t, x_t, velocity(x_t, xp.full((x_t.shape[0],), t, dtype=x_t.dtype, device=device(x_t))))
        if step not in stochastic:
            x_t, before = ode_step(now, before, t_next), now
            continue
        mean, std = step_law(x_t, now.velocity, t, t_next, kind=kind, noise_level=noise_level)
        x_t, before = mean, None
        if std > 0:
            x_t = mean + std * noise(step)
            path.append(Step(t, t_next, now.x_t, x_t, mean, std, log_prob(x_t, mean, std)))
    return x_t, tuple(path)


def check_noise(kind: str, noise_level: float) -> None:
    """Refuse kinds and levels of noise that do not exist.

    Raises:
        ConfigError: no kind has that name, or the level is out of range.
    """
    if kind not in KINDS:
        raise ConfigError(f"No kind of SDE is named {kind!r}. {did_you_mean(kind, KINDS)}")
    highest = 1.0 if kind == "cps" else math.inf
    if not 0 <= noise_level <= highest or math.isinf(noise_level):
        most = " to 1" if kind == "cps" else ""
        raise ConfigError(f"The noise level of {kind} must be a number from 0{most}; got {noise_level}.")
