"""Adversarial losses at closed forms: labels of the three pairs, divergences, and the gradient's penalty."""

import math

import pytest
import torch
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.nn.gan import Verdict
from pictura.train.gans.gan_losses import (
    LOSSES,
    check_loss,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    kl_divergence,
)

SURE = 60.0
"""A logit that leaves no doubt: of a right answer nothing is lost, of a wrong one SURE."""
BINARY = ("matching", "joint", "attngan")


def verdict(conditional: float, unconditional: float = 0.0, size: int = 1) -> Verdict:
    return Verdict(torch.full((size,), conditional), torch.full((size,), unconditional))


def loss(
    name: str,
    right: Verdict,
    wrong: Verdict,
    painted: Verdict,
    counts: float = 1.0,
    weight: float = 1.0,
) -> float:
    return discriminator_loss(name, right, wrong, painted, torch.tensor([counts]), weight).item()


@pytest.mark.parametrize("name", LOSSES)
def test_a_discriminator_that_is_right_about_everything_has_no_loss(name: str) -> None:
    right, wrong, painted = verdict(SURE, SURE), verdict(-SURE, SURE), verdict(-SURE, -SURE)
    assert loss(name, right, wrong, painted) == pytest.approx(0, abs=1e-6)


# How much of SURE each of the six answers costs when it alone is wrong: real, wrong and painted pairs as
# pairs, then the same as pictures alone. The picture of a wrong pair is real.
WEIGHTS = {
    "matching": (1, 1 / 2, 1 / 2, 0, 0, 0),
    "joint": (1, 1, 1, 0.25, 0.25, 0.25),
    "attngan": (1 / 2, 1 / 3, 1 / 3, 1 / 2, 0, 1 / 3),
}
RIGHT = (SURE, -SURE, -SURE, SURE, SURE, -SURE)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("place", range(6))
def test_each_wrong_answer_costs_what_the_authors_say(name: str, place: int) -> None:
    logits = [-x if i == place else x for i, x in enumerate(RIGHT)]
    right, wrong, painted = (verdict(logits[i], logits[3 + i]) for i in range(3))
    assert loss(name, right, wrong, painted, weight=0.25) == pytest.approx(
        SURE * WEIGHTS[name][place], abs=1e-4
    )


def test_doubt_costs_what_binary_cross_entropy_says() -> None:
    right, wrong, painted = (verdict(x, y) for x, y in ((0.3, 1.1), (-0.7, 0.4), (0.9, -0.2)))

    def entropy(logit: float, label: float) -> float:
        p = 1 / (1 + math.exp(-logit))
        return -(label * math.log(p) + (1 - label) * math.log(1 - p))

    real_c, wrong_c, fake_c = entropy(0.3, 1), entropy(-0.7, 0), entropy(0.9, 0)
    real_u, wrong_u, fake_u = entropy(1.1, 1), entropy(0.4, 1), entropy(-0.2, 0)
    wanted = {
        "matching": real_c + (wrong_c + fake_c) / 2,
        "joint": real_c + wrong_c + fake_c + 0.5 * (real_u + wrong_u + fake_u),
        "attngan": (real_u + real_c) / 2 + (fake_u + fake_c + wrong_c) / 3,
    }
    for name, value in wanted.items():
        assert loss(name, right, wrong, painted, weight=0.5) == pytest.approx(value, rel=1e-5), name


def test_hinge_asks_for_a_margin_of_one_and_no_more() -> None:
    assert loss("hinge", verdict(1.0), verdict(-1.0), verdict(-1.0)) == 0
    assert loss("hinge", verdict(5.0), verdict(-5.0), verdict(-5.0)) == 0
    assert loss("hinge", verdict(0.25), verdict(-1.0), verdict(-1.0)) == pytest.approx(0.75)
    assert loss("hinge", verdict(1.0), verdict(0.5), verdict(-1.0)) == pytest.approx(1.5 / 2)
    assert loss("hinge", verdict(1.0), verdict(-1.0), verdict(0.5)) == pytest.approx(1.5 / 2)


@pytest.mark.parametrize("name", LOSSES)
def test_a_wrong_sentence_that_may_hold_counts_nothing(name: str) -> None:
    blind, surely = verdict(0.0, 0.0), verdict(SURE, 0.0)
    as_if_right = loss(name, blind, verdict(-SURE, 0.0), blind, counts=1.0)
    assert loss(name, blind, surely, blind, counts=0.0) == pytest.approx(as_if_right, abs=1e-6)
    assert loss(name, blind, surely, blind, counts=1.0) > as_if_right + 10


