"""What must hold for a learnt model to become the default: numbers in, sentences with their verdicts out.

    held-out pairs    the head that was learnt from tells more than half of the choices that it never saw
    preferred         a head fitted on those choices alone prefers the new pictures of held-out prompts
    GlyphBench        the difference to the base, same prompts and seeds: its whole interval above -0.03
    diversity         pictures of a prompt differ at least 0.8 times as much as the base's

All intervals hold 95 % and are over prompts. GlyphBench is compared with the base, not with the version
before, so that small losses do not add up.
"""

from dataclasses import dataclass

from pictura.learn.taste.intervals import Interval

CHANCE = 0.5
MOST_LOST = 0.03
MIN_DIVERSITY = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One condition."""

    name: str
    passed: bool
    said: str
    """The numbers, as people read them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Benched:
    """What the benchmark says of two models."""

    before: float
    after: float
    difference: Interval
    """Paired: of the same prompts and seeds."""
    num_prompts: int
    num_pictures: int
    """Of each model."""


def check_heads(accuracy: Interval, num_pairs: int) -> Check:
    """Whether there is a taste at all; asked before anything is learnt."""
    return Check(
        name="held-out pairs",
        passed=accuracy.low > CHANCE,
        said=f"{accuracy} of {num_pairs} held-out choices told right; the interval must lie above {CHANCE:g}",
    )


def check_wins(wins: Interval, num_prompts: int) -> Check:
    """Whether the new pictures are preferred."""
    return Check(
        name="preferred",
        passed=wins.low > CHANCE,
        said=f"a head fitted on held-out choices alone prefers {wins} of the new pictures of {num_prompts} "
        f"held-out prompts to the old ones; the interval must lie above {CHANCE:g}",
    )


def check_bench(found: Benched) -> Check:
    """Whether sentences are still painted right."""
    return Check(
        name="GlyphBench",
        passed=found.difference.low >= -MOST_LOST,
        said=f"{found.before:.3f} before, {found.after:.3f} after, difference {found.difference} on "
        f"{found.num_prompts} prompts and {found.num_pictures} pictures of each; the interval must not reach "
        f"below {-MOST_LOST:g}",
    )


def check_diversity(share: float) -> Check:
    """Whether pictures of a prompt stay different."""
    return Check(
        name="diversity",
        passed=share >= MIN_DIVERSITY,
        said=f"pictures of a prompt differ {share:.2f} times as much as the base's; at least "
        f"{MIN_DIVERSITY:g} is wanted",
    )
