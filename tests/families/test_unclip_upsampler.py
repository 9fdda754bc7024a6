"""unCLIP's upsamplers: convolutions alone, so any size and any place; what they give untrained; presets."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError, SizeError
from pictura.families.unclip.presets import get_preset
from pictura.families.unclip.unet import ContextAttention
from pictura.families.unclip.upsampler import Upsampler, UpsamplerConfig
from pictura.sample.diffusion import alpha_sigma

MICRO = get_preset("upsampler", "micro")
T = torch.tensor([0.1, 0.9])


def make(*, std: float = 0.1, **more: Any) -> Upsampler:
    """An upsampler all of whose weights say something."""
    torch.manual_seed(0)
    upsampler = Upsampler(UpsamplerConfig(**{**MICRO, **more})).requires_grad_(False).eval()
    for weight in upsampler.parameters():
        if std:
            weight.add_(torch.randn_like(weight) * std)
    return upsampler


def given(height: int = 16, width: int = 24) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy pictures, times and small pictures."""
    rng = torch.Generator().manual_seed(1)
    noise = torch.randn(2, 4, height, width, generator=rng)
    return noise, T, torch.rand(2, 4, height // 4, width // 4, generator=rng) * 2 - 1


def test_an_untrained_upsampler_only_interpolates() -> None:
    x_t, t, low = given()
    wide = F.interpolate(low, (16, 24), mode="bilinear", align_corners=False)
    assert torch.equal(make(std=0)(x_t, t, low), wide)
    assert not make(std=0, prediction="noise")(x_t, t, low).any()


def test_picture_time_and_noise_all_matter() -> None:
    upsampler, (x_t, t, low) = make(), given()
    before = upsampler(x_t, t, low)
    wide = F.interpolate(low * 0.9, (16, 24), mode="bilinear") - F.interpolate(low, (16, 24), mode="bilinear")
    assert (upsampler(x_t, t, low * 0.9) - before - wide).abs().max() > 1e-3  # more than what is added
    assert (upsampler(x_t * 0.9, t, low) - before).abs().max() > 1e-3
    assert (upsampler(x_t, t * 0.5, low) - before).abs().max() > 1e-3


def test_a_variance_is_no_part_of_the_picture() -> None:
    upsampler, (x_t, t, low) = make(learned_variance=True), given()
    out = upsampler(x_t, t, low)
    assert out.shape == (2, 8, 16, 24)
    assert torch.equal(upsampler.denoise(x_t, t, low), out[:, :4])
    silent = make(std=0, learned_variance=True)(x_t, t, low)
    assert silent[:, :4].any()
    assert not silent[:, 4:].any()  # the picture that is interpolated stays out of it


def test_a_known_noise_is_taken_out() -> None:
    upsampler, (_, t, low) = make(std=0, prediction="noise"), given()
    bias = upsampler.unet.conv_out.bias
    assert bias is not None
    bias.fill_(0.5)
    a, s = (share[:, None, None, None] for share in alpha_sigma("cosine", t))
    x_0 = torch.rand(2, 4, 16, 24)
    torch.testing.assert_close(upsampler.denoise(a * x_0 + s * 0.5, t, low), x_0, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sides", [(16, 16), (32, 8), (8, 64)])
def test_it_paints_at_any_size_that_it_halves(sides: tuple[int, int]) -> None:
    assert make()(*given(*sides)).shape == (2, 4, *sides)


def test_it_paints_the_same_wherever_a_thing_is() -> None:
    upsampler, step = make(), 4
    assert upsampler.unet.step == step
    assert not any(isinstance(module, ContextAttention | nn.Linear) for module in looks(upsampler))
    side, moved = 192, (3 * step, -2 * step)
    low, x_t = torch.full((1, 4, side // 4, side // 4), -0.5), torch.full((1, 4, side, side), 0.2)
    low[:, :, 23:25, 22:26], x_t[:, :, 92:100, 90:104] = 0.8, torch.randn(4, 8, 14)
    here = upsampler(x_t, T[:1], low)
    there = upsampler(x_t.roll(moved, (2, 3)), T[:1], low.roll((3, -2), (2, 3)))
    middle = (slice(None), slice(None), slice(72, 120), slice(72, 120))
    assert (here.roll(moved, (2, 3)) - here)[middle].abs().max() > 0.1
    torch.testing.assert_close(there[middle], here.roll(moved, (2, 3))[middle], atol=1e-5, rtol=0)


def looks(upsampler: Upsampler) -> list[nn.Module]:
    """Its modules that see the picture: all but those of the time."""
    return [module for name, module in upsampler.named_modules() if "time_in" not in name]


@pytest.mark.parametrize(
    ("x_t", "low", "message"),
    [
        ((16, 24), (4, 5), r"4 x 5 \(height x width\) become 16 x 20; got noise of 16 x 24"),
        ((12, 24), (4, 6), "become 16 x 24; got noise of 12 x 24"),
    ],
)
def test_sizes_that_do_not_belong_together_are_refused(
    x_t: tuple[int, int], low: tuple[int, int], message: str
) -> None:
    with pytest.raises(SizeError, match=message):
        make()(torch.zeros(2, 4, *x_t), T, torch.zeros(2, 4, *low))


def test_pictures_of_other_channels_or_sides_are_refused() -> None:
    x_t, t, low = given()
    with pytest.raises(SizeError, match=r"reads small pictures of shape \(B, 4, H, W\); got \(2, 3, 4, 6\)"):
        make()(x_t, t, low[:, :3])
    with pytest.raises(
        SizeError, match=r"reads noisy pictures of shape \(B, 4, H, W\); got \(2, 3, 16, 24\)"
    ):
        make()(x_t[:, :3], t, low)
    with pytest.raises(SizeError, match="to multiples of 8 pixels; got 16 x 20"):
        make(multiples=(1, 1, 1))(*given(16, 20))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"size": 36}, "must be twice a multiple of 4, to which the U-Net halves, and of factor=4; got 36"),
        ({"prediction": "v"}, "UpsamplerConfig.prediction must be 'x_0' or 'noise'; got 'v'"),
        ({"schedule": "cos"}, "schedule must be 'cosine' or 'linear'; got 'cos'. Did you mean 'cosine'"),
        ({"factor": 0}, "UpsamplerConfig.factor must be at least 1; got 0"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**more)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("micro", 46_592),
        ("small", 362_784),
        ("medium", 4_877_376),
        ("paper", 701_032_966),  # 0.1 % above "700 M"
        ("paper-1024", 271_406_598),  # 9.5 % below "300 M"
    ],
)
def test_presets_have_their_parameters(name: str, count: int) -> None:
    with torch.device("meta"):
        upsampler = Upsampler(UpsamplerConfig(**get_preset("upsampler", name)))
    assert sum(weight.numel() for weight in upsampler.parameters()) == count
