"""Guards that fail closed: numbers of a moment in, what must be done about them out.

Each guard reads one number that the loop saw and says nothing, `skip` (this step is not taken), `slow` (the
learning rate is halved) or `stop`. What is not a number is as bad as can be. A guard's memory is its `state`,
which checkpoints keep.
"""

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pictura.learn.recipe import GuardSettings

Seen = Mapping[str, float]
Action = Literal["skip", "slow", "stop"]
_NORMS, _ENOUGH = 20, 5
_FORGIVEN = 50
_PATIENCE, _MOST_SLOWED = 10, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a guard objects to."""

    guard: str
    action: Action
    reason: str
    seen: float
    limit: float


class Guard(Protocol):
    """Watches one number."""

    name: str
    key: str
    """Of the number among what the loop sees."""
    state: dict[str, Any]
    """Everything it remembers, as JSON can hold it."""

    @property
    def limit(self) -> float:
        """Of the number."""
        ...

    def look(self, seen: float) -> tuple[Action, str] | None:
        """What to do about the number, and why in words; None where it is sound."""
        ...


@dataclass
class FirstRatio:
    """Before the first step on a rollout the policy is the one that painted: each ratio must be 1."""

    limit: float
    name: str = "first ratio"
    key: str = "first_ratio_error"
    state: dict[str, Any] = field(default_factory=dict)

    def look(self, seen: float) -> tuple[Action, str] | None:
        """Stop where it is not."""
        if seen <= self.limit:
            return None
        return "stop", (
            f"before the first step a ratio of probabilities was {seen:.2g} off 1, at most {self.limit:.2g} "
            "is rounding: painting and learning disagree on what was painted"
        )


@dataclass
class Gradient:
    """A gradient far above the usual, or none that is a number, is not followed."""

    limit: float
    max_skips: int
    name: str = "gradient"
    key: str = "grad_norm"
    state: dict[str, Any] = field(default_factory=lambda: {"norms": [], "skips": 0, "since": 0})

    def look(self, seen: float) -> tuple[Action, str] | None:
        """Skip the step; stop at the last of `max_skips`. Fifty good steps in a row forgive all skips."""
        norms: list[float] = self.state["norms"]
        usual = statistics.median(norms) if len(norms) >= _ENOUGH else math.inf
        if math.isfinite(seen) and seen <= self.limit * usual:
            self.state["norms"] = [*norms, seen][-_NORMS:]
            self.state["since"] += 1
            if self.state["since"] >= _FORGIVEN:
                self.state["skips"] = 0
            return None
        self.state["skips"] += 1
        self.state["since"] = 0
        usually = f", {self.limit:g} times the usual {usual:.3g} at most" if math.isfinite(usual) else ""
        reason = (
            f"the gradient's norm was {seen:.3g}{usually} ({self.state['skips']} of {self.max_skips} times)"
        )
        return ("stop" if self.state["skips"] >= self.max_skips else "skip"), reason


@dataclass
class ZeroStd:
    """Groups whose pictures all earn the same teach nothing."""

    limit: float
    updates: int
    name: str = "groups without spread"
    key: str = "zero_std"
    state: dict[str, Any] = field(default_factory=lambda: {"in_a_row": 0})

    def look(self, seen: float) -> tuple[Action, str] | None:
        """Stop after so many updates in a row."""
        self.state["in_a_row"] = 0 if seen <= self.limit else self.state["in_a_row"] + 1
        if self.state["in_a_row"] < self.updates:
            return None
        return "stop", (
            f"in {self.updates} updates in a row more than {self.limit:.0%} of the groups earned all the "
            f"same ({seen:.0%} now), so there is nothing left to learn: ask for harder things"
        )


@dataclass
class KL:
    """The way from the reference has a budget."""

    limit: float
    name: str = "distance from the reference"
    key: str = "kl"
    state: dict[str, Any] = field(default_factory=lambda: {"slowed": 0, "wait": 0})

    def look(self, seen: float) -> tuple[Action, str] | None:
        """Halve the learning rate, wait ten updates, and after three times stop."""
        self.state["wait"] = max(0, self.state["wait"] - 1)
        if not self.limit or seen <= self.limit:
            return None
        reason = (
            f"the policy is {seen:.3g} off the reference (mean square of velocities, or nats of a token's "
            f"law), at most {self.limit:.3g} may be"
        )
        if not math.isfinite(seen):
            return "stop", reason
        if self.state["wait"]:
            return None
        if self.state["slowed"] >= _MOST_SLOWED:
            return "stop", f"{reason}, although the learning rate was halved {_MOST_SLOWED} times"
        self.state["slowed"] += 1
        self.state["wait"] = _PATIENCE
        return (
            "slow",
            f"{reason}: the learning rate is halved ({self.state['slowed']} of {_MOST_SLOWED} times)",
        )


@dataclass
class Invalid:
    """A reward that often cannot tell is broken."""

    limit: float
    name: str = "invalid rewards"
    key: str = "invalid"
    state: dict[str, Any] = field(default_factory=dict)

    def look(self, seen: float) -> tuple[Action, str] | None:
        """Stop at once."""
        if seen <= self.limit:
            return None
        return (
            "stop",
            f"the reward could not score {seen:.0%} of the pictures, at most {self.limit:.0%} may be so",
        )


@dataclass
class HeldOutDrop:
    """What is not learnt from must not get worse."""

    limit: float
    times: int
    name: str = "held-out score"
    key: str = "held_out/drop"
    state: dict[str, Any] = field(default_factory=lambda: {"in_a_row": 0})

    def look(self, seen: float) -> tuple[Action, str] | None:
        """Stop after so many tests in a row."""
        self.state["in_a_row"] = 0 if seen <= self.limit else self.state["in_a_row"] + 1
        if self.state["in_a_row"] < self.times:
            return None
        return "stop", (
            f"a held-out score lies {seen:.1f} standard errors below its best, for {self.times} tests now; "
            f"at most {self.limit:g} is chance: the reward is being gamed"
        )


@dataclass
class Diversity:
    """Pictures of one prompt must stay different."""

    limit: float
    name: str = "diversity"
    key: str = "held_out/diversity_share"
    state: dict[str, Any] = field(default_factory=dict)

    def look(self, seen: float) -> tuple[Action, str] | None:
        """Stop at once."""
        if seen >= self.limit:
            return None
        return "stop", (
            f"the pictures of a prompt differ {seen:.0%} as much as the reference's, at least "
            f"{self.limit:.0%} is wanted: the policy collapses"
        )


@dataclass
class Entropy:
    """Tokens must stay open: where each is certain, all pictures of a prompt are one, and none is better."""

    share: float
    name: str = "entropy"
    key: str = "entropy"
    state: dict[str, Any] = field(default_factory=lambda: {"start": None})

    @property
    def limit(self) -> float:
        """In nats; 0 before the first update."""
        return self.share * (self.state["start"] or 0.0)

    def look(self, seen: float) -> tuple[Action, str] | None:
        """Remember the first; stop below the share of it."""
        if self.state["start"] is None and math.isfinite(seen):
            self.state["start"] = seen
        if seen >= self.limit:
            return None
        return "stop", (
            f"the law of a token has {seen:.3g} nats of entropy, at least {self.limit:.3g} are wanted "
            f"({self.share:.0%} of the start's): the policy paints ever the same"
        )


class Guards:
    """All guards of a run."""

    def __init__(self, settings: GuardSettings) -> None:
        self.all: tuple[Guard, ...] = (
            FirstRatio(settings.ratio_tolerance),
            Gradient(settings.spike, settings.max_skips),
            ZeroStd(settings.max_zero_std, settings.zero_std_updates),
            KL(settings.max_kl),
            Invalid(settings.max_invalid),
            HeldOutDrop(settings.held_out_drop, settings.held_out_times),
            Diversity(settings.min_diversity),
            Entropy(settings.min_entropy),
        )

    def look(self, seen: Seen) -> tuple[Finding, ...]:
        """Show every guard its number, if it is among those of this moment; what they object to."""
        return tuple(self._look(seen))

    def _look(self, seen: Seen) -> Iterator[Finding]:
        for guard in self.all:
            if guard.key not in seen:
                continue
            said = guard.look(seen[guard.key])
            if said is not None:
                action, reason = said
                yield Finding(
                    guard=guard.name, action=action, reason=reason, seen=seen[guard.key], limit=guard.limit
                )

    def state(self) -> dict[str, Any]:
        """What each watches and remembers, as JSON can hold it."""
        return {g.name: {"key": g.key, "limit": g.limit, "state": g.state} for g in self.all}

    def load(self, saved: Mapping[str, Any]) -> None:
        """The inverse of `state`; limits stay those of the settings."""
        for guard in self.all:
            guard.state = {**guard.state, **saved.get(guard.name, {"state": {}})["state"]}
