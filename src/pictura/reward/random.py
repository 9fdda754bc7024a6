"""Noise: a number for each picture that says nothing, to see that learning from nothing leads nowhere."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pictura.core.types import Prompt
from pictura.reward.types import Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomSettings:
    """How numbers are drawn."""

    seed: int = 0
    """Another seed gives other numbers."""

    def build(self, device: str) -> "Random":
        """The reward."""
        return Random(self.seed)


class Random:
    """A number in [0, 1) drawn from the bytes of a picture and its sentence: the same whenever asked."""

    name = "random"
    differentiable = False
    value_range = (0.0, 1.0)

    def __init__(self, seed: int = 0) -> None:
        self._seed = str(seed).encode()

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, see `Reward`."""
        rows = images.detach().float().cpu().numpy()
        total = [self._draw(row.tobytes(), p.text) for row, p in zip(rows, prompts, strict=True)]
        return Scores(
            total=torch.tensor(total, device=images.device),
            valid=torch.ones(len(images), dtype=torch.bool, device=images.device),
        )

    def _draw(self, picture: bytes, text: str) -> float:
        digest = hashlib.blake2b(picture + text.encode(), key=self._seed, digest_size=3).digest()
        return int.from_bytes(digest) / 2**24
