"""Random numbers that belong to a picture: its seed and the number of a draw in, numbers out.

What is drawn for a picture does not depend on what lies beside it, so that batches of any size and any number
of processes learn the same.

Letters B pictures, L tokens of each.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

NOISE, PATH, LEARN = 0, 1000, 2000
"""Streams: the noise that painting starts from; PATH + i that of step i; from LEARN on what losses draw."""


def _random(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream], dtype=np.uint64)))


def normal(seeds: Sequence[int], stream: int, shape: Sequence[int]) -> Tensor:
    """Standard normal numbers, (B, *shape) float32 on the CPU."""
    rows = [_random(seed, stream).standard_normal(tuple(shape), dtype=np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows))


def uniform(seeds: Sequence[int], stream: int) -> Tensor:
    """Numbers from 0 to 1, (B,) float32 on the CPU."""
    return torch.tensor([_random(seed, stream).random() for seed in seeds], dtype=torch.float32)


def uniforms(seeds: Sequence[int], stream: int, num: int) -> Tensor:
    """Numbers in [0, 1), (B, L) float64 on the CPU: L = `num` of each picture."""
    return torch.from_numpy(np.stack([_random(seed, stream).random(num) for seed in seeds]))


def seeds_of(seed: int, update: int, prompt: int, group_size: int) -> tuple[int, ...]:
    """The seeds of a group: of run `seed`, update number `update`, prompt number `prompt` of that update."""
    words = np.random.SeedSequence([seed, update, prompt]).generate_state(group_size, dtype=np.uint64)
    return tuple(int(word) for word in words)
