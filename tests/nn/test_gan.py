"""The layers and the discriminators that the adversarial families share."""

import pytest
import torch
from torch import nn

from pictura.core.errors import ConfigError
from pictura.nn.gan import (
    BatchNorm1d,
    BatchNorm2d,
    ConditioningAugmentation,
    ResidualBlock,
    beside,
    down_block,
    glu_block,
    init_weights,
    leaky_block,
    up_block,
)
from pictura.nn.tree import FirstBranch, JointDiscriminator, image_head


def test_normalisation_keeps_no_whole_numbers_and_loads_from_a_plain_dictionary() -> None:
    network = nn.Sequential(nn.Linear(3, 4), BatchNorm1d(4), nn.Unflatten(1, (4, 1, 1)), BatchNorm2d(4))
    network(torch.randn(5, 3))
    plain = {name: tensor.clone() for name, tensor in network.state_dict().items()}  # as files give it
    assert all(tensor.is_floating_point() for tensor in plain.values())
    again = nn.Sequential(nn.Linear(3, 4), BatchNorm1d(4), nn.Unflatten(1, (4, 1, 1)), BatchNorm2d(4))
    again.load_state_dict(plain)
    x = torch.randn(2, 3)
    assert torch.equal(again.eval()(x), network.eval()(x))


def test_blocks_change_channels_and_sides_as_they_say() -> None:
    x = torch.randn(2, 6, 4, 8)  # height and width differ on purpose
    assert glu_block(6, 5)(x).shape == (2, 5, 4, 8)
    assert up_block(6, 5)(x).shape == (2, 5, 8, 16)
    assert leaky_block(6, 5)(x).shape == (2, 5, 4, 8)
    assert down_block(6, 5)(x).shape == (2, 5, 2, 4)
    assert ResidualBlock(6)(x).shape == x.shape
    assert not any(isinstance(layer, BatchNorm2d) for layer in down_block(6, 5, normalised=False))


def test_a_residual_block_adds_without_bending() -> None:
    block = ResidualBlock(4)
    nn.init.zeros_(block.block[-1].weight)  # type: ignore[arg-type]
    x = -torch.rand(2, 4, 3, 3)
    assert torch.equal(block(x), x)


def test_a_gated_condition_is_drawn_from_what_it_says() -> None:
    augment = ConditioningAugmentation(3, 2, "gated")
    assert augment.line.weight.shape == (8, 3)
    eps = torch.randn(5, 2)
    condition, mean, log_std = augment(torch.randn(5, 3), eps)
    assert condition.shape == mean.shape == log_std.shape == (5, 2)
    torch.testing.assert_close(condition, mean + log_std.exp() * eps)


def test_a_gated_layer_names_the_variance_and_a_leaky_one_the_deviation() -> None:
    sentence, eps = torch.ones(1, 1), torch.zeros(1, 1)
    gated, leaky = ConditioningAugmentation(1, 1, "gated"), ConditioningAugmentation(1, 1, "leaky")
    for augment in (gated, leaky):
        nn.init.zeros_(augment.line.weight)
    with torch.no_grad():
        gated.line.bias.copy_(torch.tensor([3.0, 4.0, 0.0, 0.0]))  # gates half open
        leaky.line.bias.copy_(torch.tensor([-5.0, 2.0]))
    _, mean, log_std = gated(sentence, eps)
    assert (mean.item(), log_std.item()) == pytest.approx((1.5, 1.0))  # log of the variance is 2
    _, mean, log_std = leaky(sentence, eps)
    assert (mean.item(), log_std.item()) == pytest.approx((-1.0, 2.0))


def test_a_vector_is_laid_at_every_place() -> None:
    joined = beside(torch.zeros(2, 3, 4, 5), torch.tensor([[1.0], [2.0]]))
    assert joined.shape == (2, 4, 4, 5)
    assert torch.equal(joined[:, 3].amin(dim=(1, 2)), joined[:, 3].amax(dim=(1, 2)))
    assert joined[:, 3, 0, 0].tolist() == [1.0, 2.0]


def test_weights_start_as_the_authors_start_them() -> None:
    torch.manual_seed(0)
    filters = leaky_block(40, 10)
    init_weights(filters, "orthogonal")
    rows = filters[0].weight.flatten(1)  # type: ignore[operator]
    torch.testing.assert_close(rows @ rows.T, torch.eye(10), atol=1e-5, rtol=0)
    init_weights(filters, "normal")
    weight = filters[0].weight
    assert isinstance(weight, torch.Tensor)
    assert weight.abs().max() <= 0.04
    assert weight.std().item() == pytest.approx(0.0176, abs=0.001)  # of a normal cut at two deviations
    gains = torch.cat([leaky_block(1, 500)[1].weight, filters[1].weight])  # type: ignore[list-item]
    assert 0.001 < (gains[500:] - 1).std() < 0.05
    assert torch.equal(gains[:500], torch.ones(500))


@pytest.mark.parametrize(("side", "channels"), [(8, 3), (16, 6), (32, 12), (64, 24), (128, 24), (256, 24)])
def test_discriminators_look_at_any_side(side: int, channels: int) -> None:
    discriminator = JointDiscriminator(side, image_channels=4, width=3, told_width=5)
    features = discriminator.features(torch.randn(2, 4, side, side))
    assert features.shape == (2, channels, 4, 4)
    verdict = discriminator.judge(features, torch.randn(2, 5))
    assert verdict.conditional.shape == (2,)
    assert verdict.unconditional is not None
    assert verdict.unconditional.shape == (2,)


def test_only_the_conditional_verdict_hears_the_sentence() -> None:
    torch.manual_seed(0)
    discriminator = JointDiscriminator(16, 3, 4, 5).eval()
    features = discriminator.features(torch.randn(2, 3, 16, 16))
    one, other = (discriminator.judge(features, torch.randn(2, 5)) for _ in range(2))
    assert one.unconditional is not None
    assert other.unconditional is not None
    assert torch.equal(one.unconditional, other.unconditional)
    assert not torch.allclose(one.conditional, other.conditional)


@pytest.mark.parametrize("side", [4, 24, 0, -8])
def test_a_side_that_cannot_be_halved_to_4_is_refused(side: int) -> None:
    with pytest.raises(ConfigError, match=rf"must be 8, 16, 32, 64 … pixels; got {side}"):
        JointDiscriminator(side, 3, 4, 5)


@pytest.mark.parametrize(
    ("side", "told_width", "width", "millions"),
    [
        (64, 128, 64, 5.7),  # StackGAN++
        (128, 128, 64, 18.8),
        (256, 128, 64, 71.3),
        (64, 256, 64, 6.3),  # AttnGAN on CUB
        (128, 256, 64, 19.4),
        (256, 256, 64, 71.9),
        (256, 256, 96, 160.8),  # and on COCO
    ],
)
def test_discriminators_have_the_published_number_of_weights(
    side: int, told_width: int, width: int, millions: float
) -> None:
    with torch.device("meta"):
        discriminator = JointDiscriminator(side, 3, width, told_width)
    count = sum(weight.numel() for weight in discriminator.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_first_branch_grows_from_4_to_its_side() -> None:
    branch = FirstBranch(numbers=7, width=3, side=16)
    assert branch(torch.randn(2, 7)).shape == (2, 3, 16, 16)
    pictures = image_head(3, 4)(branch(torch.randn(2, 7)))
    assert pictures.shape == (2, 4, 16, 16)
    assert pictures.abs().max() <= 1
