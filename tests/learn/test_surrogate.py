"""The clipped surrogate against exact gradients and a known optimum, on tables of probabilities."""

import torch
from torch import Tensor

from pictura.learn.advantage import AdvantageSettings, advantages
from pictura.learn.surrogate import clipped_surrogate, ratio_metrics
from tests.learn.gaussian import UNSCALED

REWARD = torch.tensor([0.1, 0.9, 0.4, -0.5])


def test_a_bandit_ends_at_the_reference_tilted_by_the_reward() -> None:
    """max E[r] - b KL(p | p_ref) is at p_ref exp(r / b), normalised."""
    reference, b = torch.tensor([0.4, 0.1, 0.3, 0.2]), 0.5
    logits = reference.log().clone().requires_grad_(True)
    for _ in range(400):
        p = logits.softmax(0)
        then = p.detach()
        advantage = REWARD - (then * REWARD).sum()
        gain = -(then * clipped_surrogate(p / then, advantage, 0.2)).sum()
        kl = (p * (p / reference).log()).sum()
        (grad,) = torch.autograd.grad(b * kl - gain, logits)
        with torch.no_grad():
            logits -= 2.0 * grad
    tilted = reference * (REWARD / b).exp()
    torch.testing.assert_close(logits.softmax(0).detach(), tilted / tilted.sum(), atol=1e-4, rtol=0)


def test_sampled_paths_of_a_chain_give_the_exact_gradient() -> None:
    """Two steps over three states, from state 0; the reward looks at the last state."""
    reward = torch.tensor([0.0, 1.0, 0.3])
    logits = torch.tensor([[0.1, 0.5, -0.3], [0.7, -0.2, 0.0], [-0.5, 0.4, 0.2]], requires_grad=True)
    p = logits.softmax(1)
    (exact,) = torch.autograd.grad((p[0] @ p) @ reward, logits)

    random, num = torch.Generator().manual_seed(0), 40_000
    with torch.no_grad():
        first = torch.multinomial(p[0], num, replacement=True, generator=random)
        last = torch.multinomial(p[first], 1, generator=random)[:, 0]
    valid = torch.ones(num, dtype=torch.bool)
    own = AdvantageSettings(scale="none", clip=float("inf"), leave_one_out=True)
    advantage = advantages(reward[last], valid, group_size=16, settings=own).advantage
    p = logits.softmax(1)
    taken = torch.stack([p[0, first], p[first, last]])
    loss = clipped_surrogate(taken / taken.detach(), advantage, 0.2).sum(0).mean()
    (estimate,) = torch.autograd.grad(-loss, logits)
    assert torch.cosine_similarity(estimate.flatten(), exact.flatten(), dim=0) > 0.99
    torch.testing.assert_close(estimate, exact, atol=0.01, rtol=0)


def pull(ratio: float, advantage: float) -> float:
    """Which way the loss moves the ratio."""
    at = torch.tensor([ratio], requires_grad=True)
    (grad,) = torch.autograd.grad(clipped_surrogate(at, torch.tensor([advantage]), 0.2).sum(), at)
    return -float(grad)


def test_the_clip_stops_what_went_far_enough_and_nothing_else() -> None:
    assert pull(1.3, 2.0) == 0
    assert pull(0.7, -2.0) == 0
    assert pull(1.3, -2.0) == -2
    assert pull(0.7, 2.0) == 2
    assert pull(1.1, 2.0) == 2


def test_what_is_told_of_ratios() -> None:
    ratio, advantage = torch.tensor([1.3, 1.3, 0.7, 1.0]), torch.tensor([1.0, -1.0, -1.0, 1.0])
    told = ratio_metrics(ratio, advantage, 0.2)
    assert told["clip_high"] == told["clip_low"] == 0.25
    assert told["ratio_error_max"] == ratio.sub(1).abs().max().item()
    assert round(told["ratio_mean"], 3) == 1.075


def test_unscaled_advantages_of_one_group_are_distances_from_the_mean() -> None:
    told: Tensor = advantages(REWARD, torch.ones(4).bool(), group_size=4, settings=UNSCALED).advantage
    torch.testing.assert_close(told, REWARD - REWARD.mean())
