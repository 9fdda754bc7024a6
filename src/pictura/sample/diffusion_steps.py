"""Paths of a diffusion that are walked step by step: where they stand, and what a clean image makes of that.

    steps_down   from noise to an image: DDIM, or a solver of `ode.py`
    StepsUp      back from an image to the noise of which DDIM at eta 0 makes it

Whoever walks a path asks the network what image it sees at `x_t` and `t`, and hands it to `take`, until the
path is `over`.

Source  Song et al. 2020, DDIM (arXiv:2010.02502), section 4.3, for the way back; Pan et al. 2023
        (arXiv:2309.04907) for its rounds.
Letters B pictures; further axes are the numbers of a picture or of an embedding.
Units   t in [0, 1], 1 = noise, see `diffusion.py`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from pictura.core.errors import ConfigError, did_you_mean
from pictura.core.types import Array
from pictura.sample.diffusion import Denoise, ddim_step, filled, flow_time, shares
from pictura.sample.ode import SOLVERS, Steps

DDIM = "ddim"
METHODS = (DDIM, *SOLVERS)
"""Ways down; DDIM alone takes fresh noise."""


class Path(Protocol):
    """A path, up or down."""

    done: int
    """Calls of the network so far."""
    num: int
    """Calls in all."""

    @property
    def over(self) -> bool:
        """Whether the path has ended."""
        ...

    @property
    def x_t(self) -> Array:
        """(B, ...) where the network is to look, or where the path ended."""
        ...

    @property
    def time(self) -> float:
        """The time there."""
        ...

    @property
    def t(self) -> Array:
        """(B,) the same, for a network."""
        ...

    def take(self, x_0: Array) -> None:
        """Go on, with the clean image (B, ...) that the network saw there."""
        ...


def follow(path: Path, denoise: Denoise) -> Array:
    """Walk a path to its end: (B, ...)."""
    while not path.over:
        path.take(denoise(path.x_t, path.t))
    return path.x_t


def steps_down(
    x_T: Array,
    times: Sequence[float],
    *,
    schedule: str,
    method: str = DDIM,
    eta: float = 0.0,
    noises: Callable[[int], Array] | None = None,
) -> Path:
    """The path from noise to an image.

    Args:
        x_T: (B, ...) at times[0].
        times: falling times, such as `time_grid` gives.
        schedule: one of `diffusion.SCHEDULES`.
        method: ``ddim``, or a name in `ode.SOLVERS`.
        eta: of ``ddim``: 0 (the same noise always makes the same image) to 1 (as much fresh noise as DDPM).
        noises: number of a step to its standard normal noise (B, ...); needed where eta is above 0.

    Raises:
        ConfigError: there is no such method or schedule, or eta is out of range or not for that method.
    """
    check_method(method, eta)
    if method == DDIM:
        return _DdimSteps(x_T, times, schedule, eta, noises)
    return _FlowSteps(x_T, times, schedule, method)


class _DdimSteps:
    """Down by DDIM."""

    def __init__(
        self,
        x_T: Array,
        times: Sequence[float],
        schedule: str,
        eta: float,
        noises: Callable[[int], Array] | None,
    ) -> None:
        self._times, self._schedule, self._eta, self._noises = times, schedule, eta, noises
        self.x_t = x_T
        self.done, self.num = 0, len(times) - 1

    @property
    def over(self) -> bool:
        return self.done == self.num

    @property
    def time(self) -> float:
        return self._times[self.done]

    @property
    def t(self) -> Array:
        return filled(self.x_t, self.time)

    def take(self, x_0: Array) -> None:
        t, t_next = self._times[self.done : self.done + 2]
        noise = self._noises(self.done) if self._noises and self._eta else None
        self.x_t = ddim_step(self.x_t, x_0, t, t_next, schedule=self._schedule, eta=self._eta, noise=noise)
        self.done += 1


class _FlowSteps:
    """Down by a solver of `ode.py`, on x_t / (a + s)."""

    def __init__(self, x_T: Array, times: Sequence[float], schedule: str, method: str) -> None:
        self._times, self._scales = times, [sum(shares(schedule, t)) for t in times]
        self._steps = Steps(x_T / self._scales[0], [flow_time(schedule, t) for t in times], method)
        self.done, self.num = 0, len(times) - 1

    @property
    def over(self) -> bool:
        return self._steps.over

    @property
    def x_t(self) -> Array:
        return self._steps.x_t * self._scales[self.done]

    @property
    def time(self) -> float:
        return self._times[self.done]

    @property
    def t(self) -> Array:
        return filled(self._steps.x_t, self.time)

    def take(self, x_0: Array) -> None:
        self._steps.take((self._steps.x_t - x_0) / self._steps.time)
        self.done += 1


class StepsUp:
    """The path from an image to its noise.

    A step must take the noise that the network will see where it ends. That is found in rounds of going there
    with the noise seen so far, first that of the step before; with enough rounds DDIM comes back exactly.
    """

    def __init__(self, x_0: Array, times: Sequence[float], *, schedule: str, rounds: int = 1) -> None:
        """Stand at the image.

        Args:
            x_0: (B, ...) the image.
            times: the falling times of the way down; they are gone through from the last, which is 0.
            schedule: one of `diffusion.SCHEDULES`.
            rounds: network calls for each step, at least 1.
        """
        self._times, self._schedule, self._rounds = times[::-1], schedule, rounds
        self._from, self._noise = x_0, 0 * x_0
        self.done, self.num = 0, rounds * (len(times) - 1)

    @property
    def over(self) -> bool:
        """Whether the path has ended."""
        return self.done == self.num

    @property
    def x_t(self) -> Array:
        """(B, ...) where the network is to look: the noise itself when the path is over."""
        if self.over:
            return self._from
        (a, s), (a_next, s_next) = self._ends
        return a_next / a * self._from + (s_next - a_next / a * s) * self._noise

    @property
    def time(self) -> float:
        """The time there."""
        return self._times[min(self.done // self._rounds + 1, len(self._times) - 1)]

    @property
    def t(self) -> Array:
        """(B,) the same, for a network."""
        return filled(self._from, self.time)

    def take(self, x_0: Array) -> None:
        """Go a round, with the clean image (B, ...) that the network saw there."""
        a_next, s_next = self._ends[1]
        self._noise = (self.x_t - a_next * x_0) / s_next
        if (self.done + 1) % self._rounds == 0:
            self._from = self.x_t
        self.done += 1

    @property
    def _ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Shares of image and noise where the step begins, and where it ends."""
        k = self.done // self._rounds
        return shares(self._schedule, self._times[k]), shares(self._schedule, self._times[k + 1])


def check_method(name: str, eta: float) -> None:
    """Refuse a way down that there is not.

    Raises:
        ConfigError: there is no such method, or eta is out of range or not for that method.
    """
    if name not in METHODS:
        raise ConfigError(f"No solver is named {name!r}. {did_you_mean(name, METHODS)}")
    if not 0 <= eta <= 1:
        raise ConfigError(
            f"eta must be from 0 (no fresh noise on the way) to 1 (as much as DDPM); got {eta:g}."
        )
    if eta and name != DDIM:
        raise ConfigError(f"The solver {name!r} takes no fresh noise: leave eta out, or take {DDIM!r}.")
