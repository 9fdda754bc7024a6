"""Solvers of the flow ODE: noise and a velocity in, the image's latent out.

A solver is one function of two known points, so that a step costs one network call: where we are
now, where we were before (None at the first step), and the time to go to.

Source  Lu et al. 2022, DPM-Solver++ (arXiv:2211.01095), algorithm 2 (2M), with alpha = 1 - t and
        sigma = t. Differs: where lambda = log(alpha / sigma) is infinite (from t = 1 and to t = 0) the
        step is of first order, which in flow form is Euler's. It is of second order on steps even in
        log-SNR, of less on steps even in t; AB2, Adams-Bashforth with variable steps, is on both.
Letters B batch.
Units   t in [0, 1], 1 = noise; dx/dt = velocity = noise - x_0; x_t = (1 - t) x_0 + t noise.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from array_api_compat import array_namespace, device

from pictura.core.errors import ConfigError, did_you_mean
from pictura.core.types import Array, Velocity


class Point(NamedTuple):
    """A place on the path, with the velocity that the network gave there."""

    t: float
    x_t: Array
    velocity: Array


Step = Callable[[Point, Point | None, float], Array]
"""(now, before, t_next) to x at t_next."""


def euler(now: Point, before: Point | None, t_next: float) -> Array:
    """First order: straight on along the velocity."""
    return now.x_t + (t_next - now.t) * now.velocity


def ab2(now: Point, before: Point | None, t_next: float) -> Array:
    """Second order: the velocity extrapolated to the middle of the step, linearly in t."""
    if before is None:
        return euler(now, before, t_next)
    dt = t_next - now.t
    half = dt / (2 * (now.t - before.t))
    return now.x_t + dt * (now.velocity + half * (now.velocity - before.velocity))


def dpmpp_2m(now: Point, before: Point | None, t_next: float) -> Array:
    """Second order: the image seen from here, extrapolated to the middle of the step in log-SNR."""
    if before is None or before.t >= 1 or t_next <= 0:
        return euler(now, before, t_next)
    half = (_log_snr(t_next) - _log_snr(now.t)) / (2 * (_log_snr(now.t) - _log_snr(before.t)))
    x_0 = _image(now)
    x_0 = x_0 + half * (x_0 - _image(before))
    kept = t_next / now.t
    return kept * now.x_t + (1 - kept) * x_0


def _image(point: Point) -> Array:
    return point.x_t - point.t * point.velocity


def _log_snr(t: float) -> float:
    return math.log((1 - t) / t)


SOLVERS: Mapping[str, Step] = MappingProxyType({"euler": euler, "ab2": ab2, "dpmpp_2m": dpmpp_2m})


class Steps:
    """A path that is walked step by step: where it stands, and what a velocity makes of that."""

    def __init__(self, x_T: Array, times: Sequence[float], method: str = "ab2") -> None:
        """Stand at the start.

        Args:
            x_T: (B, C, H, W) at times[0], any floating array of the array API standard.
            times: falling times, such as `time_grid` gives.
            method: a name in `SOLVERS`.

        Raises:
            ConfigError: no solver has that name.
        """
        self._step = check_solver(method)
        self._times = times
        self._before: Point | None = None
        self.x_t = x_T
        """(B, C, H, W), where the path stands."""
        self.done, self.num = 0, len(times) - 1
        """Steps taken, and steps in all."""

    @property
    def over(self) -> bool:
        """Whether the path has ended."""
        return self.done == self.num

    @property
    def time(self) -> float:
        """The time at which the path stands."""
        return self._times[self.done]

    @property
    def t(self) -> Array:
        """(B,) that time, for a network."""
        xp = array_namespace(self.x_t)
        return xp.full((self.x_t.shape[0],), self.time, dtype=self.x_t.dtype, device=device(self.x_t))

    def take(self, velocity: Array) -> Array:
        """Take a step along the velocity (B, C, H, W) that the network gave here.

        Returns:
            (B, C, H, W) the image that was seen from here.
        """
        now = Point(self.time, self.x_t, velocity)
        self.done += 1
        self.x_t, self._before = self._step(now, self._before, self.time), now
        return _image(now)


def solve(
    velocity: Velocity,
    x_T: Array,
    times: Sequence[float],
    *,
    method: str = "ab2",
    on_step: Callable[[int, int], None] | None = None,
) -> Array:
    """Follow the velocity from noise to an image.

    Args:
        velocity: the network with its prompt; called once a step.
        x_T: (B, C, H, W) at times[0], any floating array of the array API standard.
        times: falling times, such as `time_grid` gives.
        method: a name in `SOLVERS`.
        on_step: called after each step with (steps done, steps in all).

    Returns:
        (B, C, H, W) at times[-1].

    Raises:
        ConfigError: no solver has that name.
    """
    steps = Steps(x_T, times, method)
    while not steps.over:
        steps.take(velocity(steps.x_t, steps.t))
        if on_step:
            on_step(steps.done, steps.num)
    return steps.x_t


def check_solver(name: str) -> Step:
    """Look up a solver.

    Raises:
        ConfigError: no solver has that name.
    """
    if name not in SOLVERS:
        raise ConfigError(f"No solver is named {name!r}. {did_you_mean(name, SOLVERS)}")
    return SOLVERS[name]
