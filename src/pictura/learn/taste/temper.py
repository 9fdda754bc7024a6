"""How much of what was learnt is kept: a run in, a share of its change out.

Rewards are easily overdone, and a change of weights can be taken back in part. So the
change is tried at several shares on the run's held-out prompts, by scores that are not learnt from and that
the gate does not use, and the largest is kept at which none of them falls far and pictures stay different.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from statistics import mean, stdev

from torch import Tensor

from pictura.learn.actors import Hand
from pictura.learn.loop import Run

SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)
MOST_FALLEN = 0.15
"""Of a score's standard deviation over prompts at the start, that it may lie below the start's mean."""
LEAST_DIFFERENT = 0.9
"""Of the start's diversity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What held-out prompts say of a share."""

    share: float
    fall: float
    """The largest fall of a score below the start's, in its standard deviations over prompts."""
    diversity: float
    """As a share of the start's."""

    @property
    def sound(self) -> bool:
        """Whether it may be kept."""
        return self.fall <= MOST_FALLEN and self.diversity >= LEAST_DIFFERENT


def temper(run: Run, shares: Sequence[float] = SHARES) -> list[Tried]:
    """Try shares of what the average of a run learnt, the largest first, until one is sound.

    Returns:
        All that were tried; the last one is to be kept, if it is sound.
    """
    tried = list[Tried]()
    tests = run.held_out
    before = tests.state
    try:
        for share in shares:
            tests.state = {"base": before["base"], "best": deepcopy(before["base"])}
            weights = run.actors.learnable.weights(_part(run, share))
            seen = tests.look(run.policy, Hand(run.policy, partial(dict, weights)))
            falls = [
                (mean(before["base"][name]) - seen[f"held_out/{name}"]) / (stdev(before["base"][name]) or 1.0)
                for name in tests.scores.names
            ]
            diversity = seen["held_out/diversity_share"]
            tried.append(Tried(share=share, fall=max(falls), diversity=diversity))
            if tried[-1].sound:
                break
    finally:
        tests.state = before
    return tried


def _part(run: Run, share: float) -> dict[str, Tensor]:
    """The values of the average after a share of its way from the base."""
    base, low_rank = run.policy.learnable, run.recipe.model.weights == "low_rank"
    found = {}
    for name, value in run.actors.ema_values.items():
        if low_rank:  # pairs of factors, of which one started at 0
            found[name] = value * share if name.endswith(".up") else value
        else:
            found[name] = base[name].lerp(value, share)
    return found
