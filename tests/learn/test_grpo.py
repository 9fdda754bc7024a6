"""Flow-GRPO against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.types import Prompt
from pictura.learn import draws
from pictura.learn.actors import Actors
from pictura.learn.advantage import AdvantageSettings, advantages
from pictura.learn.algorithms.grpo import GRPO, GRPOSettings
from pictura.learn.policy import Policy
from pictura.learn.rollout import Experience, experience
from pictura.learn.sampling import Painting, paint
from pictura.learn.weights import Full
from pictura.sample.sde import step_law
from tests.learn.gaussian import GaussianPolicy, gaussian_actors, gradient, move, painted
from tests.learn.tiny_flow import flow_actors

BARE = GRPOSettings(kl_weight=0.0)


def moved(batch_of: GRPOSettings, by: float) -> tuple[Actors, Experience]:
    """What was painted before the mean moved."""
    actors = gaussian_actors()
    batch = painted(actors, GRPO(batch_of))
    move(actors, {"mean": torch.full((3, 1, 1), -by)}, 1.0)
    return actors, batch


def test_drawn_steps_are_a_window_among_the_early_ones() -> None:
    fast, rng = GRPO(GRPOSettings()), np.random.default_rng(0)
    windows = {tuple(sorted(fast.stochastic(10, rng))) for _ in range(200)}
    assert windows == {(0, 1), (1, 2), (2, 3), (3, 4)}
    assert fast.stochastic(1, rng) == {0}
    full = GRPO(GRPOSettings(stochastic_steps=0))
    assert full.stochastic(10, rng) == set(range(9))
    assert full.stochastic(1, rng) == {0}


@pytest.mark.parametrize("sde", ["flow_sde", "cps"])
def test_before_the_first_step_every_ratio_is_one(sde: str) -> None:
    actors, grpo = flow_actors(), GRPO(GRPOSettings(stochastic_steps=0, sde=sde))  # type: ignore[arg-type]
    batch = painted(actors, grpo, num_groups=3, group_size=2, painting=Painting(num_steps=5, at_once=4))
    metrics = grpo.loss(actors, batch).metrics
    assert len(batch.path) == 4
    assert metrics["ratio_error_max"] < 1e-5
    assert metrics["kl"] == metrics["clip_high"] == metrics["clip_low"] == 0


def test_pictures_without_drawn_steps_are_refused() -> None:
    actors, grpo = gaussian_actors(), GRPO(GRPOSettings(sde="cps"))
    batch = painted(actors, grpo, painting=Painting(num_steps=1))
    with pytest.raises(ConfigError, match=r"drawn steps, and these pictures have none\. Where sde = 'cps'"):
        grpo.loss(actors, batch)


def test_latents_kept_in_half_precision_are_seen_in_the_ratio() -> None:
    """The guard would stop such a run: the drawn noise is gone with the low bits."""
    actors, grpo = flow_actors(), GRPO(GRPOSettings(stochastic_steps=0))
    batch = painted(actors, grpo, num_groups=3, group_size=2, painting=Painting(num_steps=5))
    path = tuple(
        replace(step, x_t=step.x_t.bfloat16().float(), x_next=step.x_next.bfloat16().float())
        for step in batch.path
    )
    assert grpo.loss(actors, replace(batch, path=path)).metrics["ratio_error_max"] > 1e-4


def test_the_ratio_is_that_of_two_normal_laws() -> None:
    actors, batch = moved(BARE, 0.3)
    metrics = GRPO(BARE).loss(actors, batch).metrics
    ratios = []
    for step in batch.path:
        t = torch.full((32,), step.t)
        mean, std = step_law(
            step.x_t,
            actors.new(step.x_t, t, batch.cond),
            step.t,
            step.t_next,
            kind="flow_sde",
            noise_level=0.7,
        )
        new, then = (torch.distributions.Normal(m, std).log_prob(step.x_next) for m in (mean, step.mean))
        ratios.append((new - then).flatten(1).mean(1).exp())
    assert metrics["ratio_mean"] == pytest.approx(torch.stack(ratios).mean().item(), abs=1e-5)
    assert metrics["ratio_error_max"] == pytest.approx((torch.stack(ratios) - 1).abs().max().item(), abs=1e-5)


def test_the_divergence_is_that_of_two_normal_laws() -> None:
    actors, batch = moved(BARE, 0.3)
    metrics = GRPO(BARE).loss(actors, batch).metrics
    step = batch.path[0]
    laws = []
    for velocity in (actors.new, actors.reference):
        v = velocity(step.x_t, torch.full((32,), step.t), batch.cond)
        laws.append(
            torch.distributions.Normal(
                *step_law(step.x_t, v, step.t, step.t_next, kind="flow_sde", noise_level=0.7)
            )
        )
    truth = torch.distributions.kl_divergence(*laws).mean().item()
    only_first = GRPO(BARE).loss(actors, replace(batch, path=(step,))).metrics
    assert only_first["kl_step"] == pytest.approx(truth, rel=1e-4)
    assert metrics["kl_step"] > 0


@pytest.mark.parametrize("trust", ["clip", "divergence"])
def test_far_from_where_it_was_drawn_nothing_pulls_further_and_all_pulls_back(trust: str) -> None:
    tight = replace(BARE, trust=trust, clip_range=1e-6, max_divergence=1e-9)  # type: ignore[arg-type]
    actors, batch = moved(tight, 0.3)
    further = replace(batch, advantage=(first_ratios(actors, batch) - 1).sign(), path=batch.path[:1])
    back = replace(further, advantage=-further.advantage)
    assert not gradient(actors, GRPO(tight), further)["mean"].any()
    assert gradient(actors, GRPO(tight), back)["mean"].all()
    metrics = GRPO(tight).loss(actors, further).metrics
    assert metrics["clip_high"] + metrics["clip_low"] == pytest.approx(1.0)
    loose = GRPO(replace(tight, clip_range=9.0, max_divergence=9.0))
    assert gradient(actors, loose, further)["mean"].all()


def first_ratios(actors: Actors, batch: Experience) -> Tensor:
    """Of the first drawn step: minus the unclipped loss where every advantage is 1."""
    ones = replace(batch, advantage=torch.ones(32), path=batch.path[:1])
    return -GRPO(replace(BARE, clip_range=1e9)).loss(actors, ones).per_picture.detach()


def rollout_of(policy: Policy, actors: Actors, grpo: GRPO, num_steps: int, num: int, seed: int) -> Experience:
    """Drawn paths of groups of 16, rewarded by how near their latents lie to 1, or by the first of them."""
    seeds = draws.seeds_of(seed, 0, 0, num)
    painting = Painting(num_steps=num_steps, shift=1.0, at_once=num, noise=grpo.noise)
    drawn = grpo.stochastic(num_steps, np.random.default_rng(0))
    prompts = tuple(Prompt(text=str(i)) for i in range(num // 16))
    made = paint(policy, actors.new, prompts, seeds, painting, group_size=16, stochastic=drawn)
    reward = -((made.x_0 - 1) ** 2).flatten(1).mean(1) if num_steps > 1 else 0.5 * made.x_0[:, 0, 0, 0]
    valid, own = (
        torch.ones(num, dtype=torch.bool),
        AdvantageSettings(scale="none", clip=float("inf"), leave_one_out=True),
    )
    told = advantages(reward, valid, group_size=16, settings=own).advantage
    return experience(made, advantage=told, reward=reward, valid=valid, rows=slice(0, num))


def test_a_linear_reward_ends_at_the_tilted_normal_law() -> None:
    """N(mu, s^2) under reward a x and weight b on the divergence: N(mu + s^2 a / b, s^2)."""
    grpo = GRPO(GRPOSettings(stochastic_steps=1, early=1.0, kl_weight=1.0))
    actors = gaussian_actors((0.2, -0.3, 0.0))
    means, stds = [], []
    for update in range(16):
        batch = rollout_of(actors.policy, actors, grpo, 1, 2048, update)
        means.append(actors.values["mean"].detach().flatten().clone())
        stds.append(batch.x_0.std(dim=0))
        move(actors, gradient(actors, grpo, batch), 1.0)
    std = batch.path[0].std
    expected = torch.tensor([0.2 + std**2 * 0.5 / 1.0, -0.3, 0.0])
    torch.testing.assert_close(torch.stack(means[-8:]).mean(0), expected, atol=0.02, rtol=0)
    torch.testing.assert_close(stds[-1], stds[0], atol=0.05, rtol=0)


class AffinePolicy(GaussianPolicy):
    """Velocity a x + b t + c, every latent number by itself."""

    def __init__(self) -> None:
        self.learnable = {"abc": torch.tensor([0.3, -0.2, 0.4])}

    def velocity(self, weights, x_t, t, cond):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        a, b, c = weights["abc"]
        return a * x_t + b * t[:, None, None, None] + c


def exact_reward(abc: Tensor) -> Tensor:
    """E[-(x_0 - 1)^2] after two drawn steps from N(0, 1): mean and variance of affine steps."""
    a, b, c = abc
    mean, variance = torch.zeros(()), torch.ones(())
    for t, t_next in ((1.0, 0.5), (0.5, 0.0)):
        ends = torch.tensor([0.0, 1.0])
        (bias, end), std = step_law(ends, a * ends + b * t + c, t, t_next, kind="flow_sde", noise_level=0.7)
        mean, variance = bias + (end - bias) * mean, (end - bias) ** 2 * variance + std**2
    return -((mean - 1) ** 2 + variance)


def test_the_mean_gradient_of_many_paths_is_that_of_the_expected_reward() -> None:
    policy = AffinePolicy()
    actors = Actors(policy, Full(policy.learnable))
    grpo = GRPO(replace(BARE, stochastic_steps=2, early=1.0))
    batch = rollout_of(policy, actors, grpo, 2, 32768, 0)
    assert len(batch.path) == 2
    estimate = -gradient(actors, grpo, batch)["abc"]
    abc = actors.values["abc"].detach().clone().requires_grad_(True)
    (exact,) = torch.autograd.grad(exact_reward(abc), abc)
    assert torch.cosine_similarity(estimate, exact, dim=0) > 0.99
    per_number_and_step = 3 * 2  # the loss is a mean over 3 latent numbers and 2 steps
    torch.testing.assert_close(estimate * per_number_and_step, exact, rtol=0.1, atol=0.1)
