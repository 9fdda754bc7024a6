"""A policy of tokens in closed form: pictures of a few grey pixels, each drawn from a table of logits.

Letters B pictures, L tokens of a picture, V codes.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from pictura.core.types import Conditioning, Prompt
from pictura.learn import draws
from pictura.learn.actors import Actors
from pictura.learn.advantage import AdvantageSettings, advantages
from pictura.learn.rollout import Experience, experience
from pictura.learn.sampling import paint
from pictura.learn.tokens import TokenPainting
from pictura.learn.weights import Full

OWN = AdvantageSettings(scale="none", clip=float("inf"), leave_one_out=True)
"""Under which the mean gradient of many pictures is that of the expected reward."""


class TablePolicy:
    """The first token has the logits `first` (V,), a further one the row of `next` (V, V) of that before."""

    device = torch.device("cpu")

    def __init__(
        self, first: Sequence[float], follow: Sequence[Sequence[float]] = (), *, num_tokens: int = 1
    ) -> None:
        self.num_tokens = num_tokens
        size = len(first)
        self.learnable: Mapping[str, Tensor] = {
            "first": torch.tensor(first),
            "next": torch.tensor(follow) if follow else torch.zeros(size, size),
        }

    def read(self, texts: Sequence[str]) -> Conditioning:
        """Nothing of the prompt matters."""
        return Conditioning(tokens=torch.zeros(len(texts), 1), mask=torch.ones(len(texts), 1).bool())

    def logits(self, weights: Mapping[str, Tensor], codes: Tensor, cond: Conditioning) -> Tensor:
        first = weights["first"].expand(len(codes), 1, -1)
        return torch.cat([first, weights["next"][codes[:, :-1]]], dim=1)

    def draw(
        self, weights: Mapping[str, Tensor], cond: Conditioning, uniform: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One after another, from `first` on."""
        logits, codes, log_probs = weights["first"].expand(len(uniform), -1), [], []
        for u in uniform.T:
            law = logits.log_softmax(-1)
            codes.append((law.double().exp().cumsum(-1) <= u[:, None]).sum(-1).clamp(max=law.shape[1] - 1))
            log_probs.append(law.gather(1, codes[-1][:, None])[:, 0])
            logits = weights["next"][codes[-1]]
        return torch.stack(codes, dim=1), torch.stack(log_probs, dim=1)

    def decode(self, x_0: Tensor) -> Tensor:
        """Grey (B, 3, 1, L), the last code white."""
        grey = x_0.float() / (self.learnable["first"].numel() - 1)
        return grey[:, None, None].expand(-1, 3, 1, -1)


def table_actors(
    first: Sequence[float], follow: Sequence[Sequence[float]] = (), *, num_tokens: int = 1
) -> Actors:
    policy = TablePolicy(first, follow, num_tokens=num_tokens)
    return Actors(policy, Full(policy.learnable))


def drawn(
    actors: Actors,
    reward: Callable[[Tensor], Tensor],
    *,
    num_groups: int = 4,
    group_size: int = 8,
    update: int = 0,
    settings: AdvantageSettings = OWN,
) -> Experience:
    """A rollout with what its codes (B, L) earned."""
    policy = actors.policy
    assert isinstance(policy, TablePolicy)
    seeds = tuple(s for i in range(num_groups) for s in draws.seeds_of(0, update, i, group_size))
    painting = TokenPainting(num_tokens=policy.num_tokens, at_once=2**20)
    prompts = tuple(Prompt(text=str(i)) for i in range(num_groups))
    rollout = paint(policy, actors.new, prompts, seeds, painting, group_size=group_size)
    earned = reward(rollout.x_0)
    valid = torch.ones(len(seeds), dtype=torch.bool)
    told = advantages(earned, valid, group_size=group_size, settings=settings).advantage
    return experience(rollout, advantage=told, reward=earned, valid=valid, rows=slice(0, len(seeds)))
