"""A small network that guesses what a reward will say, for generators to follow rewards without a gradient.

Its memory holds the newest answers, each with the guess that was made before the answer was learnt from: so
how well it guesses is always tested on pictures that it has not seen. Everything is in the state of the
module, and a run that goes on has the surrogate of the run that never stopped.

Source  Jia et al. 2024, LaSRO (arXiv:2411.15247), for a learnt surrogate that is refreshed on what the
        generator paints now. Differs: it sees pictures, no latents, and is not followed while it is blind.
Letters B pictures, M memory, S side, D text width, F features.
Units   pictures in [0, 1] on light grey; rewards and guesses in the reward's own units.
"""

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_WIDTHS = (32, 64, 128, 128)
_LAST_SIDE = 4
_HIDDEN = 128
_LEAST_STD = 1e-6
_TESTED = (32, 128)
"""Newest answers by which it is tested: fewer say nothing, more are of too long ago."""


class Surrogate(nn.Module):
    """Guesses the reward of a picture and its sentence."""

    pictures: Tensor
    """(M, 3, S, S) uint8."""
    sentences: Tensor
    """(M, D)."""
    rewards: Tensor
    """(M,) what the reward said."""
    guesses: Tensor
    """(M,) what was guessed before."""
    count: Tensor
    """() how many answers there ever were; the newest overwrite the oldest."""
    lessons: Tensor
    """() how many steps it has learnt."""

    def __init__(self, side: int, text_width: int, memory: int) -> None:
        super().__init__()
        halvings = max(1, round(math.log2(side / _LAST_SIDE)))
        widths = [3, *(_WIDTHS[min(i, len(_WIDTHS) - 1)] for i in range(halvings))]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.SiLU()]
        self.look = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(_LAST_SIDE), nn.Flatten())
        self.read = nn.Linear(text_width, _HIDDEN)
        self.join = nn.Linear(widths[-1] * _LAST_SIDE**2, _HIDDEN)
        self.say = nn.Sequential(nn.SiLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, 1))
        self.register_buffer("pictures", torch.zeros(memory, 3, side, side, dtype=torch.uint8))
        self.register_buffer("sentences", torch.zeros(memory, text_width))
        self.register_buffer("rewards", torch.zeros(memory))
        self.register_buffer("guesses", torch.zeros(memory))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("lessons", torch.zeros((), dtype=torch.int64))
        self.register_load_state_dict_pre_hook(_begin_where_there_was_none)  # type: ignore[no-untyped-call]

    def forward(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """Guess the rewards of pictures (B, 3, S, S) and sentences (B, D): (B,)."""
        mean, std = self._scale()
        return mean + std * self._standardised(pictures, sentences)

    def loss(self, pictures: Tensor, sentences: Tensor, rewards: Tensor) -> Tensor:
        """Squared error of each guess, in units of the remembered rewards' variance: (B,)."""
        mean, std = self._scale()
        return (self._standardised(pictures, sentences) - (rewards - mean) / std).square()

    @torch.no_grad()
    def remember(self, pictures: Tensor, sentences: Tensor, rewards: Tensor) -> None:
        """Keep answers of the reward, with what is guessed of them now."""
        size = len(self.rewards)
        pictures, sentences, rewards = pictures[-size:], sentences[-size:], rewards[-size:]
        guesses = self(pictures, sentences) if len(self._known()) else torch.zeros_like(rewards)
        rows = (int(self.count) + torch.arange(len(rewards), device=rewards.device)) % size
        self.pictures[rows] = (pictures.clamp(0, 1) * 255).round().to(torch.uint8)
        self.sentences[rows] = sentences.to(self.sentences)
        self.rewards[rows], self.guesses[rows] = rewards, guesses
        self.count += len(rewards)

    def recall(self, draws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Remembered pictures, sentences and rewards, one row for each of `draws` (B,) in [0, 1)."""
        rows = (draws * len(self._known())).long()
        return self.pictures[rows].float() / 255, self.sentences[rows], self.rewards[rows]

    def correlation(self) -> float:
        """Of the newest rewards with what was guessed of them, -1 to 1; 0 where these are too few."""
        least, most = _TESTED
        known = len(self._known())
        if known < least:
            return 0.0
        newest = int(self.count) - 1 - torch.arange(min(most, known), device=self.rewards.device)
        rows = newest % len(self.rewards)
        rewards, guesses = (row - row.mean() for row in (self.rewards[rows], self.guesses[rows]))
        return float(F.cosine_similarity(rewards, guesses, dim=0))

    def _standardised(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        features_BF = self.join(self.look(2 * pictures - 1)) + self.read(sentences)
        return self.say(features_BF)[:, 0]

    def _known(self) -> Tensor:
        return self.rewards[: min(int(self.count), len(self.rewards))]

    def _scale(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the remembered rewards."""
        known = self._known()
        if len(known) < 2:
            return torch.zeros_like(self.rewards[0]), torch.ones_like(self.rewards[0])
        return known.mean(), known.std(correction=0).clamp_min(_LEAST_STD)


def _begin_where_there_was_none(surrogate: Surrogate, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    """A run that gets a surrogate on its way goes on with a new one."""
    if not any(name.startswith(prefix) for name in state):
        state.update({prefix + name: value for name, value in surrogate.state_dict().items()})


def leave_out_surrogate(module: nn.Module) -> None:
    """Let `module`, which has none, take over the state of one that had: a run that goes on without."""

    def drop(module: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in [name for name in state if name.startswith(f"{prefix}surrogate.")]:
            del state[name]

    module.register_load_state_dict_pre_hook(drop)
