"""What must be true of every algorithm."""

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.learn.actors import Actors
from pictura.learn.algorithm import Algorithm
from pictura.learn.algorithms import ALGORITHMS, make_algorithm
from pictura.learn.rollout import Experience
from pictura.learn.sampling import Painting
from pictura.learn.weights import Full
from pictura.sample.sde import log_prob, step_law
from tests.learn.gaussian import (
    RED,
    GaussianPolicy,
    PixelReward,
    gaussian_actors,
    gradient,
    move,
    painted,
    prompted,
)
from tests.learn.tiny_flow import flow_actors

DOCS = Path(__file__).resolve().parents[2] / "docs" / "algorithms"
NAMES = [name for name in ALGORITHMS if ALGORITHMS.get(name).needs == "velocity"]
"""Those of tokens are in test_token_grpo.py."""
COMPARING = ["nft", "grpo", "awm", "dpo"]
NO_PULL: dict[str, dict[str, Any]] = {"grpo": {"kl_weight": 0.0}}
"""Settings under which nothing but the reward moves the policy."""


def make(name: str, **settings: Any) -> Algorithm:
    return make_algorithm({"name": name, **settings}, RED)


def part(batch: Experience, rows: slice) -> Experience:
    """Some whole groups of an experience."""
    cut = {
        f.name: getattr(batch, f.name)[rows]
        for f in dataclasses.fields(batch)
        if f.name not in ("group_size", "cond", "path", "log_prob")
    }
    cond = Conditioning(tokens=batch.cond.tokens[rows], mask=batch.cond.mask[rows])
    path = tuple(
        replace(s, x_t=s.x_t[rows], x_next=s.x_next[rows], mean=s.mean[rows], log_prob=s.log_prob[rows])
        for s in batch.path
    )
    return Experience(**cut, group_size=batch.group_size, cond=cond, path=path)


def two_pictures(name: str) -> tuple[Actors, Algorithm, Experience]:
    """A group of two in which the first is better, and lies on the other side of the mean."""
    actors, algorithm = gaussian_actors(), make(name, **NO_PULL.get(name, {}))
    batch = painted(actors, algorithm, num_groups=1, group_size=2)
    far = torch.tensor([1.0, -1.0])[:, None, None, None] * torch.ones(2, 3, 1, 1)
    path = tuple(replace(step, x_next=step.mean + step.std * far) for step in batch.path)
    path = tuple(replace(step, log_prob=likelihoods(actors, path=(step,))) for step in path)
    advantage = torch.tensor([1.0, -1.0])
    return actors, algorithm, replace(batch, x_0=far, path=path, advantage=advantage, reward=advantage)


def likelihoods(actors: Actors, *, x_0: Tensor | None = None, path: Any = ()) -> Tensor:
    """(B,) how likely pictures are: of the drawn steps where there are any, else minus the matching error."""
    if path:
        rows = []
        for s in path:
            v = actors.new(s.x_t, torch.full((len(s.x_t),), s.t), prompted(len(s.x_t))).detach()
            mean, std = step_law(s.x_t, v, s.t, s.t_next, kind="flow_sde", noise_level=0.7)
            rows.append(log_prob(s.x_next, mean, std))
        return torch.stack(rows).mean(0)
    assert x_0 is not None
    random = torch.Generator().manual_seed(0)
    error = torch.zeros(len(x_0))
    for t in torch.linspace(0.1, 0.9, 9):
        noise = torch.randn(512, 1, *x_0.shape[1:], generator=random)
        for i, one in enumerate(x_0):
            x_t = ((1 - t) * one + t * noise)[:, 0]
            v = actors.new(x_t, t.expand(len(x_t)), prompted(len(x_t))).detach()
            error[i] += (v - (noise[:, 0] - one)).square().mean()
    return -error


@pytest.mark.parametrize("name", COMPARING)
def test_a_step_makes_the_better_picture_likelier_and_the_worse_less(name: str) -> None:
    actors, algorithm, batch = two_pictures(name)
    before = likelihoods(actors, x_0=batch.x_0, path=batch.path)
    move(actors, gradient(actors, algorithm, batch), 1e-2)
    better, worse = likelihoods(actors, x_0=batch.x_0, path=batch.path) - before
    assert better > 1e-6
    assert worse < -1e-6


@pytest.mark.parametrize("name", COMPARING)
def test_where_no_picture_is_better_there_is_no_gradient_at_all(name: str) -> None:
    constant = PixelReward(lambda pixels: torch.full((len(pixels),), 0.3))
    actors, algorithm = gaussian_actors(), make(name)
    batch = painted(actors, algorithm, constant)
    assert torch.equal(gradient(actors, algorithm, batch)["mean"], torch.zeros(3, 1, 1))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_group_teaches_does_not_depend_on_its_company(name: str) -> None:
    actors, algorithm = gaussian_actors(), make(name)
    batch = painted(actors, algorithm)
    move(actors, {"mean": torch.full((3, 1, 1), -0.1)}, 1.0)
    whole = algorithm.loss(actors, batch).per_picture
    assert whole.shape == (32,)
    apart = [algorithm.loss(actors, part(batch, slice(i, i + 16))).per_picture for i in (0, 16)]
    torch.testing.assert_close(torch.cat(apart), whole)


