"""DF-GAN."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.families.dfgan.discriminator import DownBlock, OneWayDiscriminator
from pictura.families.dfgan.family import FAMILY
from pictura.families.dfgan.model import DFGANConfig, DFGANGenerator, UpBlock
from pictura.families.dfgan.presets import get_preset

CONFIG = DFGANConfig(**get_preset("micro"))


def stirred(network: nn.Module) -> nn.Module:
    """Weights that start at zero would hide mistakes."""
    torch.manual_seed(0)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.3)
    return network.eval()


@pytest.fixture
def model() -> nn.Module:
    return stirred(DFGANGenerator(CONFIG))


def told(batch: int) -> Conditioning:
    return Conditioning(
        tokens=torch.randn(batch, 5, 16),
        mask=torch.ones(batch, 5, dtype=torch.bool),
        sentence=torch.randn(batch, 16),
    )


def test_it_paints_one_picture_without_augmentation_or_attention(model: Any) -> None:
    painted = model(torch.randn(2, 4), told(2))
    assert [tuple(image.shape) for image in painted.images] == [(2, 4, 16, 16)]
    assert model.sizes == (16,)
    assert painted.mean is None
    assert painted.attention == ()


def test_a_bound_painter_stays_within_a_pictures_range_and_a_free_one_may_leave_it() -> None:
    # A push that would leave a tanh without slope for good: a free painter still feels which way is back.
    slopes = {}
    for bounded in (True, False):
        painter: Any = stirred(DFGANGenerator(dataclasses.replace(CONFIG, bounded=bounded)))
        with torch.no_grad():
            painter.head[1].bias.fill_(-100.0)
        image = painter(torch.randn(2, 4), told(2)).images[0]
        assert (image.abs().max() <= 1) == bounded
        image.sum().backward()
        slopes[bounded] = float(painter.head[1].bias.grad.abs().sum())
    assert slopes[True] == 0
    assert slopes[False] > 0


def test_a_new_painter_does_not_read_the_sentence_yet() -> None:
    new, noise = DFGANGenerator(CONFIG), torch.randn(2, 4)
    torch.testing.assert_close(new(noise, told(2)).images[0], new(noise, told(2)).images[0])


def test_sentence_and_noise_matter_and_words_do_not(model: Any) -> None:
    noise, cond = torch.randn(2, 4), told(2)
    image = model(noise, cond).images[0]
    other = dataclasses.replace(cond, sentence=torch.randn(2, 16))
    assert (model(noise, other).images[0] - image).abs().max() > 1e-3
    assert (model(noise + 1, cond).images[0] - image).abs().max() > 1e-3
    words = dataclasses.replace(cond, tokens=cond.tokens + 1, mask=~cond.mask)
    assert torch.equal(model(noise, words).images[0], image)


def test_the_paper_fuses_the_sentence_and_the_code_fuses_noise_too() -> None:
    for fidelity, numbers in (("paper", 16), ("code", 16 + 4)):
        block: Any = DFGANGenerator(dataclasses.replace(CONFIG, fidelity=fidelity)).blocks[0]
        assert block.fuse_in.affine[0].scale[0].in_features == numbers


def test_a_picture_does_not_depend_on_its_neighbours(model: Any) -> None:
    noise, cond, sentences = torch.randn(3, 4), told(3), torch.randn(3, 16)
    together = model(noise, dataclasses.replace(cond, sentence=sentences)).images[0]
    for i in range(3):
        alone = model(noise[i : i + 1], dataclasses.replace(cond, sentence=sentences[i : i + 1]))
        torch.testing.assert_close(together[i : i + 1], alone.images[0], atol=1e-5, rtol=1e-4)


def test_doubling_late_gives_the_numbers_of_doubling_first() -> None:
    block = stirred(UpBlock(6, 4, 5, 7))
    x, given = torch.randn(2, 6, 4, 4), torch.randn(2, 5)
    up = torch.repeat_interleave(torch.repeat_interleave(x, 2, dim=2), 2, dim=3)
    way = block.conv_in(block.fuse_in(up, given))  # type: ignore[operator]
    first = block.short(up) + block.conv_out(block.fuse_out(way, given))  # type: ignore[operator]
    torch.testing.assert_close(block(x, given), first)


def test_a_new_discriminators_filters_count_nothing_until_their_gate_opens() -> None:
    block, x = DownBlock(4, 4), torch.randn(2, 4, 8, 8)
    averaged = nn.functional.avg_pool2d(x, 2)
    assert torch.equal(block(x), averaged)
    with torch.no_grad():
        block.gate.fill_(1.0)
    torch.testing.assert_close(block(x), averaged + block.way(x))


def test_the_discriminator_gives_one_verdict_on_picture_and_sentence() -> None:
    (discriminator,) = FAMILY.discriminators(CONFIG)
    stirred(discriminator)
    images, sentences = torch.randn(2, 4, 16, 16), torch.randn(2, 16)
    verdict = discriminator(images, sentences)
    assert verdict.unconditional is None
    assert verdict.conditional.shape == (2,)
    features = discriminator.features(images)  # type: ignore[operator]
    wrong = discriminator.judge(features, sentences.flip(0))  # type: ignore[operator]
    assert (wrong.conditional - verdict.conditional).abs().min() > 1e-4


def test_the_gradient_penalty_reaches_the_discriminators_weights() -> None:
    torch.manual_seed(0)
    discriminator = OneWayDiscriminator(CONFIG)  # new: gates closed
    images = torch.randn(2, 4, 16, 16, requires_grad=True)
    sentences = torch.randn(2, 16, requires_grad=True)
    verdict = discriminator(images, sentences)
    both = torch.autograd.grad(verdict.conditional.sum(), (images, sentences), create_graph=True)
    penalty = sum(gradient.flatten(1).norm(dim=1) for gradient in both) ** 6
    penalty.mean().backward()
    for name in ("join.0.weight", "join.2.weight", "look.0.weight", "look.1.gate"):
        gradient = discriminator.get_parameter(name).grad
        assert gradient is not None
        assert gradient.abs().max() > 0, name


def test_the_gradients_gradient_is_right() -> None:
    (discriminator,) = FAMILY.discriminators(dataclasses.replace(CONFIG, side=8, width=1))
    stirred(discriminator).double()
    images = torch.randn(1, 4, 8, 8, dtype=torch.double, requires_grad=True)
    sentence = torch.randn(1, 16, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, s: discriminator(x, s).conditional, (images, sentence))


def count(part: nn.Module) -> int:
    return sum(p.numel() for p in part.parameters())


def test_the_paper_preset_is_the_released_network() -> None:
    config = FAMILY.config(**get_preset("paper"))
    with torch.device("meta"):
        painter, (judge,) = FAMILY.generator(config), FAMILY.discriminators(config)
        with FlopCounterMode(display=False) as counter:
            painted = painter(torch.randn(1, 100), dataclasses.replace(told(1), sentence=torch.randn(1, 256)))
    # Counted in the authors' code of June 2022: 9,744,131; 6,619,206 + 295,936, of which the 1x1 filters
    # of three blocks are never called (3 * (256 * 256 + 256)).
    assert count(painter) == 9_744_131
    assert count(judge) == 6_619_206 + 295_936 - 3 * (256 * 256 + 256)
    assert painted.images[0].shape == (1, 3, 256, 256)
    assert counter.get_total_flops() / 1e9 == pytest.approx(14.4, rel=0.01)


@pytest.mark.parametrize(("name", "side", "millions"), [("small", 64, 0.99), ("small-128", 128, 1.02)])
def test_the_small_presets_have_the_size_that_their_page_says(name: str, side: int, millions: float) -> None:
    with torch.device("meta"):
        model = DFGANGenerator(DFGANConfig(**get_preset(name)))
    assert model.sizes == (side,)
    assert count(model) / 1e6 == pytest.approx(millions, abs=0.01)


def test_weights_are_floating_point_and_fill_a_new_model(model: nn.Module) -> None:
    assert all(value.is_floating_point() for value in model.state_dict().values())
    again = DFGANGenerator(CONFIG)
    again.load_state_dict(model.state_dict())
    noise, cond = torch.randn(2, 4), told(2)
    assert torch.equal(again(noise, cond).images[0], model(noise, cond).images[0])


class Plain(nn.Module):
    """The painter with tensors in and out, as graphs are made from it."""

    def __init__(self, painter: nn.Module) -> None:
        super().__init__()
        self.painter = painter

    def forward(self, noise: Tensor, tokens: Tensor, mask: Tensor, sentence: Tensor) -> Tensor:
        return self.painter(noise, Conditioning(tokens=tokens, mask=mask, sentence=sentence)).images[-1]


def test_it_exports_for_any_batch_and_any_number_of_words(model: nn.Module) -> None:
    b, t = torch.export.Dim("b", min=1, max=64), torch.export.Dim("t", min=1, max=64)
    cond, plain = told(2), Plain(model)
    shapes = ({0: b}, {0: b, 1: t}, {0: b, 1: t}, {0: b})
    inputs = (torch.randn(2, 4), cond.tokens, cond.mask, cond.sentence)
    graph = torch.export.export(plain, inputs, dynamic_shapes=shapes).module()
    more = told(3)
    others = (torch.randn(3, 4), more.tokens, more.mask, more.sentence)
    torch.testing.assert_close(graph(*others), plain(*others))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image_channels": 1}, r"image_channels must be 3 or 4; got 1"),
        ({"fidelity": "both"}, r"fidelity must be \"paper\" or \"code\"; got 'both'"),
        ({"fusion_width": -1}, r"fusion_width must not be negative; got -1"),
        ({"noise_width": 0}, r"noise_width must be at least 1; got 0"),
        ({"side": 100}, r"must be 8, 16, 32, 64 … pixels; got 100"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DFGANConfig(**fields)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"DF-GAN family has no preset 'papr'\. Did you mean 'paper'"):
        get_preset("papr")
