"""Several prompts at once, some of them unwanted, and away from the usual: many velocities in, one out.

    v = v_without + s sum_i w_i (v_i - v_without) + g (v_wanted - v_usual)

Shares w_i add up to 1; a negative one steers away. v_wanted is the mean of those with positive shares.

Source  Liu et al. 2022, Composable Diffusion (arXiv:2206.01714), equation 11 with all conditions weighed
        by shares of one guidance scale. Differs: outside the guidance interval only what is wanted counts,
        so that a negative prompt acts where guidance does.
Letters B pictures; further axes are the numbers of a latent.
Units   t in [0, 1], 1 = noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pictura.core.types import Array
from pictura.sample.guidance import Guidance

WITHOUT, USUAL = -1, -2
"""The velocity without a prompt, and that of the usual picture. Those of the parts are numbered from 0."""
MAX_WEIRD = 3000
_FULL = 8.0
"""g at `MAX_WEIRD`. Above 10 the shipped model's colours burn out."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How velocities meet."""

    guidance: Guidance
    shares: Sequence[float] = (1.0,)
    """w_i of every part."""
    weird: int = 0
    """How far away from the usual picture, 0 to `MAX_WEIRD`."""

    def wanted(self, t: float) -> tuple[int, ...]:
        """Which velocities `join` needs at time `t`: numbers of parts, `WITHOUT`, `USUAL`."""
        if not self.guidance.inside(t):
            return tuple(i for i, share in enumerate(self.shares) if share > 0)
        parts = tuple(i for i, share in enumerate(self.shares) if share)
        without = (WITHOUT,) if self.guidance.scale != 1 else ()
        return parts + without + ((USUAL,) if self.weird else ())

    def join(self, found: Mapping[int, Array], t: float, scale: Array | None = None) -> Array:
        """The velocity to follow.

        Args:
            found: (B, ...) of all that is `wanted` at `t`.
            t: time of all of them.
            scale: s of each picture, as an array that fits; None is that of the guidance.
        """
        likely = {i: share for i, share in enumerate(self.shares) if share > 0}
        if not self.guidance.inside(t):
            return _mean(found, likely)
        without = found.get(WITHOUT)
        weighed = {i: share for i, share in enumerate(self.shares) if share}
        if without is None:
            v = _sum({i: found[i] for i in weighed}, weighed)
        else:
            s = self.guidance.scale if scale is None else scale
            v = without + s * _sum({i: found[i] - without for i in weighed}, weighed)
        if self.weird:
            v = v + self.weird * (_FULL / MAX_WEIRD) * (_mean(found, likely) - found[USUAL])
        return v


def _sum(found: Mapping[int, Array], shares: Mapping[int, float]) -> Array:
    first, *others = shares
    total = shares[first] * found[first]
    for i in others:
        total = total + shares[i] * found[i]
    return total


def _mean(found: Mapping[int, Array], shares: Mapping[int, float]) -> Array:
    whole = sum(shares.values())
    return _sum(found, {i: share / whole for i, share in shares.items()})