@pytest.mark.parametrize("name", [*COMPARING, "backprop", "draft-k"])
def test_the_reward_grows(name: str) -> None:
    actors, algorithm = gaussian_actors(), make(name)
    optimizer = torch.optim.Adam(actors.values.values(), lr=0.05)
    for update in range(20):
        batch = painted(actors, algorithm, update=update)
        actors.values["mean"].grad = gradient(actors, algorithm, batch)["mean"]
        optimizer.step()
        actors.follow(old_decay=algorithm.old_decay(update), ema_decay=0.9)
    red, green, blue = actors.values["mean"].detach().flatten().tolist()
    assert red > 0.3
    assert max(abs(green), abs(blue)) < 0.6 * red


@pytest.mark.parametrize("name", NAMES)
def test_a_network_in_half_precision_still_gives_its_loss_in_full(name: str) -> None:
    class Half(GaussianPolicy):
        def velocity(self, *args: Any) -> Tensor:
            return super().velocity(*args).bfloat16()

    policy = Half()
    actors = Actors(policy, Full(policy.learnable))
    loss = make(name).loss(actors, painted(actors, make(name)))
    assert loss.per_picture.dtype == torch.float32
    assert all(np.isfinite(value) for value in loss.metrics.values())
    assert ("kl" in loss.metrics) == (name not in ("distil", "student"))


@pytest.mark.parametrize("name", NAMES)
def test_it_teaches_a_real_network(name: str) -> None:
    tiny, algorithm = flow_actors(), make(name)
    batch = painted(tiny, algorithm, RED, num_groups=2, group_size=4, painting=Painting(num_steps=3))
    found = gradient(tiny, algorithm, batch)
    assert all(g.isfinite().all() for g in found.values())
    assert sum(float(g.abs().sum()) for n, g in found.items() if n.endswith(".up")) > 0


def test_every_name_has_a_page_that_names_its_settings() -> None:
    # What one-step painters learn by has its page here, too.
    assert {page.stem for page in DOCS.glob("*.md")} == {*ALGORITHMS, "README", "critic"}
    for name in ALGORITHMS:
        page = (DOCS / f"{name}.md").read_text()
        for setting in dataclasses.fields(ALGORITHMS.get(name).Settings):
            assert f"| `{setting.name}` | {shown(setting.default)} |" in page, (name, setting.name)


def shown(value: Any) -> str:
    """As a recipe writes it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_mistakes_in_the_table_are_named() -> None:
    names = "nft, grpo, awm, dpo, backprop, draft-k, distil, student"
    with pytest.raises(ConfigError, match=rf"\[algorithm\] needs a name: {names}"):
        make_algorithm({"beta": 1.0}, RED)
    with pytest.raises(ConfigError, match=r"No algorithm is named 'gpro'\. Did you mean 'grpo'"):
        make("gpro")
    with pytest.raises(ConfigError, match=r"algorithm: there is no setting 'kl'"):
        make("nft", kl=1.0)
    with pytest.raises(ConfigError, match=r"learns from the gradient of the reward, and 'blind' has none"):
        make_algorithm({"name": "backprop"}, replace(RED, name="blind", differentiable=False))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"name": "nft", "num_times": 0}, r"num_times must be at least 1 and shift above 0; got 0 and 3\.0"),
        ({"name": "nft", "beta": 0.0}, r"above 0 and kl_weight at least 0; got 0\.0, 5\.0 and 0\.0001"),
        ({"name": "grpo", "noise_level": 0.0}, r"noise_level must be above 0"),
        ({"name": "grpo", "sde": "ode"}, r"algorithm: sde must be 'flow_sde' or 'cps'; got 'ode'"),
        ({"name": "grpo", "early": 0.0}, r"early above 0, at most 1; got 2 and 0\.0"),
        ({"name": "grpo", "clip_range": 0.0}, r"clip_range must be above 0; got 0\.0"),
        ({"name": "grpo", "kl_weight": -1.0}, r"kl_weight must be at least 0; got -1\.0"),
        ({"name": "awm", "power": 0.0}, r"power must be above 0; got 0\.0"),
        ({"name": "awm", "old_weight": -1.0}, r"must be at least 0; got 0\.003 and -1\.0"),
        ({"name": "dpo", "beta": 0.0}, r"beta must be above 0; got 0\.0"),
        ({"name": "backprop", "lowest": 0.6}, r"0 <= lowest < highest <= 1; got 0\.6 and 0\.5"),
        ({"name": "token-grpo", "clip_range": 0.0}, r"clip_range must be above 0; got 0\.0"),
        ({"name": "token-grpo", "entropy_weight": -1.0}, r"must be at least 0; got 0\.01 and -1\.0"),
        ({"name": "distil", "guidance_scale": -2.0}, r"guidance_scale must be at least 0; got -2\.0"),
        ({"name": "distil", "guidance_interval": [0.9, 0.1]}, r"0 <= low <= high <= 1; got 0\.9 to 0\.1"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_algorithm(table, RED)
