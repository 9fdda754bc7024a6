"""Diffusion that keeps the variance: how much picture and how much noise there is at a time, and DDIM's step.

Source  Nichol & Dhariwal 2021 (arXiv:2102.09672), equation 17, for `cosine`; Ho et al. 2020
        (arXiv:2006.11239) for `linear`. Differs: time is continuous; `cosine` keeps a share `LEAST_ALPHA` of
        the picture at t = 1, so that a picture can be told from noise and x_t at every time. Song et al.
        2020, DDIM (arXiv:2010.02502), equations 12 and 16, for the step.
Letters B batch.
Units   t in [0, 1], 1 = noise; x_t = a x_0 + s noise with a^2 + s^2 = 1; u = s / (a + s) is the time of the
        flow x_t / (a + s) = (1 - u) x_0 + u noise, whose velocity is noise - x_0.
"""

import bisect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from pictura.core.errors import ConfigError, did_you_mean
from pictura.core.types import Array, Velocity

SCHEDULES = ("cosine", "linear")
LEAST_ALPHA = 1e-3
"""a of `cosine` at t = 1, where the equation has 0."""
Denoise = Callable[[Array, Array], Array]
"""(x_t (B, ...), t (B,)) to the clean x_0 (B, ...) that a network sees in x_t."""
_OFFSET = 0.008
_STEPS, _FIRST_BETA, _LAST_BETA = 1000, 1e-4, 0.02


def alpha_sigma(schedule: str, t: Array) -> tuple[Array, Array]:
    """The shares of picture and noise at a time.

    Args:
        schedule: one of `SCHEDULES`.
        t: (B,) times in [0, 1].

    Returns:
        a and s, (B,) each; (1, 0) at t = 0 exactly.

    Raises:
        ConfigError: there is no such schedule.
    """
    check_schedule(schedule)
    return _cosine(t) if schedule == "cosine" else _linear(t)


def shares(schedule: str, t: float) -> tuple[float, float]:
    """The same at one time, in numbers of Python."""
    a, s = alpha_sigma(schedule, np.asarray([t], dtype=np.float64))
    return float(a[0]), float(s[0])


def flow_time(schedule: str, t: float) -> float:
    """The time u of the flow at a time t of the diffusion."""
    a, s = shares(schedule, t)
    return s / (a + s)


def diffusion_time(schedule: str, u: float) -> float:
    """The inverse of `flow_time`; where several t have one u, the least of them."""
    check_schedule(schedule)
    a = (1 - u) / math.hypot(u, 1 - u)
    if schedule == "cosine":
        start = math.pi / 2 * _OFFSET / (1 + _OFFSET)
        return max(math.acos(a * math.cos(start)) - start, 0.0) / (math.pi / 2 - start)
    logs, log_a = _log_alphas(), math.log(a)
    high = min(max(bisect.bisect_left(logs, -log_a, key=lambda log: -log), 1), _STEPS)
    before, after = logs[high - 1], logs[high]
    return (high - 1 + (log_a - before) / (after - before)) / _STEPS


def filled(x_t: Array, t: float) -> Array:
    """(B,) times of a batch whose rows share one."""
    return array_namespace(x_t).full((x_t.shape[0],), t, dtype=x_t.dtype, device=device(x_t))


def as_velocity(denoise: Denoise, schedule: str) -> Velocity:
    """A network as a flow: (x_t / (a + s), u) to noise - x_0; its rows share one u above 0.

    Euler's step there is DDIM's at eta 0.
    """

    def velocity(x_u: Array, u: Array) -> Array:
        t = diffusion_time(schedule, float(u[0]))
        return (x_u - denoise(x_u * sum(shares(schedule, t)), filled(x_u, t))) / u[0]

    return velocity


def ddim_step(
    x_t: Array, x_0: Array, t: float, t_next: float, *, schedule: str, eta: float = 0.0, noise: Any = None
) -> Array:
    """A step of DDIM to less noise.

    Args:
        x_t: (B, ...) at time `t`, above 0.
        x_0: (B, ...) that the network sees there.
        t: time in [0, 1].
        t_next: time to go to, below `t`.
        schedule: one of `SCHEDULES`.
        eta: 0 takes no fresh noise, 1 as much as DDPM.
        noise: (B, ...) standard normal; read only where the step takes some.

    Returns:
        (B, ...) at `t_next`.
    """
    (a, s), (a_next, s_next) = shares(schedule, t), shares(schedule, t_next)
    fresh = eta * s_next / s * math.sqrt(1 - min(a / a_next, 1) ** 2)
    x_next = a_next * x_0 + math.sqrt(s_next**2 - fresh**2) / s * (x_t - a * x_0)
    return x_next + fresh * noise if fresh else x_next


def check_schedule(schedule: str) -> None:
    """Refuse a schedule that does not exist.

    Raises:
        ConfigError: there is none of that name.
    """
    if schedule not in SCHEDULES:
        raise ConfigError(
            f"A diffusion's schedule must be {' or '.join(map(repr, SCHEDULES))}; got {schedule!r}. "
            f"{did_you_mean(schedule, SCHEDULES)}"
        )


def _cosine(t: Array) -> tuple[Array, Array]:
    xp = array_namespace(t)
    start = math.pi / 2 * _OFFSET / (1 + _OFFSET)
    angle = start + t * (math.pi / 2 / (1 + _OFFSET))
    a = xp.clip(xp.cos(angle) / math.cos(start), LEAST_ALPHA, 1)
    # Of the difference of two squares, which near t = 0 would lose all digits.
    s = xp.sqrt(xp.clip(xp.sin(angle - start) * xp.sin(angle + start), 0, None)) / math.cos(start)
    return a, xp.clip(s, None, math.sqrt(1 - LEAST_ALPHA**2))


def _linear(t: Array) -> tuple[Array, Array]:
    xp = array_namespace(t)
    table = xp.asarray(_log_alphas(), dtype=t.dtype, device=device(t))
    place = t * _STEPS
    low = xp.clip(xp.astype(xp.floor(place), xp.int64), 0, _STEPS - 1)
    before, after = xp.take(table, low, axis=0), xp.take(table, low + 1, axis=0)
    log_a = before + (after - before) * (place - xp.astype(low, t.dtype))
    return xp.exp(log_a), xp.sqrt(-xp.expm1(2 * log_a))


@cache
def _log_alphas() -> list[float]:
    """Of a, after each of the 1000 steps of DDPM, 0 first."""
    logs = [0.0]
    for i in range(_STEPS):
        beta = _FIRST_BETA + (_LAST_BETA - _FIRST_BETA) * i / (_STEPS - 1)
        logs.append(logs[-1] + 0.5 * math.log1p(-beta))
    return logs
