"""What is learnt, and the networks under it."""

from pathlib import Path

import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.families.flow.policy import FlowPolicy
from pictura.learn.actors import Actors
from pictura.learn.policy import VelocityPolicy, load_policy
from pictura.learn.weights import Full, LowRank
from pictura.store.models import read_model
from tests.tiny_model import make_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> VelocityPolicy:
    return FlowPolicy.from_model(make_model(tmp_path_factory.mktemp("m") / "tiny"), CPU)


def _point(policy: VelocityPolicy) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, *policy.latent_shape), torch.tensor([0.9, 0.3])


def test_a_change_starts_as_none_and_is_up_times_down(policy: VelocityPolicy) -> None:
    learnt = LowRank(policy.learnable, rank=3)
    assert all(torch.equal(w, policy.learnable[n]) for n, w in learnt.weights(learnt.values).items())
    name = "network.blocks.0.attention.out.weight"
    learnt.values[f"{name}.up"] += 1.0
    change = learnt.weights(learnt.values)[name] - policy.learnable[name]
    torch.testing.assert_close(change, learnt.values[f"{name}.down"].sum(0).expand_as(change))


def test_the_rank_is_at_most_what_a_matrix_has(policy: VelocityPolicy) -> None:
    learnt = LowRank(policy.learnable, rank=1000)
    name = "network.blocks.0.attention.out.weight"
    assert learnt.values[f"{name}.down"].shape == (32, 32)


def test_the_same_seed_starts_the_same(policy: VelocityPolicy) -> None:
    one, other = (LowRank(policy.learnable, rank=2, seed=4).values for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_rank_0_and_nothing_to_learn_are_refused(policy: VelocityPolicy) -> None:
    with pytest.raises(ConfigError, match=r"rank of what is learnt must be at least 1; got 0"):
        LowRank(policy.learnable, rank=0)
    with pytest.raises(ConfigError, match=r"no matrix with '\.towers\.' in its name"):
        LowRank(policy.learnable, rank=1, only=".towers.")


@pytest.mark.parametrize("kind", ["low rank", "full"])
def test_gradients_reach_the_values_and_nothing_else(policy: VelocityPolicy, kind: str) -> None:
    learnt = LowRank(policy.learnable, rank=2) if kind == "low rank" else Full(policy.learnable)
    actors = Actors(policy, learnt)
    x_t, t = _point(policy)
    cond = policy.read(["a red fox", "a blue ball"])
    for voice in (actors.old, actors.ema, actors.reference):
        assert not voice(x_t.clone().requires_grad_(True), t, cond).requires_grad
    actors.new(x_t, t, cond).square().mean().backward()
    grads = [v.grad for n, v in actors.values.items() if kind == "full" or n.endswith(".up")]
    assert all(g is not None for g in grads)
    assert sum(float(g.abs().sum()) for g in grads if g is not None) > 0
    assert not any(w.requires_grad for w in policy.learnable.values())


def test_voices_part_and_follow(policy: VelocityPolicy) -> None:
    actors = Actors(policy, LowRank(policy.learnable, rank=2))
    x_t, t = _point(policy)
    cond = policy.read(["a red fox", "a blue ball"])
    start = actors.reference(x_t, t, cond)
    assert torch.equal(actors.old(x_t, t, cond), start)
    with torch.no_grad():
        for value in actors.values.values():
            value += 0.1
    new = actors.new(x_t, t, cond).detach()
    assert not torch.equal(new, start)
    assert torch.equal(actors.old(x_t, t, cond), start)
    actors.follow(old_decay=0.0, ema_decay=0.5)
    torch.testing.assert_close(actors.old(x_t, t, cond), new)
    name = next(iter(actors.values))
    middle = (actors.values[name] + actors.reference_values[name]) / 2
    torch.testing.assert_close(actors.ema_values[name], middle)
    assert torch.equal(actors.reference(x_t, t, cond), start)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (
            "oil",
            r"'tiny' is of the family 'oil', which cannot learn from rewards. Families that can: dalle, flow",
        ),
        ("dfgan", r"cannot learn from rewards by itself.*\[\[critic.rewards\]\].*docs/algorithms/critic.md"),
    ],
)
def test_a_family_without_a_policy_is_refused(tmp_path: Path, family: str, message: str) -> None:
    model = make_model(tmp_path / "tiny")
    text = (model.path / "model.json").read_text().replace('"family": "flow"', f'"family": "{family}"')
    (model.path / "model.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_policy(read_model(model.path), CPU)


def test_in_bf16_all_voices_speak_alike_nearly_as_before_and_gradients_stay_whole(
    policy: VelocityPolicy,
) -> None:
    x_t, t = _point(policy)
    cond = policy.read(["a red fox", "a blue ball"])
    exact = Actors(policy, LowRank(policy.learnable, rank=2))
    rounded = Actors(policy, LowRank(policy.learnable, rank=2), bf16=True)
    want, got = exact.new(x_t, t, cond), rounded.new(x_t, t, cond)
    assert got.dtype == torch.float32
    assert torch.equal(rounded.old(x_t, t, cond), got.detach())
    scale = float(want.detach().abs().max())
    assert 1e-5 * scale < float((got - want).detach().abs().max()) < 3e-2 * scale
    got.square().mean().backward()
    grads = [value.grad for value in rounded.values.values() if value.grad is not None]
    assert grads
    assert all(grad.dtype == torch.float32 for grad in grads)
