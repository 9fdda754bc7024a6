"""The discrete VAE: shapes, published counts, closed forms of its losses, and its start from patches."""

import math

import pytest
import torch
from torch.nn import functional as F

from pictura.core.errors import ConfigError, SizeError
from pictura.encode.dvae.config import PRESETS, DvaeConfig, get_preset
from pictura.encode.dvae.losses import (
    count_codes,
    kl_to_uniform,
    logit_laplace,
    map_pixels,
    unmap_pixels,
    usage,
)
from pictura.encode.dvae.model import Block, Dvae, relax
from pictura.encode.dvae.start import cluster, start_from_patches

PLAIN = DvaeConfig(num_hidden=4, num_groups=3, vocab_size=6, code_width=5)
PATCHY = get_preset("micro")


def make(config: DvaeConfig) -> Dvae:
    torch.manual_seed(0)
    return Dvae(config)


def count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


# Networks


def test_the_papers_networks_have_as_many_weights_as_published() -> None:
    with torch.device("meta"):
        dvae = Dvae(get_preset("paper"))
    assert (count(dvae.encoder), count(dvae.decoder)) == (53_786_240, 43_829_766)  # 53.8 M and 43.8 M
    assert dvae.config.factor == 8


@pytest.mark.parametrize(
    ("name", "encoder", "decoder"),
    [("smoke", 247_352, 269_632), ("small", 1_112_048, 1_100_024), ("medium", 3_902_944, 3_525_736)],
)
def test_presets_have_as_many_weights_as_documented(name: str, encoder: int, decoder: int) -> None:
    with torch.device("meta"):
        dvae = Dvae(get_preset(name))
    assert (count(dvae.encoder), count(dvae.decoder)) == (encoder, decoder)


@pytest.mark.parametrize("config", [PLAIN, PATCHY], ids=["plain", "patchy"])
def test_shapes_follow_the_factor(config: DvaeConfig) -> None:
    dvae = make(config)
    images = torch.rand(2, 4, 8, 20)  # height and width differ on purpose
    assert dvae.logits(images).shape == (2, config.vocab_size, 2, 5)
    codes = dvae.encode(images)
    assert (codes.shape, codes.dtype) == ((2, 2, 5), torch.int64)
    assert dvae.relaxed(torch.rand(2, config.vocab_size, 2, 5)).shape == (2, 8, 8, 20)
    assert dvae.decode(codes).shape == images.shape


def test_three_channels_work_too() -> None:
    dvae = make(get_preset("micro", image_channels=3))
    images = torch.rand(1, 3, 8, 12)
    assert dvae.decode(dvae.encode(images)).shape == images.shape


def test_encoding_takes_the_likeliest_code() -> None:
    dvae, images = make(PLAIN), torch.rand(2, 4, 8, 12)
    codes = dvae.encode(images)
    logits = dvae.logits(images)
    assert torch.equal(logits.gather(1, codes[:, None])[:, 0], logits.amax(dim=1))


@pytest.mark.parametrize("config", [PLAIN, PATCHY], ids=["plain", "patchy"])
def test_codes_are_decoded_as_their_one_hot_vectors(config: DvaeConfig) -> None:
    dvae = make(config)
    codes = torch.randint(config.vocab_size, (2, 3, 2))
    one_hot = F.one_hot(codes, config.vocab_size).movedim(-1, 1).float()
    torch.testing.assert_close(dvae.decode(codes), dvae.pictures(dvae.relaxed(one_hot)))


def test_decoded_colour_is_never_above_alpha() -> None:
    dvae = make(PATCHY)
    with torch.no_grad():
        dvae.decoder.statistics.weight.mul_(30)
    x = dvae.decode(torch.randint(32, (4, 4, 4)))
    assert x.std() > 0.1
    assert (x[:, :3] <= x[:, 3:]).all()
    assert x.min() >= 0
    assert x.max() <= 1


def test_a_block_adds_its_path_with_the_papers_gain() -> None:
    config = DvaeConfig(num_groups=4, blocks_per_group=2)
    block = next(b for b in make(config).modules() if isinstance(b, Block))
    x = torch.randn(1, 32, 4, 4)
    torch.testing.assert_close(block(x), x + block.res_path(x) / 64)
    kernels = [
        [m.kernel_size[0] for m in b.res_path if isinstance(m, torch.nn.Conv2d)] for b in blocks(config)
    ]
    assert kernels == [[3, 3, 3, 1]] * 8 + [[1, 3, 3, 3]] * 8


def blocks(config: DvaeConfig) -> list[Block]:
    return [b for b in make(config).modules() if isinstance(b, Block)]


