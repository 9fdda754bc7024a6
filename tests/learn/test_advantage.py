"""Advantages: what must be true of them, whatever the rewards are."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.learn.advantage import AdvantageSettings, advantages, mixture

G = 4
ALL = [
    AdvantageSettings(scale=scale, rank=rank, leave_one_out=loo)
    for scale in ("batch", "group")
    for rank in (False, True)
    for loo in (False, True)
]


def rewards(num_groups: int = 6) -> Tensor:
    """Groups of different means and spreads."""
    random = torch.Generator().manual_seed(0)
    spread = torch.linspace(0.1, 2, num_groups)[:, None]
    return (spread * torch.randn(num_groups, G, generator=random) + 3 * spread).flatten()


def compare(reward: Tensor, settings: AdvantageSettings | None = None, valid: Tensor | None = None) -> Tensor:
    valid = torch.ones(len(reward), dtype=torch.bool) if valid is None else valid
    return advantages(reward, valid, group_size=G, settings=settings).advantage


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_the_mean_of_a_group_is_zero_and_the_better_picture_has_more(settings: AdvantageSettings) -> None:
    reward = rewards()
    advantage = compare(reward, settings).unflatten(0, (-1, G))
    assert advantage.mean(dim=1).abs().max() < 1e-6
    assert torch.equal(advantage.argsort(dim=1), reward.unflatten(0, (-1, G)).argsort(dim=1))


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_neither_a_shift_nor_a_positive_scale_of_the_reward_matters(settings: AdvantageSettings) -> None:
    reward = rewards()
    torch.testing.assert_close(compare(7 * reward - 3, settings), compare(reward, settings))
    torch.testing.assert_close(compare(-reward, settings), -compare(reward, settings))


def test_without_a_scale_the_reward_keeps_its_own() -> None:
    bare = AdvantageSettings(scale="none", clip=math.inf)
    torch.testing.assert_close(compare(7 * rewards() - 3, bare), 7 * compare(rewards(), bare))


def test_known_numbers() -> None:
    reward = torch.tensor([0.0, 1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0])
    batch_std = reward.std(correction=0)
    torch.testing.assert_close(compare(reward)[:4], torch.tensor([-1.0, 0, 0, 1]) / batch_std)
    in_group = compare(reward, AdvantageSettings(scale="group"))
    torch.testing.assert_close(in_group[:4], torch.tensor([-1.0, 0, 0, 1]) * math.sqrt(2))
    win_rate = compare(reward, AdvantageSettings(scale="none", rank=True))
    torch.testing.assert_close(win_rate[:4], torch.tensor([-0.5, 0, 0, 0.5]))
    others = compare(reward, AdvantageSettings(scale="none", leave_one_out=True))
    torch.testing.assert_close(others[0], torch.tensor(0 - 4 / 3))
    assert not compare(reward)[4:].any()


def test_a_rank_does_not_see_how_far_apart_rewards_are() -> None:
    ranked = AdvantageSettings(rank=True)
    torch.testing.assert_close(compare(rewards().exp(), ranked), compare(rewards(), ranked))


@pytest.mark.parametrize("settings", ALL, ids=str)
@pytest.mark.parametrize("junk", [1e6, math.nan, math.inf])
def test_what_is_invalid_is_never_read(settings: AdvantageSettings, junk: float) -> None:
    reward, valid = rewards(), torch.ones(24, dtype=torch.bool)
    valid[[2, 5, 6]] = False
    seen = compare(torch.where(valid, reward, junk), settings, valid)
    torch.testing.assert_close(seen, compare(torch.where(valid, reward, -4.0), settings, valid))
    assert not seen[~valid].any()
    group = seen[:4][valid[:4]]
    assert group.mean().abs() < 1e-6
    assert group.abs().max() > 0.01


def test_the_valid_ones_of_a_group_are_compared_as_if_they_were_alone() -> None:
    bare, reward = AdvantageSettings(scale="none", rank=True), torch.tensor([0.0, 9.0, 3.0, 2.0])
    valid = torch.tensor([True, False, True, True])
    torch.testing.assert_close(compare(reward, bare, valid), torch.tensor([-0.5, 0.0, 0.5, 0.0]))
    bare = AdvantageSettings(scale="none", leave_one_out=True)
    torch.testing.assert_close(compare(reward, bare, valid), torch.tensor([-2.5, 0.0, 2.0, 0.5]))


def test_a_reward_that_is_no_number_counts_as_invalid() -> None:
    reward = torch.tensor([0.0, math.nan, 1.0, 2.0])
    assert torch.equal(
        compare(reward), compare(reward.nan_to_num(), valid=torch.tensor([True, False, True, True]))
    )


def test_groups_without_spread_are_counted() -> None:
    reward = torch.tensor([1.0] * 4 + [0.1] * 4 + [0.0, 1.0, 0, 0] + [5.0, 5.0, 5.0, 5.000001])
    found = advantages(reward, torch.ones(16, dtype=torch.bool), group_size=G)
    assert found.metrics["zero_std"] == 0.75
    assert not found.advantage[:8].any()
    one_left = torch.tensor([True, False, False, False])
    alone = advantages(torch.arange(4.0), one_left, group_size=G)
    assert alone.metrics["zero_std"] == 1.0
    assert not alone.advantage.any()


def test_constant_rewards_and_no_valid_reward_give_zeros() -> None:
    for reward in (torch.zeros(8), torch.full((8,), 0.1)):
        for scale in ("batch", "group", "none"):
            assert not compare(reward, AdvantageSettings(scale=scale)).any()
    assert not compare(torch.full((8,), math.nan)).any()


def test_a_tiny_gap_is_not_blown_up() -> None:
    """Dividing by the group's own spread makes 1e-3 as good as 1; the batch's spread does not."""
    reward = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.5, 0.501, 0.5, 0.501])
    assert compare(reward)[4:].abs().max() < 0.01
    assert compare(reward, AdvantageSettings(scale="group"))[4:].abs().min() > 0.9
    assert compare(reward, AdvantageSettings(scale="group", floor=0.1))[4:].abs().max() < 0.02


def test_advantages_are_clipped_and_it_is_said() -> None:
    reward = torch.zeros(400)
    reward[0] = 1.0
    found = advantages(reward, torch.ones(400, dtype=torch.bool), group_size=100)
    assert found.advantage.max() == 5.0
    assert found.metrics["advantage_clipped"] == pytest.approx(1 / 400)


class Sums:
    """Adds numbers over threads, as a process group does over processes."""

    def __init__(self, num: int) -> None:
        self.barrier, self.numbers = Barrier(num), [torch.zeros(1)] * num

    def total(self, rank: int, numbers: Tensor) -> Tensor:
        self.numbers[rank] = numbers
        self.barrier.wait(timeout=10)
        added = torch.stack(self.numbers).sum(dim=0)
        self.barrier.wait(timeout=10)
        return added


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_processes_that_add_up_their_sums_see_what_one_sees(settings: AdvantageSettings) -> None:
    reward, valid = rewards(), torch.ones(24, dtype=torch.bool)
    valid[3] = False
    sums, parts = Sums(2), [slice(0, 8), slice(8, 24)]

    def run(rank: int) -> Tensor:
        part = parts[rank]
        total = partial(sums.total, rank)
        return advantages(reward[part], valid[part], group_size=G, settings=settings, total=total).advantage

    with ThreadPoolExecutor(2) as pool:
        apart = torch.cat(list(pool.map(run, range(2))))
    torch.testing.assert_close(apart, compare(reward, settings, valid))


def test_in_a_mixture_no_reward_drowns_the_others() -> None:
    easy, hard = rewards() * 1000, torch.tensor([0.0, 0.001, 0.0, 0.001] * 6)
    valid = torch.ones(24, dtype=torch.bool)
    mixed = mixture({"easy": easy, "hard": hard}, {"easy": 1.0, "hard": 1.0}, valid, group_size=G)
    alone = mixture({"easy": easy, "hard": hard}, {"hard": 1.0}, valid, group_size=G)
    torch.testing.assert_close(alone.float(), torch.tensor([-1.0, 1.0] * 12))
    for part in (easy, hard):
        together = torch.stack([mixed, part.double()]).unflatten(1, (-1, G))
        assert all(torch.corrcoef(together[:, group])[0, 1] > 0.3 for group in range(6))


def test_mistakes_are_named() -> None:
    valid = torch.ones(8, dtype=torch.bool)
    with pytest.raises(ConfigError, match=r"groups of at least 2; got group_size=1"):
        advantages(torch.zeros(8), valid, group_size=1)
    with pytest.raises(ConfigError, match=r"whole groups of group_size=3 pictures; got 8 pictures"):
        advantages(torch.zeros(8), valid, group_size=3)
    with pytest.raises(ConfigError, match=r"one number per picture; got \(7,\) and \(8,\)"):
        advantages(torch.zeros(7), valid, group_size=2)
    with pytest.raises(ConfigError, match=r"'batch', 'group' or 'none'; got 'all'"):
        AdvantageSettings(scale="all")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"clip above 0; got 0.0001 and 0"):
        AdvantageSettings(clip=0)
    with pytest.raises(ConfigError, match=r"No reward is named 'jpg' in this mixture"):
        mixture({"jpeg": torch.zeros(8)}, {"jpg": 1.0}, valid, group_size=2)
