"""Online DPO: who is compared with whom, and what that teaches."""

import math
from dataclasses import replace

import pytest
import torch

from pictura.learn.algorithms.dpo import DPO, DPOSettings
from pictura.learn.renoise import renoised
from pictura.learn.rollout import Experience
from tests.learn.gaussian import gaussian_actors, gradient, move, painted

DOWN = {"mean": torch.full((3, 1, 1), -0.3)}


def group_of(*scores: float, valid: tuple[bool, ...] = ()) -> Experience:
    """One group with these advantages."""
    batch = painted(gaussian_actors(), DPO(DPOSettings()), num_groups=1, group_size=len(scores))
    ok = torch.tensor(valid) if valid else torch.ones(len(scores), dtype=torch.bool)
    return replace(batch, advantage=torch.tensor(scores), valid=ok)


def only(batch: Experience, *rows: int) -> Experience:
    """The same group with no other valid pictures."""
    kept = torch.zeros_like(batch.valid)
    kept[list(rows)] = True
    return replace(batch, valid=kept & batch.valid)


def test_at_the_reference_a_pair_costs_log_two_and_a_tie_nothing() -> None:
    actors, dpo = gaussian_actors(), DPO(DPOSettings())
    loss = dpo.loss(actors, group_of(0.0, 2.0, 1.0))
    torch.testing.assert_close(loss.per_picture.detach(), torch.full((3,), math.log(2)))
    assert loss.metrics["groups_with_pairs"] == 1
    tie = dpo.loss(actors, group_of(1.0, 1.0, 1.0))
    assert not tie.per_picture.any()
    assert tie.metrics["groups_with_pairs"] == 0


def test_the_loss_is_the_published_one() -> None:
    """-log sigmoid(-beta / 2 ((e_w - e_w_ref) - (e_l - e_l_ref))), both noised alike."""
    actors, batch = gaussian_actors(), group_of(1.0, -1.0)
    move(actors, DOWN, 1.0)
    shared = (batch.seeds[0], batch.seeds[0])
    (at,) = renoised(batch.x_0, shared, num_times=1, shift=3.0)
    assert torch.equal(at.t[0], at.t[1])
    (won, lost), (won_ref, lost_ref) = (
        (velocity(at.x_t, at.t, batch.cond) - at.velocity).square().mean(dim=(1, 2, 3))
        for velocity in (actors.new, actors.reference)
    )
    expected = -torch.sigmoid(-0.5 * 10.0 * ((won - won_ref) - (lost - lost_ref))).log()
    loss = DPO(DPOSettings(beta=10.0, num_times=1)).loss(actors, batch)
    torch.testing.assert_close(loss.per_picture, expected.expand(2))
    assert loss.metrics["accuracy"] == float((won - won_ref) < (lost - lost_ref))


def test_extremes_are_the_best_and_the_worst_that_are_valid() -> None:
    actors, dpo = gaussian_actors(), DPO(DPOSettings())
    move(actors, DOWN, 1.0)
    batch = group_of(1.0, 9.0, -1.0, 3.0, -7.0, valid=(True, False, True, True, True))
    found = dpo.loss(actors, batch).per_picture
    torch.testing.assert_close(found, dpo.loss(actors, only(batch, 3, 4)).per_picture)
    assert not torch.isclose(found, dpo.loss(actors, only(batch, 0, 2)).per_picture).any()
    assert not dpo.loss(actors, only(batch, 3)).per_picture.any()
    assert not dpo.loss(actors, only(batch)).per_picture.any()


def test_all_pairs_are_the_mean_over_single_pairs() -> None:
    actors, dpo = gaussian_actors(), DPO(DPOSettings(pairs="all"))
    move(actors, DOWN, 1.0)
    batch = group_of(1.0, 3.0, 1.0)
    pairs = [dpo.loss(actors, only(batch, *rows)).per_picture for rows in ((0, 1), (2, 1))]
    torch.testing.assert_close(dpo.loss(actors, batch).per_picture, sum(pairs) / 2)


def test_two_pictures_are_one_pair_either_way() -> None:
    actors, batch = gaussian_actors(), group_of(1.0, -1.0)
    move(actors, DOWN, 1.0)
    both = [gradient(actors, DPO(DPOSettings(pairs=pairs)), batch)["mean"] for pairs in ("extremes", "all")]
    torch.testing.assert_close(*both)


def test_a_preference_that_is_satisfied_pulls_less() -> None:
    actors, dpo = gaussian_actors(), DPO(DPOSettings())
    batch = group_of(1.0, -1.0)
    batch = replace(batch, x_0=torch.tensor([1.0, -1.0])[:, None, None, None].expand(2, 3, 1, 1))
    at_first = gradient(actors, dpo, batch)["mean"].norm()
    move(actors, DOWN, 3.0)
    assert dpo.loss(actors, batch).metrics["margin"] > 3
    assert gradient(actors, dpo, batch)["mean"].norm() < 0.2 * at_first
    assert at_first > 0


@pytest.mark.parametrize("pairs", ["extremes", "all"])
def test_each_group_teaches_alike(pairs: str) -> None:
    actors, dpo = gaussian_actors(), DPO(DPOSettings(pairs=pairs))  # type: ignore[arg-type]
    batch = painted(actors, dpo, num_groups=3, group_size=4)
    move(actors, DOWN, 1.0)
    per_group = dpo.loss(actors, batch).per_picture.unflatten(0, (3, 4))
    assert torch.equal(per_group, per_group[:, :1].expand(3, 4))
    assert len(set(per_group[:, 0].tolist())) == 3
