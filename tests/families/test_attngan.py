"""AttnGAN."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.families.attngan.family import FAMILY
from pictura.families.attngan.model import AttnGANConfig, AttnGANGenerator, WordAttention
from pictura.families.attngan.presets import get_preset
from pictura.nn.gan import Painted

CONFIG = AttnGANConfig(**{**get_preset("micro"), "num_scales": 3})


@pytest.fixture
def model() -> AttnGANGenerator:
    torch.manual_seed(0)
    model = AttnGANGenerator(CONFIG)
    model(torch.randn(8, model.noise_size), told(8))  # so that the averages of normalisation are not 0 and 1
    return model.eval()


def told(batch: int, tokens: int = 5) -> Conditioning:
    return Conditioning(
        tokens=torch.randn(batch, tokens, 16),
        mask=torch.ones(batch, tokens, dtype=torch.bool),
        sentence=torch.randn(batch, 16),
    )


def row(cond: Conditioning, i: int) -> Conditioning:
    assert cond.sentence is not None
    return Conditioning(
        tokens=cond.tokens[i : i + 1], mask=cond.mask[i : i + 1], sentence=cond.sentence[i : i + 1]
    )


def assert_same(ours: Painted, theirs: Painted) -> None:
    for image, other in zip(ours.images, theirs.images, strict=True):
        torch.testing.assert_close(image, other, atol=1e-5, rtol=1e-4)


def test_each_scale_paints_and_each_but_the_first_looks_at_words(model: AttnGANGenerator) -> None:
    painted = model(torch.randn(2, model.noise_size), told(2))
    assert [tuple(image.shape) for image in painted.images] == [(2, 4, side, side) for side in (8, 16, 32)]
    assert [tuple(weights.shape) for weights in painted.attention] == [(2, 5, 8, 8), (2, 5, 16, 16)]
    assert painted.mean.shape == painted.log_std.shape == (2, 6)
    assert model.sizes == (8, 16, 32)
    assert max(image.abs().max() for image in painted.images) <= 1


def test_attention_sums_to_one_over_words_and_is_nothing_at_padding(model: AttnGANGenerator) -> None:
    cond = told(2, 6)
    cond.mask[0, 4:] = False
    for weights in model(torch.randn(2, model.noise_size), cond).attention:
        torch.testing.assert_close(weights.sum(dim=1), torch.ones_like(weights[:, 0]))
        assert weights[0, 4:].abs().max() == 0
        assert weights[1, 4:].min() > 0


def test_padding_changes_no_picture_at_all(model: AttnGANGenerator) -> None:
    # The authors' mask is laid over the batch in another order than the scores: one padded caption
    # would hide words of others, and be looked at itself.
    noise, cond = torch.randn(3, model.noise_size), told(3)
    padded = Conditioning(
        tokens=torch.cat([cond.tokens, torch.randn(3, 2, 16)], dim=1),
        mask=torch.cat([cond.mask, torch.tensor([[0, 0], [1, 1], [1, 1]]).bool()], dim=1),
        sentence=cond.sentence,
    )
    assert_same(model(noise[:1], row(padded, 0)), model(noise[:1], row(cond, 0)))  # not its own
    whole = dataclasses.replace(padded, mask=torch.ones_like(padded.mask))
    for i in (1, 2):  # and no other: both rows are full in `padded` and in `whole`
        with_pad = model(noise, padded).images[-1][i]
        torch.testing.assert_close(with_pad, model(noise, whole).images[-1][i], atol=1e-5, rtol=1e-4)


def test_a_picture_does_not_depend_on_its_neighbours(model: AttnGANGenerator) -> None:
    noise, cond = torch.randn(3, model.noise_size), told(3)
    cond.mask[2, 1:] = False
    together = model(noise, cond)
    for i in range(3):
        alone = model(noise[i : i + 1], row(cond, i))
        assert_same(Painted(tuple(image[i : i + 1] for image in together.images), together.told), alone)


def test_attention_is_the_papers_equation() -> None:
    torch.manual_seed(0)
    layer, x, words = WordAttention(3, 4), torch.randn(1, 3, 2, 2), torch.randn(1, 5, 4)
    context, weights = layer(x, words, torch.ones(1, 5, dtype=torch.bool))
    keys = words[0] @ layer.words.weight.T  # e' = U e
    for i, j in ((0, 0), (1, 0), (1, 1)):
        beta = torch.softmax(keys @ x[0, :, i, j], dim=0)
        torch.testing.assert_close(weights[0, :, i, j], beta)
        torch.testing.assert_close(context[0, :, i, j], (beta[:, None] * keys).sum(dim=0))


def test_words_noise_and_sentence_all_matter(model: AttnGANGenerator) -> None:
    noise, cond = torch.randn(2, model.noise_size), told(2)
    image = model(noise, cond).images[-1]
    other_words = dataclasses.replace(cond, tokens=cond.tokens + 1)
    other_sentence = dataclasses.replace(cond, sentence=torch.randn(2, 16))
    for changed in (
        model(noise, other_words),
        model(noise, other_sentence),
        model(noise + torch.tensor([0.0] * 4 + [1.0] * 6), cond),  # of conditioning augmentation
        model(noise + torch.tensor([1.0] * 4 + [0.0] * 6), cond),
    ):
        assert (changed.images[-1] - image).abs().max() > 1e-4
    torch.testing.assert_close(model(noise, other_words).images[0], model(noise, cond).images[0])


def test_discriminators_judge_each_scale_by_the_sentence() -> None:
    discriminators = FAMILY.discriminators(CONFIG)
    sentence = torch.randn(2, 16, requires_grad=True)
    painted = AttnGANGenerator(CONFIG)(torch.randn(2, 10), dataclasses.replace(told(2), sentence=sentence))
    assert not painted.told.requires_grad
    assert len(discriminators) == len(painted.images)
    for discriminator, image in zip(discriminators, painted.images, strict=True):
        verdict = discriminator(image, painted.told)
        assert verdict.conditional.shape == verdict.unconditional.shape == (2,)


def millions(*parts: nn.Module) -> list[float]:
    return [round(sum(p.numel() for p in part.parameters()) / 1e6, 1) for part in parts]


@pytest.mark.parametrize(
    ("name", "generator", "discriminators", "gflop"),
    [("paper", 7.1, [6.3, 19.4, 71.9], 16.5), ("paper-coco", 13.8, [13.3, 42.8, 160.8], 47.0)],
)
def test_the_paper_presets_are_the_published_networks(
    name: str, generator: float, discriminators: list[float], gflop: float
) -> None:
    config = FAMILY.config(**get_preset(name))
    with torch.device("meta"):
        painter, judges = FAMILY.generator(config).eval(), FAMILY.discriminators(config)
        words = Conditioning(
            tokens=torch.randn(1, 18, 256),
            mask=torch.ones(1, 18, dtype=torch.bool),
            sentence=torch.randn(1, 256),
        )
        with FlopCounterMode(display=False) as counter:
            painted = painter(torch.randn(1, 200), words)
    assert millions(painter) == [generator]
    assert millions(*judges) == discriminators
    assert [image.shape[-1] for image in painted.images] == [64, 128, 256]
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, rel=0.05)


@pytest.mark.parametrize(("name", "side", "count"), [("small", 64, 0.94), ("small-128", 128, 0.66)])
def test_the_small_presets_have_the_size_that_their_page_says(name: str, side: int, count: float) -> None:
    config = AttnGANConfig(**get_preset(name))
    with torch.device("meta"):
        model = AttnGANGenerator(config)
    assert model.sizes[-1] == side
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(count, abs=0.01)


def test_weights_are_floating_point_and_fill_a_new_model(model: AttnGANGenerator) -> None:
    assert all(value.is_floating_point() for value in model.state_dict().values())
    again = AttnGANGenerator(CONFIG).eval()
    again.load_state_dict(dict(model.state_dict()))  # a plain dict, as from a file
    noise, cond = torch.randn(2, model.noise_size), told(2)
    assert torch.equal(again(noise, cond).images[-1], model(noise, cond).images[-1])


class Plain(nn.Module):
    """The painter with tensors in and out, as graphs are made from it."""

    def __init__(self, painter: nn.Module) -> None:
        super().__init__()
        self.painter = painter

    def forward(self, noise: Tensor, tokens: Tensor, mask: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor]:
        painted = self.painter(noise, Conditioning(tokens=tokens, mask=mask, sentence=sentence))
        return painted.images[-1], painted.attention[-1]


def test_it_exports_for_any_batch_and_any_number_of_words(model: AttnGANGenerator) -> None:
    b, t = torch.export.Dim("b", min=1, max=64), torch.export.Dim("t", min=1, max=64)
    cond, plain = told(2), Plain(model)
    inputs = (torch.randn(2, model.noise_size), cond.tokens, cond.mask, cond.sentence)
    shapes = ({0: b}, {0: b, 1: t}, {0: b, 1: t}, {0: b})
    graph = torch.export.export(plain, inputs, dynamic_shapes=shapes).module()
    more = told(3, 7)
    others = (torch.randn(3, model.noise_size), more.tokens, more.mask, more.sentence)
    for got, expected in zip(graph(*others), plain(*others), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image_channels": 2}, r"image_channels must be 3 or 4; got 2"),
        ({"fidelity": "both"}, r"fidelity must be \"paper\" or \"code\"; got 'both'"),
        ({"num_residual": -1}, r"num_residual must not be negative; got -1"),
        ({"num_scales": 0}, r"num_scales must be at least 1; got 0"),
        ({"base_size": 48}, r"must be 8, 16, 32, 64 … pixels; got 48"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        AttnGANConfig(**fields)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"AttnGAN family has no preset 'smal'\. Did you mean 'small"):
        get_preset("smal")
