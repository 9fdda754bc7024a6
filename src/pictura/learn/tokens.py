"""Draw pictures token by token to learn from: conditioning and seeds in, codes and log-probabilities out.

A ratio of probabilities is right only where tokens were drawn from the very law whose logarithm is taken. So
there is no temperature, no top-k and no guidance in learning; they are free again when the model paints.

Letters B pictures, L tokens of a picture.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.learn import draws
from pictura.learn.actors import Hand
from pictura.learn.policy import TokenPolicy
from pictura.learn.recipe import RolloutSettings, at_least
from pictura.learn.rollout import Drawn

PLAIN = ("temperature", "top_k", "guidance_scale")
"""What bends the law that tokens are drawn from, and must be off in learning."""
OF_SOLVERS = ("num_steps", "solver", "shift", "guidance_interval")
"""What says nothing about a painter by tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenPainting:
    """How pictures are drawn token by token: from the whole law of each."""

    num_tokens: int
    """L."""
    at_once: int = 64
    """Pictures of one network call."""

    def __post_init__(self) -> None:
        at_least("rollout", self, 1, "at_once")

    @property
    def calls(self) -> int:
        """Network calls for a picture."""
        return self.num_tokens

    def hash(self) -> str:
        """First 12 hex digits over everything that changes a picture."""
        return hashlib.sha256(f"tokens {self.num_tokens}".encode()).hexdigest()[:12]

    def draw(
        self,
        policy: TokenPolicy,
        hand: Hand,
        cond: Conditioning,
        seeds: Sequence[int],
        stochastic: frozenset[int],
    ) -> Drawn:
        """Draw a picture for each of B seeds; all tokens are stochastic, whatever `stochastic` says."""
        uniform_BL = draws.uniforms(seeds, draws.NOISE, self.num_tokens).to(policy.device)
        codes_BL, log_prob_BL = hand.draw(cond, uniform_BL)
        return Drawn(uniform_BL, codes_BL, log_prob=log_prob_BL)


def token_painting(settings: RolloutSettings, num_tokens: int) -> TokenPainting:
    """What a recipe says about a rollout of tokens.

    Raises:
        ConfigError: it asks for what is for solvers, or for other tokens than the law gives.
    """
    default = RolloutSettings()
    for name in (*PLAIN, *OF_SOLVERS):
        asked, usual = getattr(settings, name), getattr(default, name)
        if asked != usual:
            why = (
                f"must be {usual:g} where tokens are learnt, for a ratio of probabilities is right only if "
                f"they were drawn from the very law that is learnt; got {asked:g}. Bend it when you paint."
                if name in PLAIN
                else f"is for painters by solver steps, and this one draws tokens; got {asked}. Leave it out."
            )
            raise ConfigError(f"rollout.{name} {why}")
    return TokenPainting(num_tokens=num_tokens, at_once=settings.at_once)
