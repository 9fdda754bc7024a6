"""unCLIP's decoder: what it reads and what it does not, what it gives untrained, sizes, presets."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError, SizeError
from pictura.core.types import ImageConditioning
from pictura.families.unclip.decoder import LEAST_VARIANCE, Decoder, DecoderConfig
from pictura.families.unclip.presets import PRESETS, get_preset
from pictura.families.unclip.unet import ContextAttention, attention_levels, group_norm
from pictura.sample.diffusion import alpha_sigma

D, E = 16, 12
MICRO = get_preset("decoder", "micro") | {"embed_dim": D, "text_width": E}
T = torch.tensor([0.05, 0.5, 1.0])


def make(*, std: float = 0.1, **more: Any) -> Decoder:
    """A decoder all of whose weights say something; those that start at zero would hide mistakes."""
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(**{**MICRO, **more})).requires_grad_(False).eval()
    for weight in decoder.parameters():
        if std:
            weight.add_(torch.randn_like(weight) * std)
    return decoder


def noisy(height: int = 8, width: int = 12) -> Tensor:
    return torch.randn(3, 4, height, width, generator=torch.Generator().manual_seed(1))


def told(seed: int = 2, *, length: int = 5, embedding: bool = True, text: bool = True) -> ImageConditioning:
    """Vectors and words of three pictures; the first has two tokens, the second three, the third all."""
    rng = torch.Generator().manual_seed(seed)
    return ImageConditioning(
        embedding=F.normalize(torch.randn(3, D, generator=rng), dim=1),
        tokens=torch.randn(3, length, E, generator=rng),
        mask=torch.arange(length) < torch.tensor([[2], [3], [length]]),
        keep_embedding=torch.full((3,), embedding),
        keep_text=torch.full((3,), text),
    )


def differ(a: Tensor, b: Tensor) -> list[bool]:
    """Which pictures differ."""
    return [(x - y).abs().max().item() > 1e-4 for x, y in zip(a, b, strict=True)]


# What it gives


def test_an_untrained_decoder_paints_grey_of_any_shape_that_it_can_halve() -> None:
    out = make(std=0)(noisy(), T, told())
    assert out.shape == (3, 4, 8, 12)
    assert not out.any()
    assert make()(noisy(6, 10), T, told()).shape == (3, 4, 6, 10)


def test_a_learnt_variance_is_as_many_channels_more_and_no_part_of_the_picture() -> None:
    decoder = make(learned_variance=True)
    out = decoder(noisy(), T, told())
    assert out.shape == (3, 8, 8, 12)
    assert torch.equal(decoder.denoise(noisy(), T, told()), out[:, :4])


def test_a_known_noise_is_taken_out() -> None:
    decoder = make(std=0, prediction="noise")
    bias = decoder.unet.conv_out.bias
    assert bias is not None
    bias.copy_(torch.tensor([0.5, -1.0, 2.0, 0.0]))  # what it takes the noise for, everywhere
    a, s = (share[:, None, None, None] for share in alpha_sigma("cosine", T))
    x_0 = torch.rand(3, 4, 8, 12) * 2 - 1
    x_t = a * x_0 + s * bias[:, None, None]
    torch.testing.assert_close(decoder.denoise(x_t, T, told()), x_0, atol=1e-3, rtol=0)
    assert torch.equal(decoder(x_t, T, told())[0, :, 0, 0], bias)


def test_each_picture_is_painted_for_itself() -> None:
    decoder, x_t, cond = make(), noisy(), told()
    whole = decoder(x_t, T, cond)
    for i in range(3):
        row = slice(i, i + 1)
        alone = {name: getattr(cond, name)[row] for name in cond.__dataclass_fields__}
        torch.testing.assert_close(decoder(x_t[row], T[row], ImageConditioning(**alone)), whole[row])


# What it reads


def test_everything_that_it_is_told_matters() -> None:
    decoder, cond = make(), told()
    before, other = decoder(noisy(), T, cond), told(seed=3)
    assert all(differ(before, decoder(noisy() + 0.1, T, cond)))
    assert all(differ(before, decoder(noisy(), T * 0.5, cond)))
    for name in ("embedding", "tokens"):
        changed = replace(cond, **{name: getattr(other, name)})
        assert all(differ(before, decoder(noisy(), T, changed))), name
    for name in ("keep_embedding", "keep_text"):
        one = torch.tensor([False, True, True])
        assert differ(before, decoder(noisy(), T, replace(cond, **{name: one}))) == [True, False, False]


def test_what_is_dropped_really_does_not_matter() -> None:
    decoder, cond, other = make(), told(), told(seed=3, length=8)
    kept = decoder(noisy(), T, replace(cond, keep_embedding=~cond.keep_embedding))
    changed = replace(cond, keep_embedding=~cond.keep_embedding, embedding=other.embedding)
    assert torch.equal(kept, decoder(noisy(), T, changed))
    kept = decoder(noisy(), T, replace(cond, keep_text=~cond.keep_text))
    # Not its words, nor their number, nor which of them are seen.
    changed = replace(other, keep_text=~cond.keep_text, embedding=cond.embedding)
    torch.testing.assert_close(kept, decoder(noisy(), T, changed))


@pytest.mark.parametrize("blocks", [0, 1])
def test_padding_does_not_matter(blocks: int) -> None:
    decoder, cond = make(context_blocks=blocks, context_heads=2), told()
    padded = F.pad(cond.tokens, (0, 0, 0, 3), value=7.0)
    padded[0, 2:5] = 9.0
    more = replace(cond, tokens=padded, mask=F.pad(cond.mask, (0, 3)))
    torch.testing.assert_close(decoder(noisy(), T, more), decoder(noisy(), T, cond))


@pytest.mark.parametrize(
    ("said", "paths"),
    [("embedding", ("embedding_time", "embedding_tokens")), ("tokens", ("text_time", "unet"))],
)
def test_vector_and_words_reach_the_picture_by_the_time_and_by_tokens(
    said: str, paths: tuple[str, str]
) -> None:
    cond = told()
    other = replace(cond, **{said: getattr(told(seed=3), said)})
    cuts: tuple[tuple[str, ...], ...] = ((), paths[:1], paths[1:], paths)
    for cut in cuts:
        decoder = make()
        for name in cut:
            silence(decoder, name)
        changed = differ(decoder(noisy(), T, cond), decoder(noisy(), T, other))
        assert changed == [len(cut) < 2] * 3, cut


def silence(decoder: Decoder, name: str) -> None:
    """Cut one of the paths; that of the words' tokens is the attention's."""
    if name == "unet":
        for module in decoder.unet.modules():
            if isinstance(module, ContextAttention):
                module.context.weight.zero_()
    else:
        getattr(decoder, name).weight.zero_()


def test_where_all_keys_are_alike_a_place_takes_the_mean_of_all_places_and_seen_tokens() -> None:
    attention = ContextAttention(4, 2, 4).requires_grad_(False)
    eye = torch.eye(4)
    attention.qkv.weight.copy_(torch.cat([eye, 0 * eye, eye]))
    attention.context.weight.copy_(torch.cat([0 * eye, eye]))
    attention.out.weight.copy_(eye)
    x, context = torch.randn(1, 4, 2, 3), torch.randn(1, 3, 4)
    seen = torch.tensor([[True, False, True]])
    places = attention.norm(x).flatten(2)[0].T  # (6, 4)
    mean = torch.cat([places, context[0, [0, 2]]]).mean(dim=0)
    torch.testing.assert_close(attention(x, context, seen), x + mean[:, None, None])


def test_vectors_are_read_by_what_sets_them_apart() -> None:
    decoder, rng = make(), torch.Generator().manual_seed(5)
    loud = torch.randn(4000, D, generator=rng) * torch.tensor([1.0, 0.1, 1e-4] + [0.05] * (D - 3))
    vectors = F.normalize(3 + loud, dim=1)  # much alike
    decoder.measure(vectors)
    standard = (vectors - decoder.centre) @ decoder.turn.T
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(D), atol=1e-3, rtol=0)
    covariance = standard.T @ standard / len(standard)
    torch.testing.assert_close(covariance, covariance.diagonal().diag(), atol=1e-3, rtol=0)
    own = torch.linalg.eigvalsh(torch.cov(vectors.double().T, correction=0)).float()
    wanted = own / (own + LEAST_VARIANCE * own.sum())  # 1, but for components that hardly vary
    torch.testing.assert_close(covariance.diagonal().sort().values, wanted, atol=1e-3, rtol=0)
    assert wanted[0] < 0.2
    assert wanted[2] > 0.5
    plain = replace(told(), embedding=standard[:3] / math.sqrt(D))  # what an unmeasured one makes of it
    measured = replace(told(), embedding=vectors[:3])
    torch.testing.assert_close(decoder(noisy(), T, measured), make()(noisy(), T, plain), atol=1e-4, rtol=0)


def test_an_unmeasured_decoder_reads_unit_vectors_as_numbers_of_unit_variance() -> None:
    decoder, cond = make(), told()
    scaled = make()
    scaled.turn.copy_(torch.eye(D))
    given = replace(cond, embedding=cond.embedding * math.sqrt(D))
    torch.testing.assert_close(decoder(noisy(), T, cond), scaled(noisy(), T, given))


@pytest.mark.parametrize(("kept", "differs"), [("places", True), ("plan_in", True), ("", False)])
def test_it_knows_places_and_plans_what_lies_where(kept: str, differs: bool) -> None:
    # Without both, the middle of an empty picture looks the same at every place that sees no edge.
    decoder = make()
    for name, module in decoder.unet.named_modules():
        if name in {"places", "plan_in"} - {kept}:
            module.get_parameter("weight").zero_()
        if isinstance(module, ContextAttention):
            module.out.weight.zero_()
    out = decoder(torch.zeros(3, 4, 64, 96), T, told())
    spread = (out[:, :, 31:33, 44:52] - out[:, :, 31:33, 44:45]).abs().max().item()
    assert spread > 1e-2 if differs else spread < 1e-4


def test_the_plan_comes_from_what_is_told() -> None:
    decoder = make()
    decoder.unet.places.weight.zero_()
    plans = [decoder.unet._plan(torch.full((1, decoder.unet.time_width), v), (4, 4)) for v in (0.0, 1.0)]
    assert (plans[0] - plans[1]).abs().max() > 0.1
    wide = decoder.unet._plan(torch.ones(1, decoder.unet.time_width), (8, 12))
    assert wide.shape == (1, 16, 8, 12)
    torch.testing.assert_close(wide[:, :, :1, :1], plans[1][:, :, :1, :1])  # corners stay corners


# What it refuses


@pytest.mark.parametrize(
    ("x_t", "cond", "message"),
    [
        (noisy(7, 8), told(), r"halves pictures to multiples of 2 pixels; got 7 x 8 \(height x width\)"),
        (noisy()[:, :3], told(), r"reads pictures of shape \(B, 4, H, W\); got \(3, 3, 8, 12\)"),
        (noisy(), replace(told(), embedding=torch.ones(3, 9)), "reads vectors of 16 numbers; got 9"),
        (
            noisy(),
            replace(told(), tokens=torch.ones(3, 5, 9)),
            "reads features of words of 12 numbers; got 9",
        ),
    ],
)
def test_what_does_not_fit_is_refused(x_t: Tensor, cond: ImageConditioning, message: str) -> None:
    with pytest.raises(SizeError, match=message):
        make()(x_t, T, cond)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"prediction": "velocity"}, "DecoderConfig.prediction must be 'x_0' or 'noise'; got 'velocity'"),
        ({"schedule": "sigmoid"}, "schedule must be 'cosine' or 'linear'; got 'sigmoid'"),
        ({"size": 9}, "DecoderConfig.size must be a multiple of 2, to which the U-Net halves; got 9"),
        ({"width": 0}, "DecoderConfig.width must be at least 1; got 0"),
        ({"attention_sides": ()}, "attention_sides must name a side"),
        ({"attention_sides": (3,)}, "among the sides of the levels, 8, 4; got 3"),
        ({"head_width": 5}, "a multiple of head_width; got 16 channels and head_width=5"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**more)


# Presets


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_papers_decoder_has_about_its_parameters() -> None:
    with torch.device("meta"):
        decoder = Decoder(DecoderConfig(**get_preset("decoder", "paper")))
    assert count(decoder) == 3_391_011_846  # 3.1 % below "3.5 B"
    assert count(decoder.blocks) == 1_209_633_792
    assert decoder.unet.step == 8


@pytest.mark.parametrize("name", ["micro", "small", "medium"])
def test_presets_paint_pictures_of_their_size(name: str) -> None:
    config = DecoderConfig(**get_preset("decoder", name))
    with torch.device("meta"):
        decoder = Decoder(config)
        cond = ImageConditioning(
            embedding=torch.empty(2, config.embed_dim),
            tokens=torch.empty(2, 7, config.text_width),
            mask=torch.empty(2, 7, dtype=torch.bool),
            keep_embedding=torch.empty(2, dtype=torch.bool),
            keep_text=torch.empty(2, dtype=torch.bool),
        )
        shape = (2, config.image_channels, config.size, config.size)
        assert decoder(torch.empty(shape), torch.empty(2), cond).shape == shape
    assert count(decoder) == {"micro": 78_052, "small": 2_239_280, "medium": 13_945_488}[name]


def test_a_preset_that_there_is_not_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unclip's decoder has no preset 'smal'\. Did you mean 'small'"):
        get_preset("decoder", "smal")
    with pytest.raises(ConfigError, match=r"The unclip family has no part 'decodr'\. Did you mean 'decoder'"):
        get_preset("decodr", "small")
    assert {"decoder", "upsampler"} <= set(PRESETS)


def test_norms_have_32_groups_or_fewer_that_divide() -> None:
    groups = {channels: group_norm(channels).num_groups for channels in (4, 8, 24, 32, 96, 128, 192, 2048)}
    assert groups == {4: 1, 8: 2, 24: 6, 32: 8, 96: 24, 128: 32, 192: 32, 2048: 32}


def test_levels_attend_by_their_sides() -> None:
    assert attention_levels(64, 1, 4, (32, 16, 8)) == (1, 2, 3)
    assert attention_levels(32, 2, 3, (8, 4)) == (1, 2)
