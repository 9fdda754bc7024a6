"""Advantage weighted matching against closed forms."""

from dataclasses import replace

import pytest
import torch

from pictura.learn.algorithms.awm import AWM, AWMSettings
from pictura.learn.renoise import renoised
from tests.learn.gaussian import gaussian_actors, gradient, move, painted

BARE = AWMSettings(kl_weight=0.0, old_weight=0.0)


@pytest.mark.parametrize("power", [0.25, 1.0])
def test_its_gradient_is_the_matching_gradient_weighted_by_advantage(power: float) -> None:
    actors, awm = gaussian_actors(), AWM(replace(BARE, num_times=1, power=power))
    batch = painted(actors, awm)
    (at,) = renoised(batch.x_0, batch.seeds, num_times=1, shift=3.0)
    error = (actors.new(at.x_t, at.t, batch.cond) - at.velocity).square().mean(dim=(1, 2, 3))
    weighted = (batch.advantage / 5 * at.t * (error**power / power)).mean()
    (expected,) = torch.autograd.grad(weighted, actors.values["mean"])
    torch.testing.assert_close(gradient(actors, awm, batch)["mean"], expected, rtol=1e-3, atol=1e-6)


def test_a_small_power_pushes_far_pictures_away_less() -> None:
    """With the plain square a bad picture is pushed away the harder the farther it is."""

    def push(power: float, far: float) -> float:
        actors, awm = gaussian_actors(), AWM(replace(BARE, power=power))
        batch = painted(actors, awm, num_groups=1)
        bad = replace(batch, x_0=torch.full_like(batch.x_0, far), advantage=-torch.ones(8))
        return float(gradient(actors, awm, bad)["mean"].norm())

    assert push(1.0, 8.0) > 1.5 * push(1.0, 4.0)
    assert push(0.25, 8.0) < push(0.25, 4.0)


def test_the_policy_that_paints_has_ratio_one() -> None:
    actors, awm = gaussian_actors(), AWM(AWMSettings())
    batch = painted(actors, awm)
    move(actors, {"mean": torch.full((3, 1, 1), -0.2)}, 1.0)
    assert awm.loss(actors, batch).metrics["ratio_error_max"] == 0


def test_where_the_slow_copy_paints_the_ratio_is_against_it() -> None:
    actors, awm = gaussian_actors(), AWM(AWMSettings(behaviour="old", num_times=1, clip_range=1e-6))
    batch = painted(actors, awm, num_groups=1, group_size=2)
    assert awm.behaviour == "old"
    assert awm.loss(actors, batch).metrics["ratio_error_max"] == 0
    near = replace(batch, x_0=torch.ones(2, 3, 1, 1), advantage=torch.ones(2))
    bare = AWM(replace(BARE, behaviour="old", num_times=1, clip_range=1e-6))
    assert gradient(actors, bare, near)["mean"].all()
    move(actors, {"mean": torch.full((3, 1, 1), -0.5)}, 1.0)
    assert bare.loss(actors, near).metrics["ratio_mean"] > 1
    assert not gradient(actors, bare, near)["mean"].any()
    actors.follow(old_decay=0.0, ema_decay=0.0)
    assert bare.loss(actors, near).metrics["ratio_error_max"] == 0


@pytest.mark.parametrize("pull", ["old_weight", "kl_weight"])
def test_it_is_pulled_back_to_the_slow_copy_and_to_the_reference(pull: str) -> None:
    actors, awm = gaussian_actors(), AWM(replace(BARE, **{pull: 1.0}))  # type: ignore[arg-type]
    batch = replace(painted(actors, awm), advantage=torch.zeros(32))
    assert not gradient(actors, awm, batch)["mean"].any()
    move(actors, {"mean": torch.full((3, 1, 1), -0.5)}, 1.0)
    assert (gradient(actors, awm, batch)["mean"] > 0).all()


def test_the_slow_copy_follows_at_once_first_and_slower_later() -> None:
    awm = AWM(AWMSettings())
    assert [awm.old_decay(update) for update in (0, 100, 9000)] == [0.0, 0.1, 0.3]
