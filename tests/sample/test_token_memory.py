"""What blocks remember: at every step, just the tokens that their masks say, and the whole prefix."""

from typing import Any

import numpy as np
import pytest
import torch

from pictura.sample.token_masks import KINDS, image_mask
from pictura.sample.token_memory import MemoryPlan, TokenMemory

SHAPES = [(4, 5, 3), (5, 3, 3), (3, 7, 5), (1, 4, 3), (6, 2, 3), (4, 4, 1), (3, 3, 7)]
PREFIX, NUM_BLOCKS = 3, 5


def plan_of(rows: int, cols: int, kernel: int) -> MemoryPlan:
    return MemoryPlan(num_prefix=PREFIX, rows=rows, cols=cols, conv_kernel=kernel, num_blocks=NUM_BLOCKS)


def begin(plan: MemoryPlan, *, num: int = 2, zeros: Any = np.zeros) -> TokenMemory:
    """A prefix of the numbers -1, -2, -3; values are ten times the keys."""
    past = zeros((NUM_BLOCKS, 1, 2, PREFIX, 1))
    for position in range(PREFIX):
        past[:, :, :, position] = -1 - position
    return TokenMemory(plan, past, 10 * past, num=num, zeros=zeros)


@pytest.mark.parametrize(("rows", "cols", "kernel"), SHAPES)
@pytest.mark.parametrize("zeros", [np.zeros, torch.zeros])
def test_each_token_finds_those_that_its_mask_shows(rows: int, cols: int, kernel: int, zeros: Any) -> None:
    plan = plan_of(rows, cols, kernel)
    memory, allowed = begin(plan, zeros=zeros), plan.allowed()
    assert [KINDS[kind] for kind in plan.kinds()] == ["row", "column", "row", "row", "conv"]
    for index in range(rows * cols):
        memory.turn_to(index)
        for i, kind in enumerate(plan.kinds()):
            there = allowed[kind][index]
            expected = np.flatnonzero(image_mask(KINDS[kind], rows, cols, kernel)[index])
            for array, factor in ((memory.keys[i], 1), (memory.values[i], 10)):
                found = np.asarray(array)[:, :, there, 0]
                assert (found[:, :, :PREFIX] == factor * np.array([-1, -2, -3])).all()
                tokens = np.sort(found[:, :, PREFIX:]) / factor - 1
                assert (tokens == [one for one in expected if one != index]).all()
        new = zeros((2, 2, NUM_BLOCKS, 1)) + index + 1
        memory.add(index, new, 10 * new)


def test_a_memory_is_no_longer_than_what_is_looked_at() -> None:
    memory = begin(plan_of(6, 4, 3))
    assert [array.shape for array in memory.keys] == [(2, 2, PREFIX + w, 1) for w in (4, 6, 4, 4, 5)]


def test_pictures_and_blocks_are_remembered_apart() -> None:
    memory = begin(plan_of(2, 2, 3))
    new = np.arange(2 * 2 * NUM_BLOCKS).reshape(2, 2, NUM_BLOCKS, 1)
    memory.add(0, new, -new)
    memory.turn_to(2)  # of the same column
    for i in range(NUM_BLOCKS):
        np.testing.assert_array_equal(memory.keys[i][:, :, PREFIX], new[:, :, i])
        np.testing.assert_array_equal(memory.values[i][:, :, PREFIX], -new[:, :, i])