def test_doubling_after_the_first_convolution_is_doubling_before() -> None:
    torch.manual_seed(0)
    late, early = (Block(8, 4, (1, 3, 3, 3), 0.5, doubles=doubles) for doubles in (True, False))
    weights = dict(zip(early.state_dict(), late.state_dict().values(), strict=True))
    early.load_state_dict(weights)
    x = torch.randn(2, 8, 3, 5)
    torch.testing.assert_close(late(x), early(F.interpolate(x, scale_factor=2, mode="nearest")))


def test_convolutions_start_with_the_deviation_of_their_fan_in() -> None:
    dvae = make(DvaeConfig(num_hidden=32))
    weight, bias = dvae.encoder.patch_in.weight, dvae.encoder.patch_in.bias
    assert weight.std().item() == pytest.approx(1 / math.sqrt(4 * 49), rel=0.05)
    assert bias is not None
    assert not bias.any()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 4, 10, 16), r"sides are multiples of 4; got \(10, 16\)"),
        ((1, 4, 16, 10), r"sides are multiples of 4; got \(16, 10\)"),
        ((1, 3, 16, 16), "pictures of 4 channels; got 3"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(SizeError, match=words):
        make(PLAIN).encode(torch.rand(shape))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"image_channels": 2}, "image_channels must be 3 or 4; got 2"),
        ({"num_hidden": 6}, "num_hidden must be a multiple of 4; got 6"),
        ({"vocab_size": 1}, "vocab_size must be at least 2; got 1"),
        ({"num_groups": 0}, "num_groups must be at least 1; got 0"),
        ({"gain": -1.0}, "gain must be at least 0; got -1"),
    ],
)
def test_impossible_shapes_are_refused(setting: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DvaeConfig(**setting)  # type: ignore[arg-type]


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"No dVAE preset is named 'smal'\. Did you mean 'small'"):
        get_preset("smal")
    assert get_preset("smoke", vocab_size=64) == DvaeConfig(**{**PRESETS["smoke"], "vocab_size": 64})


# Losses


def test_pixels_are_mapped_and_back() -> None:
    x = torch.linspace(0, 1, 11)
    assert map_pixels(x)[[0, -1]].tolist() == pytest.approx([0.1, 0.9])
    torch.testing.assert_close(unmap_pixels(map_pixels(x)), x)
    assert unmap_pixels(torch.tensor([0.0, 1.0])).tolist() == [0, 1]


def statistics(mean: float, scale: float, number: int) -> torch.Tensor:
    row = torch.tensor([mean, math.log(scale)], dtype=torch.float64)
    return row[None, :, None, None].expand(1, 2, 1, number)


@pytest.mark.parametrize("least_scale", [0.0, 0.4])
@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (1.3, 0.5), (-0.7, 0.1)])
def test_the_likelihood_is_a_density(mean: float, scale: float, least_scale: float) -> None:
    # Over all of (0, 1), of which mapped pixels fill [0.1, 0.9]: substitute y = logit x.
    y = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
    x = torch.sigmoid(y)
    images = ((x - 0.1) / 0.8)[None, None, None]
    nll = logit_laplace(images, statistics(mean, scale, len(x)), least_scale=least_scale)
    mass = torch.trapezoid(torch.exp(-nll[0, 0, 0].double()) * x * (1 - x), y)
    assert mass.item() == pytest.approx(1, abs=1e-3)


def test_the_likelihood_equals_a_value_by_hand() -> None:
    # Pixel 0.5 is mapped to 0.5, whose logit is 0: f = exp(-|0 - 0.6| / 0.3) / (2 * 0.3 * 0.25).
    nll = logit_laplace(torch.full((1, 1, 1, 1), 0.5), statistics(0.6, 0.3, 1))
    assert nll.item() == pytest.approx(-math.log(math.exp(-2) / 0.15), abs=1e-5)
    # Pixel 1 is mapped to 0.9, whose logit is ln 9.
    nll = logit_laplace(torch.ones(1, 1, 1, 1), statistics(0.0, 2.0, 1))
    assert nll.item() == pytest.approx(-math.log(math.exp(-math.log(9) / 2) / (4 * 0.09)), abs=1e-5)


def test_a_least_scale_is_added() -> None:
    x = torch.rand(1, 1, 1, 5)
    torch.testing.assert_close(
        logit_laplace(x, statistics(0.2, 0.1, 5), least_scale=0.3), logit_laplace(x, statistics(0.2, 0.4, 5))
    )


