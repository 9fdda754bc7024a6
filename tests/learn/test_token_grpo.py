"""Token GRPO against closed forms, on policies that are tables."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pictura.learn import draws
from pictura.learn.actors import Actors
from pictura.learn.algorithms.token_grpo import TokenGRPO, TokenGRPOSettings, chosen, divergence, entropy
from pictura.learn.policy import TokenPolicy, kind_of
from pictura.learn.rollout import Experience
from tests.learn.gaussian import GaussianPolicy, gradient, move
from tests.learn.table_tokens import drawn, table_actors

FIRST = (0.3, -0.2, 0.9)
FOLLOW = ((0.1, 0.5, -0.3), (0.7, -0.2, 0.0), (-0.5, 0.4, 0.2))
BARE = TokenGRPO(TokenGRPOSettings(kl_weight=0.0))


def chain(num_tokens: int = 3) -> Actors:
    return table_actors(FIRST, FOLLOW, num_tokens=num_tokens)


@torch.no_grad()
def nudge(actors: Actors, *by: float) -> None:
    """Move the logits of the first token."""
    actors.values["first"] += torch.tensor(by)


def number_of_last(codes: Tensor) -> Tensor:
    """How many tokens are the last code."""
    return (codes == 2).float().sum(1)


def test_what_was_drawn_is_scored_alike_and_every_ratio_is_one() -> None:
    actors = chain()
    batch = drawn(actors, number_of_last)
    law = actors.new(batch.x_0, batch.cond).log_softmax(-1)
    assert batch.log_prob is not None
    torch.testing.assert_close(chosen(law, batch.x_0), batch.log_prob, atol=1e-6, rtol=0)
    metrics = BARE.loss(actors, batch).metrics
    assert metrics["ratio_error_max"] < 1e-6
    assert metrics["ratio_mean"] == pytest.approx(1, abs=1e-6)
    assert metrics["clip_high"] == metrics["clip_low"] == 0
    assert metrics["kl"] == pytest.approx(0, abs=1e-7)
    assert metrics["entropy"] == pytest.approx(entropy(law).mean().item())


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    batch = drawn(chain(2), number_of_last, num_groups=1, group_size=20_000)
    first, last = batch.x_0.unbind(1)
    p = torch.tensor(FIRST).softmax(0)
    torch.testing.assert_close(torch.bincount(first, minlength=3) / 20_000, p, atol=0.012, rtol=0)
    after = torch.bincount(last[first == 1], minlength=3) / int((first == 1).sum())
    torch.testing.assert_close(after, torch.tensor(FOLLOW[1]).softmax(0), atol=0.025, rtol=0)


def test_a_picture_is_drawn_by_its_seed_whatever_lies_beside_it() -> None:
    numbers = draws.uniforms([5, 6], draws.NOISE, 4)
    assert (numbers.dtype, numbers.shape) == (torch.float64, (2, 4))
    assert torch.equal(draws.uniforms([6], draws.NOISE, 4)[0], numbers[1])
    assert not torch.equal(numbers[0], numbers[1])
    actors, cond = chain(4), chain(4).policy.read(["", ""])
    both, _ = actors.old.draw(cond, numbers)
    alone, _ = actors.old.draw(actors.policy.read([""]), numbers[1:])
    assert torch.equal(alone[0], both[1])


def test_at_ratio_one_the_gradient_is_that_of_reinforce() -> None:
    """d/dz_v of -mean A log p(code), p = softmax z: -mean A (1[code = v] - p_v), a mean over L tokens."""
    actors = table_actors(FIRST)
    batch = replace(drawn(actors, number_of_last), advantage=torch.linspace(-2, 3, 32))
    ones = torch.nn.functional.one_hot(batch.x_0[:, 0], 3)
    closed = -(batch.advantage[:, None] * (ones - torch.tensor(FIRST).softmax(0))).mean(0)
    torch.testing.assert_close(gradient(actors, BARE, batch)["first"], closed, atol=1e-6, rtol=1e-5)

    actors = chain(2)
    batch = replace(drawn(actors, number_of_last), advantage=torch.linspace(-2, 3, 32))
    before = torch.tensor(FOLLOW).softmax(1)[batch.x_0[:, 0]]
    told = batch.advantage[:, None] * (torch.nn.functional.one_hot(batch.x_0[:, 1], 3) - before) / 2
    rows = torch.zeros(3, 3).index_add_(0, batch.x_0[:, 0], -told / 32)
    torch.testing.assert_close(gradient(actors, BARE, batch)["next"], rows, atol=1e-6, rtol=1e-5)


def exact_reward(first: Tensor, follow: Tensor, reward: Tensor) -> Tensor:
    """Expected reward (V, V) of the two codes of a picture."""
    return (first.softmax(0)[:, None] * follow.softmax(1) * reward).sum()


def test_the_mean_gradient_of_many_pictures_is_that_of_the_expected_reward() -> None:
    reward = torch.tensor([[0.0, 1.0, 0.3], [0.2, -0.5, 0.9], [1.5, 0.1, 0.4]])
    actors = chain(2)
    batch = drawn(actors, lambda c: reward[c[:, 0], c[:, 1]], num_groups=2500, group_size=16)
    estimate = {name: -2 * g for name, g in gradient(actors, BARE, batch).items()}  # a mean over 2 tokens
    first, follow = (actors.values[name].detach().clone().requires_grad_(True) for name in ("first", "next"))
    exact = torch.autograd.grad(exact_reward(first, follow, reward), (first, follow))
    for name, truth in zip(("first", "next"), exact, strict=True):
        assert torch.cosine_similarity(estimate[name].flatten(), truth.flatten(), dim=0) > 0.99
        torch.testing.assert_close(estimate[name], truth, atol=0.01, rtol=0)


def test_a_step_makes_the_better_token_likelier_and_the_worse_less() -> None:
    actors = table_actors((0.0, 0.0, 0.0))
    batch = drawn(actors, number_of_last, num_groups=1, group_size=2)
    batch = replace(batch, x_0=torch.tensor([[2], [0]]), advantage=torch.tensor([1.0, -1.0]))
    move(actors, gradient(actors, BARE, batch), 0.1)
    worse, aside, better = actors.values["first"].detach().softmax(0).tolist()
    assert worse < aside - 1e-3 < better - 2e-3


def test_the_rewarded_code_of_a_bandit_takes_over() -> None:
    actors, likely = table_actors((0.0,) * 8), []
    optimizer = torch.optim.Adam([actors.values["first"]], lr=0.1)
    for update in range(40):
        batch = drawn(actors, lambda codes: (codes[:, 0] == 5).float(), update=update)
        actors.values["first"].grad = gradient(actors, BARE, batch)["first"]
        optimizer.step()
        likely.append(actors.values["first"].detach().softmax(0)[5].item())
    assert likely[0] < 0.2
    assert likely[-1] > 0.8


def test_a_bandit_ends_at_the_reference_tilted_by_the_reward() -> None:
    """max E[r] - b KL(p | p_ref) is at p_ref exp(r / b), normalised."""
    reward, b = torch.tensor([0.1, 0.9, -0.5]), 0.5
    grpo = TokenGRPO(TokenGRPOSettings(kl_weight=b))
    actors = table_actors(FIRST)
    found = []
    for update in range(50):
        batch = drawn(actors, lambda c: reward[c[:, 0]], num_groups=64, group_size=16, update=update)
        move(actors, gradient(actors, grpo, batch), 2.0)
        found.append(actors.values["first"].detach().softmax(0))
    tilted = torch.tensor(FIRST).softmax(0) * (reward / b).exp()
    torch.testing.assert_close(torch.stack(found[-35:]).mean(0), tilted / tilted.sum(), atol=1e-2, rtol=0)


def test_divergence_and_entropy_of_known_laws() -> None:
    half, quarter = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75]).log()
    assert divergence(half, quarter).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert divergence(quarter, half).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    assert divergence(half, half).item() == 0
    assert entropy(half).item() == pytest.approx(math.log(2))
    assert entropy(torch.zeros(7, 5, 16).log_softmax(-1)).shape == (7, 5)


def test_what_is_said_of_a_policy_that_moved() -> None:
    actors = table_actors((0.0, 0.0))
    batch = drawn(actors, lambda codes: codes[:, 0].float())
    nudge(actors, 0.0, math.log(3))  # now 1/4 and 3/4
    metrics = BARE.loss(actors, batch).metrics
    assert metrics["kl"] == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), rel=1e-5)
    assert metrics["entropy"] == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75), rel=1e-5)
    assert metrics["ratio_error_max"] == pytest.approx(0.5, rel=1e-5)  # 3/4 to 1/2, and 1/4 to 1/2
    share = float((batch.advantage[batch.x_0[:, 0] == 1] > 0).sum()) / 32
    assert metrics["clip_high"] == pytest.approx(share)


def test_a_token_that_went_far_is_not_pulled_further_and_the_others_are() -> None:
    actors = chain(2)
    batch = replace(drawn(actors, number_of_last), advantage=torch.ones(32))
    nudge(actors, 0.0, 0.0, 2.0)
    batch = rows_of(batch, batch.x_0[:, 0] == 2)
    found = gradient(actors, BARE, batch)
    assert not found["first"].any()  # its ratio is beyond the clip
    assert found["next"][2].abs().min() > 1e-3
    back = gradient(actors, BARE, replace(batch, advantage=-batch.advantage))
    assert back["first"].abs().min() > 1e-3


def rows_of(batch: Experience, which: Tensor) -> Experience:
    """Some pictures of an experience."""
    assert batch.log_prob is not None
    cond = replace(batch.cond, tokens=batch.cond.tokens[which], mask=batch.cond.mask[which])
    rows = {name: getattr(batch, name)[which] for name in ("x_0", "log_prob", "advantage", "valid")}
    return replace(batch, cond=cond, **rows)


def test_where_no_picture_is_better_there_is_no_gradient() -> None:
    actors = chain()
    batch = drawn(actors, lambda codes: torch.full((len(codes),), 0.3))
    assert not any(g.any() for g in gradient(actors, BARE, batch).values())
    held = gradient(actors, TokenGRPO(TokenGRPOSettings(kl_weight=1.0)), batch)
    assert max(float(g.abs().max()) for g in held.values()) < 1e-7  # rounding of the divergence


def test_what_a_picture_teaches_does_not_depend_on_its_company() -> None:
    actors, grpo = chain(), TokenGRPO(TokenGRPOSettings(entropy_weight=0.1))
    batch = drawn(actors, number_of_last)
    nudge(actors, -0.1, 0.0, 0.2)
    whole = grpo.loss(actors, batch).per_picture
    half = torch.arange(32) < 16
    apart = [grpo.loss(actors, rows_of(batch, which)).per_picture for which in (half, ~half)]
    torch.testing.assert_close(torch.cat(apart), whole)


def test_an_entropy_bonus_levels_the_law() -> None:
    actors, bonus = table_actors(FIRST), TokenGRPO(TokenGRPOSettings(kl_weight=0.0, entropy_weight=1.0))
    batch = replace(drawn(actors, number_of_last), advantage=torch.zeros(32))
    for _ in range(200):
        move(actors, gradient(actors, bonus, batch), 1.0)
    torch.testing.assert_close(actors.values["first"].detach().softmax(0), torch.full((3,), 1 / 3))


def test_a_network_in_half_precision_still_gives_its_loss_in_full() -> None:
    actors = chain()
    batch = drawn(actors, number_of_last)
    inside = actors.policy.logits  # type: ignore[attr-defined]
    actors.policy.logits = lambda *given: inside(*given).bfloat16()  # type: ignore[attr-defined]
    loss = BARE.loss(actors, batch)
    assert loss.per_picture.dtype == torch.float32
    law = actors.new(batch.x_0, batch.cond).float().log_softmax(-1)
    assert loss.metrics["entropy"] == pytest.approx(entropy(law).mean().item(), rel=1e-6)


def test_policies_are_told_apart() -> None:
    policy = chain().policy
    assert isinstance(policy, TokenPolicy)
    assert (kind_of(policy), kind_of(GaussianPolicy())) == ("tokens", "velocity")
