"""A student of a normal law: where guided steps land is known, and one step of its must land there."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.learn.actors import Actors
from pictura.learn.algorithms import ALGORITHMS
from pictura.learn.algorithms.student import Student, StudentSettings
from pictura.learn.recipe import RolloutSettings
from pictura.learn.sampling import Painting, make_painting
from pictura.learn.weights import Full
from pictura.sample.schedules import time_grid
from tests.learn.gaussian import STD, GaussianPolicy, gradient, painted
from tests.learn.tiny_flow import flow_actors

MEAN = torch.tensor([0.2, -0.3, 0.1])[:, None, None]
SCALE = 3.0
TIMES = time_grid(4, shift=3.0)
PAINTING = Painting(num_steps=4, solver="euler", shift=3.0)
ROLLOUT = RolloutSettings(num_steps=4, solver="euler", shift=3.0)


class StepsOfLaw(GaussianPolicy):
    """Adds to the velocity of the law what is learnt: for each of four times a line in x_t."""

    def __init__(self) -> None:
        super().__init__(MEAN.flatten().tolist())
        self._mean = dict(self.learnable)
        self.learnable = {"slope": torch.zeros(4), "offset": torch.zeros(4, 3, 1, 1)}

    def velocity(self, weights: Mapping[str, Tensor], x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        plain = super().velocity(self._mean, x_t, t, cond)
        step = (t[:, None] - torch.tensor(TIMES[:4])).abs().argmin(dim=1)
        return plain + weights["slope"][step][:, None, None, None] * x_t + weights["offset"][step]


def actors_of_law() -> Actors:
    policy = StepsOfLaw()
    return Actors(policy, Full(policy.learnable))


def settings(**chosen: Any) -> StudentSettings:
    return StudentSettings(**{"substeps": 80, "guidance_scale": SCALE, **chosen})


def place(t: float, z: Tensor) -> Tensor:
    """Where the guided law's exact way is at `t`, for noise `z`: guidance scales its mean."""
    return (1 - t) * SCALE * MEAN + ((1 - t) ** 2 * STD**2 + t**2) ** 0.5 * z


@torch.no_grad()
def make_exact(actors: Actors) -> None:
    """Let the student jump as the exact way does: a line, found from two points of it."""
    nothing, one = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    cond = GaussianPolicy().read(["x"])
    for step, (t, t_next) in enumerate(pairwise(TIMES)):
        ends = [(place(t, z), place(t_next, z)) for z in (nothing, one)]
        missing = [
            (there - x) / (t_next - t) - actors.reference(x, torch.tensor([t]), cond) for x, there in ends
        ]
        slope = (missing[1] - missing[0]) / (ends[1][0] - ends[0][0])
        actors.values["slope"][step] = slope.mean()
        actors.values["offset"][step] = (missing[0] - slope * ends[0][0])[0]


@pytest.mark.parametrize("own", [0.0, 0.5, 1.0])
def test_who_jumps_as_the_guided_way_goes_has_no_loss_and_no_gradient(own: float) -> None:
    actors, student = actors_of_law(), Student(settings(own=own, guidance_interval=(0.0, 1.0)))
    batch = painted(actors, student, painting=PAINTING, num_groups=2)
    assert student.loss(actors, batch).per_picture.min() > 0.01
    make_exact(actors)
    loss = student.loss(actors, batch)
    assert loss.per_picture.max() < 1e-6
    assert max(g.abs().max() for g in gradient(actors, student, batch).values()) < 1e-3


def test_it_learns_to_paint_in_four_steps_what_the_guided_law_paints() -> None:
    actors, student = actors_of_law(), Student(settings(substeps=12))
    optimizer = torch.optim.LBFGS(actors.values.values(), max_iter=25)
    batch = painted(actors, student, painting=PAINTING, num_groups=2)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = student.loss(actors, batch).per_picture.mean()
        loss.backward()
        return loss

    for _ in range(3):  # its own states move as it learns
        optimizer.step(closure)
    actors.follow(old_decay=0, ema_decay=0)
    fresh = painted(actors, student, painting=PAINTING, update=1)
    torch.testing.assert_close(fresh.x_0, place(0, fresh.noise), atol=0.03, rtol=0)


def test_all_times_weigh_alike_in_x_0() -> None:
    actors, student = actors_of_law(), Student(settings(guidance_interval=(0.0, 1.0)))
    batch = painted(actors, student, painting=PAINTING, num_groups=1)
    losses = []
    for step in range(4):
        make_exact(actors)
        with torch.no_grad():
            actors.values["offset"][step] += 0.1 / TIMES[step]
        losses.append(Student(replace(student.settings, own=0.0)).loss(actors, batch).per_picture)
    torch.testing.assert_close(torch.stack(losses), torch.full((4, 8), 0.1**2 / 4), atol=1e-5, rtol=0.01)


def test_gradients_reach_what_is_learnt_and_nothing_else() -> None:
    actors, student = flow_actors(), Student(StudentSettings(num_steps=2, substeps=2))
    painting = replace(PAINTING, num_steps=2)
    batch = painted(actors, student, painting=painting, num_groups=1, group_size=2)
    gradients = gradient(actors, student, batch)
    assert all(value.abs().max() > 0 for name, value in gradients.items() if name.endswith(".up"))
    others = [*actors.policy.learnable.values(), *actors.old_values.values(), *actors.ema_values.values()]
    assert not any(value.requires_grad or value.grad is not None for value in others)


def test_its_own_walk_is_the_rollout() -> None:
    """So that it learns at the very states of its pictures."""
    actors, student = actors_of_law(), Student(settings(own=1.0))
    make_exact(actors)
    with torch.no_grad():
        actors.values["slope"] -= 0.1
    actors.follow(old_decay=0, ema_decay=0)
    batch = painted(actors, student, painting=PAINTING, num_groups=1)
    walked: list[Tensor] = []
    asked = actors.new

    def new(x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        walked.append(x_t)
        return asked(x_t, t, cond)

    actors.new = new  # type: ignore[assignment]
    student.loss(actors, batch)
    last = walked[3] - TIMES[3] * asked(walked[3], torch.full((8,), TIMES[3]), batch.cond)
    torch.testing.assert_close(last.detach(), batch.x_0)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"num_steps": 8}, "rollout.num_steps must be 4"),
        ({"solver": "ab2"}, "rollout.solver must be 'euler'"),
        ({"shift": 1.0}, "rollout.shift must be 3.0"),
        ({"guidance_scale": 4.0}, "rollout.guidance_scale must be 1.0"),
    ],
)
def test_rollouts_that_are_not_its_steps_are_refused(chosen: dict[str, Any], said: str) -> None:
    student = Student(StudentSettings())
    with pytest.raises(ConfigError, match=said):
        make_painting(replace(ROLLOUT, **chosen), student, GaussianPolicy())
    assert make_painting(ROLLOUT, student, GaussianPolicy()).calls == 4


@pytest.mark.parametrize(
    "chosen", [{"substeps": 0}, {"own": 1.5}, {"num_steps": 0}, {"solver": "rk9"}], ids=str
)
def test_impossible_settings_are_refused(chosen: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        StudentSettings(**chosen)


def test_it_is_registered() -> None:
    assert ALGORITHMS.get("student") is Student
