"""Noise painted latents again: x_0 in, x_t and the velocity that leads back to x_0 out.

What is learnt at x_t needs no path that led to x_0, so that any solver may paint.

Source  Lipman et al. 2022, flow matching (arXiv:2210.02747). Differs: the times of a picture are spread
        evenly over the draws (stratified), then bent towards noise as a solver's are.
Letters B pictures, C channels, h w latent size.
Units   t in [0, 1], 1 = noise; velocity = noise - x_0.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.learn import draws


class Renoised(NamedTuple):
    """Latents on their way, in fp32."""

    t: Tensor
    """(B,)."""
    x_t: Tensor
    """(B, C, h, w)."""
    velocity: Tensor
    """(B, C, h, w) the true one, noise - x_0."""

    def clean(self, velocity: Tensor) -> Tensor:
        """The x_0 that another velocity leads to."""
        return self.x_t - self.t[:, None, None, None] * velocity


def renoised(
    x_0: Tensor,
    seeds: Sequence[int],
    *,
    num_times: int,
    shift: float,
    between: tuple[float, float] = (0.0, 1.0),
) -> Iterator[Renoised]:
    """Noise latents `num_times` times.

    Args:
        x_0: (B, C, h, w).
        seeds: B; the times and the noise of a picture come from its own.
        num_times: K; draw k takes its time from the k-th of K equal parts.
        shift: s in t -> s t / (1 + (s - 1) t); above 1 gives more of them at high noise.
        between: lowest and highest time before the shift.
    """
    x_0 = x_0.detach().float()
    low, high = between
    for k in range(num_times):
        u = (k + draws.uniform(seeds, draws.LEARN + 2 * k)) / num_times
        u = (low + (high - low) * u).to(x_0)
        t = shift * u / (1 + (shift - 1) * u)
        noise = draws.normal(seeds, draws.LEARN + 2 * k + 1, x_0.shape[1:]).to(x_0)
        t_B111 = t[:, None, None, None]
        yield Renoised(t, (1 - t_B111) * x_0 + t_B111 * noise, noise - x_0)


def check_times(num_times: int, shift: float) -> None:
    """Refuse impossible draws.

    Raises:
        ConfigError: there would be none, or the shift is not above 0.
    """
    if num_times < 1 or not 0 < shift < float("inf"):
        raise ConfigError(
            f"algorithm.num_times must be at least 1 and shift above 0; got {num_times} and {shift}."
        )
