"""Painting to learn from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.core.types import Prompt
from pictura.families.flow.policy import FlowPolicy
from pictura.learn import draws
from pictura.learn.actors import Actors
from pictura.learn.algorithm import Noise
from pictura.learn.algorithms.distil import Distil, DistilSettings
from pictura.learn.policy import VelocityPolicy
from pictura.learn.recipe import RolloutSettings
from pictura.learn.rollout import Rollout, experience, repeated
from pictura.learn.sampling import Painting, make_painting, paint
from pictura.learn.weights import LowRank
from tests.learn.gaussian import GaussianPolicy
from tests.tiny_model import make_model

PROMPTS = tuple(Prompt(text=text) for text in ("a red fox", "a blue ball", "a green apple"))
PAINTING = Painting(num_steps=3, at_once=4, guidance_scale=2.0)
SEEDS = tuple(s for i in range(3) for s in draws.seeds_of(5, 0, i, 2))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> VelocityPolicy:
    return FlowPolicy.from_model(make_model(tmp_path_factory.mktemp("m") / "tiny"), torch.device("cpu"))


@pytest.fixture(scope="module")
def actors(policy: VelocityPolicy) -> Actors:
    return Actors(policy, LowRank(policy.learnable, rank=2))


def _paint(policy: VelocityPolicy, actors: Actors, painting: Painting = PAINTING, **more: object) -> Rollout:
    return paint(policy, actors.old, PROMPTS, SEEDS, painting, group_size=2, **more)  # type: ignore[arg-type]


def test_pictures_lie_in_groups_and_on_grey(policy: VelocityPolicy, actors: Actors) -> None:
    made = _paint(policy, actors)
    assert [p.text for p in made.prompts] == [p.text for p in repeated(PROMPTS, 2)]
    assert made.images.shape[:2] == (6, 3)
    assert 0 <= float(made.images.min()) <= float(made.images.max()) <= 1
    assert made.x_0.shape == made.noise.shape == (6, *policy.latent_shape)
    assert made.path == ()


def test_a_picture_does_not_depend_on_what_is_painted_beside_it(
    policy: VelocityPolicy, actors: Actors
) -> None:
    together = _paint(policy, actors)
    alone = paint(policy, actors.old, PROMPTS[1:2], SEEDS[2:4], PAINTING, group_size=2)
    torch.testing.assert_close(alone.x_0, together.x_0[2:4], atol=1e-5, rtol=1e-4)
    parts = _paint(policy, actors, replace(PAINTING, at_once=1))
    torch.testing.assert_close(parts.x_0, together.x_0, atol=1e-5, rtol=1e-4)


def test_stochastic_steps_are_kept_whole_over_chunks(policy: VelocityPolicy, actors: Actors) -> None:
    made = _paint(policy, actors, stochastic=frozenset({0, 1}))
    assert [step.x_t.shape[0] for step in made.path] == [6, 6]
    first, second = made.path
    torch.testing.assert_close(first.x_next, second.x_t)
    law = torch.distributions.Normal(first.mean, first.std)
    torch.testing.assert_close(
        first.log_prob, law.log_prob(first.x_next).flatten(1).mean(1), atol=1e-5, rtol=1e-5
    )


def test_an_experience_is_a_slice_of_all_of_it(policy: VelocityPolicy, actors: Actors) -> None:
    made = _paint(policy, actors, stochastic=frozenset({0}))
    told = torch.arange(6.0)
    part = experience(made, advantage=told, reward=-told, valid=told > 2, rows=slice(2, 6))
    assert part.seeds == SEEDS[2:6]
    assert part.prompts[0].text == "a blue ball"
    assert torch.equal(part.path[0].x_next, made.path[0].x_next[2:6])
    assert part.advantage.tolist() == [2, 3, 4, 5]
    assert part.valid.tolist() == [False, True, True, True]
    assert part.cond.tokens.shape[0] == part.noise.shape[0] == 4


def test_the_hash_tells_what_changes_pictures() -> None:
    assert PAINTING.hash() == replace(PAINTING, at_once=9).hash()
    assert PAINTING.hash() != replace(PAINTING, num_steps=4).hash()
    assert PAINTING.hash() != replace(PAINTING, noise=Noise(level=0.1)).hash()


def test_a_recipe_says_how_to_paint_and_tests_may_leave_guidance_out() -> None:
    settings, distil = RolloutSettings(num_steps=3, guidance_scale=2.0), Distil(DistilSettings())
    policy = GaussianPolicy()
    guided, alone = (make_painting(settings, distil, policy, guidance=on) for on in (True, False))
    assert guided == Painting(num_steps=3, guidance_scale=2.0)
    assert alone == Painting(num_steps=3)
    assert (guided.calls, alone.calls) == (6, 3)


def test_too_few_seeds_are_refused(policy: VelocityPolicy, actors: Actors) -> None:
    with pytest.raises(ConfigError, match=r"3 prompts in groups of 2 need 6 seeds; got 5"):
        paint(policy, actors.old, PROMPTS, SEEDS[:5], PAINTING, group_size=2)
    with pytest.raises(ConfigError, match=r"at_once must be at least 1; got 0"):
        Painting(at_once=0)


def test_draws_belong_to_the_picture() -> None:
    both = draws.normal([3, 4], draws.LEARN, (2, 2))
    assert torch.equal(draws.normal([4], draws.LEARN, (2, 2))[0], both[1])
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(draws.normal([3], draws.LEARN + 1, (2, 2))[0], both[0])
    many = draws.normal(range(200), 0, (50,))
    assert np.isclose(float(many.std()), 1, atol=0.03)
    even = draws.uniform(range(2000), 0)
    assert float(even.min()) >= 0
    assert np.isclose(float(even.mean()), 0.5, atol=0.03)


def test_seeds_of_groups_differ() -> None:
    seeds = {s for u in range(5) for p in range(5) for s in draws.seeds_of(0, u, p, 4)}
    assert len(seeds) == 100
    assert draws.seeds_of(0, 1, 2, 4) == draws.seeds_of(0, 1, 2, 4)