def test_the_divergence_is_0_of_any_code_and_ln_v_of_one() -> None:
    anything = torch.zeros(2, 7, 3, 4)
    assert kl_to_uniform(anything).shape == (2, 3, 4)
    assert kl_to_uniform(anything).abs().max() < 1e-6
    one = 100 * F.one_hot(torch.randint(7, (2, 3, 4)), 7).movedim(-1, 1).float()
    torch.testing.assert_close(kl_to_uniform(one), torch.full((2, 3, 4), math.log(7)))
    two = torch.tensor([0.0, 0.0, -100.0, -100.0])[None, :, None, None]
    assert kl_to_uniform(two).item() == pytest.approx(math.log(2))


def test_usage_knows_shares_and_perplexity() -> None:
    counts = count_codes(torch.tensor([[0, 0, 3], [3, 0, 3]]), 8)
    assert counts.tolist() == [3, 0, 0, 3, 0, 0, 0, 0]
    assert usage(counts) == pytest.approx((0.25, 2.0))
    assert usage(torch.ones(8)) == pytest.approx((1.0, 8.0))
    assert usage(torch.zeros(8)) == (0.0, 0.0)


def gumbel(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return -torch.empty(shape).exponential_(generator=generator).log()


def test_cold_soft_codes_are_the_drawn_code() -> None:
    logits, noise = torch.randn(3, 5, 2, 4), gumbel(3, 5, 2, 4)
    soft = relax(logits, noise, 1e-3)
    drawn = F.one_hot((logits + noise).argmax(dim=1), 5).movedim(-1, 1).float()
    torch.testing.assert_close(soft, drawn, atol=0.02, rtol=0)
    warm = relax(logits, noise, 1.0)
    torch.testing.assert_close(warm, torch.softmax(logits + noise, dim=1))
    torch.testing.assert_close(warm.sum(dim=1), torch.ones(3, 2, 4))


def test_drawn_codes_are_as_frequent_as_their_probability() -> None:
    share = torch.tensor([0.5, 0.3, 0.2])
    logits = share.log()[None, :, None, None].expand(1, 3, 100, 200)
    drawn = relax(logits, gumbel(1, 3, 100, 200), 0.01).argmax(dim=1)
    torch.testing.assert_close(count_codes(drawn, 3) / drawn.numel(), share, atol=0.015, rtol=0)


# Start from patches


def chequers() -> torch.Tensor:
    """Pictures (30, 4, 8, 12) made of three kinds of patches of 4 px: bare, half red, all blue."""
    kinds = torch.zeros(3, 4, 4, 4)
    kinds[1, 0, :, :2] = kinds[1, 3, :, :2] = 1
    kinds[2, 2:] = 1
    places = torch.randint(3, (30, 2, 3), generator=torch.Generator().manual_seed(1))
    x = kinds[places]  # (30, 2, 3, 4, 4, 4)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(30, 4, 8, 12)


def test_a_start_from_patches_gives_typical_patches_back_at_once() -> None:
    images = chequers()
    dvae = make(get_preset("micro", vocab_size=8))
    before = (dvae.decode(dvae.encode(images)) - images).abs().mean()
    start_from_patches(dvae, images)
    after = (dvae.decode(dvae.encode(images)) - images).abs().mean()
    assert after < 0.1 < before


def test_the_code_of_a_place_is_the_nearest_patch() -> None:
    images = torch.rand(60, 4, 8, 8)
    dvae = make(PATCHY)
    start_from_patches(dvae, images)
    with torch.no_grad():
        dvae.encoder.logits.weight.zero_()
    patches = F.pixel_unshuffle(images, 4).movedim(1, -1)
    centres, _ = cluster(patches.flatten(0, 2), 32, seed=0)
    nearest = torch.cdist(patches.flatten(0, 2), centres).argmin(dim=1).view(60, 2, 2)
    assert torch.equal(dvae.encode(images), nearest)


def test_clusters_find_what_there_is() -> None:
    torch.manual_seed(0)
    kinds = torch.randn(5, 3) * 10
    points = kinds.repeat_interleave(40, dim=0) + 0.01 * torch.randn(200, 3)
    centres, error = cluster(points, 20, seed=0)
    torch.testing.assert_close(torch.cdist(kinds, centres).amin(dim=1), torch.zeros(5), atol=0.02, rtol=0)
    assert error < 0.01


def test_centres_that_nobody_is_near_move_to_what_is_served_badly() -> None:
    points = torch.zeros(1000, 3)
    points[-5:] = 10 * torch.eye(5, 3) + torch.arange(5)[:, None]
    centres, error = cluster(points, 6, seed=0)
    assert error < 1e-3
    torch.testing.assert_close(torch.cdist(points[-6:], centres).amin(dim=1), torch.zeros(6))


def test_a_start_needs_as_many_patches_as_codes() -> None:
    with pytest.raises(ConfigError, match="32 codes need as many patches, and 2 pictures have 8"):
        start_from_patches(make(PATCHY), torch.rand(2, 4, 8, 8))