def test_each_picture_has_its_own_loss() -> None:
    counts_B = torch.tensor([1.0, 0.0])
    for name in LOSSES:
        blind = verdict(0.0, 0.0, size=2)
        first, second = discriminator_loss(name, blind, blind, blind, counts_B, 1.0).tolist()
        assert first > second, name


def test_a_generator_wants_to_be_taken_for_real() -> None:
    for name in BINARY:
        assert generator_loss(name, verdict(SURE, SURE), 1.0).item() == pytest.approx(0, abs=1e-6)
    fooled = verdict(-SURE, -SURE)
    costs = {name: generator_loss(name, fooled, 0.25).item() / SURE for name in BINARY}
    # AttnGAN's weights are fixed; StackGAN's first version never asks of a picture alone.
    assert costs == pytest.approx({"matching": 1, "joint": 1.25, "attngan": 2}, rel=1e-5)
    assert generator_loss("hinge", Verdict(torch.tensor([3.0])), 1.0).item() == -3


def test_a_generator_learns_most_where_it_is_found_out() -> None:
    logit = torch.tensor([-SURE, 0.0], requires_grad=True)
    generator_loss("matching", Verdict(logit), 1.0).sum().backward()
    assert logit.grad is not None
    assert logit.grad.tolist() == pytest.approx([-1, -0.5])


def test_the_divergence_of_a_known_normal_distribution() -> None:
    normal = torch.distributions.Normal
    mean = torch.tensor([[0.0, 1.0, -2.0], [0.5, 0.0, 0.0]])
    log_std = torch.tensor([[0.0, 0.5, -1.0], [0.0, 0.0, 0.25]])
    known_BK = torch.distributions.kl_divergence(normal(mean, log_std.exp()), normal(0, 1))
    assert torch.allclose(kl_divergence(mean, log_std, "paper"), known_BK.sum(dim=1))
    assert torch.allclose(kl_divergence(mean, log_std, "code"), known_BK.mean(dim=1))
    # (1^2 + e - 1) / 2 - 1/2, by hand
    assert kl_divergence(mean[:1, 1:2], log_std[:1, 1:2], "code").item() == pytest.approx((math.e - 1) / 2)
    assert kl_divergence(torch.zeros(2, 3), torch.zeros(2, 3), "paper").tolist() == [0, 0]


class Linear(nn.Module):
    """logit = 3 x_0 + 4 x_1 of the picture, 12 of the sentence: its gradients have norms 5 and 12."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def judge(self, images: Tensor, told: Tensor) -> Verdict:
        by_image = images.flatten(1) @ torch.tensor([3.0, 4.0])
        return Verdict(self.scale * (by_image + 12 * told[:, 0]))


@pytest.mark.parametrize(("fidelity", "size"), [("paper", 5 + 12), ("code", 13)])
def test_the_penalty_of_a_linear_discriminator(fidelity: str, size: int) -> None:
    network = Linear()
    images = torch.randn(3, 2, 1, 1, requires_grad=True)
    told = torch.randn(3, 1, requires_grad=True)
    penalty = gradient_penalty(network.judge(images, told), images, told, 2.0, fidelity)
    assert penalty.tolist() == pytest.approx([size**2] * 3)
    # Its size is scale * size, so that the penalty's slope by scale is 2 * scale * size^2.
    penalty.mean().backward()
    assert network.scale.grad is not None
    assert network.scale.grad.item() == pytest.approx(2 * size**2)


def test_a_discriminator_that_ignores_everything_has_no_penalty() -> None:
    images, told = torch.randn(2, 1, 1, 1, requires_grad=True), torch.randn(2, 1, requires_grad=True)
    weight = torch.zeros((), requires_grad=True)
    flat = Verdict(weight * (images.flatten() + told.flatten()))
    penalty = gradient_penalty(flat, images, told, 6.0, "code")
    penalty.sum().backward()
    assert penalty.tolist() == [0, 0]
    assert weight.grad is not None
    assert weight.grad.item() == 0  # not NaN


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ConfigError, match=r"No adversarial loss is named 'hing'\. Did you mean 'hinge' or "):
        check_loss("hing")
