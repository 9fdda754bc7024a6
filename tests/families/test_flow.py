"""The flow transformer."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.families.flow.model import FlowConfig, FlowTransformer, from_patches, to_patches
from pictura.families.flow.presets import PRESETS, get_preset
from pictura.train.tasks.flow import FlowStep

CONFIG = FlowConfig(latent_channels=3, patch_size=2, text_width=8, width=16, num_blocks=2, num_heads=2)


@pytest.fixture
def model() -> FlowTransformer:
    torch.manual_seed(0)
    model = FlowTransformer(CONFIG)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)  # those that start at zero would hide mistakes
    return model


@pytest.fixture
def cond() -> Conditioning:
    torch.manual_seed(1)
    return Conditioning(tokens=torch.randn(2, 5, 8), mask=torch.ones(2, 5, dtype=torch.bool))


def test_velocity_has_the_shape_of_the_latent(model: FlowTransformer, cond: Conditioning) -> None:
    x_t = torch.randn(2, 3, 4, 6)  # height and width differ on purpose
    assert model(x_t, torch.rand(2), cond).shape == x_t.shape


def test_at_step_0_the_image_is_taken_for_0(cond: Conditioning) -> None:
    x_t, t = torch.randn(2, 3, 4, 4), torch.tensor([0.5, 0.01])
    velocity = FlowTransformer(CONFIG)(x_t, t, cond)
    torch.testing.assert_close(velocity[0], x_t[0] / 0.5)
    torch.testing.assert_close(velocity[1], x_t[1] / 0.05)  # never divided by less


def test_padded_text_changes_nothing(model: FlowTransformer, cond: Conditioning) -> None:
    x_t, t = torch.randn(2, 3, 4, 4), torch.rand(2)
    padded = Conditioning(
        tokens=torch.cat([cond.tokens, torch.randn(2, 3, 8)], dim=1),
        mask=torch.cat([cond.mask, torch.zeros(2, 3, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(model(x_t, t, padded), model(x_t, t, cond), atol=1e-5, rtol=1e-4)


def test_text_time_and_place_all_matter(model: FlowTransformer, cond: Conditioning) -> None:
    x_t, t = torch.randn(2, 3, 4, 4), torch.tensor([0.4, 0.6])
    clean = model.predict_clean(x_t, t, cond)
    other_text = Conditioning(tokens=cond.tokens.flip(1) + 1, mask=cond.mask)
    assert (model.predict_clean(x_t, t, other_text) - clean).abs().max() > 1e-3
    assert (model.predict_clean(x_t, t + 0.2, cond) - clean).abs().max() > 1e-3
    turned = model.predict_clean(x_t.flip(3), t, cond).flip(3)
    assert (turned - clean).abs().max() > 1e-3


def test_patches_and_back_are_the_same() -> None:
    x = torch.randn(2, 3, 4, 6)
    assert torch.equal(from_patches(to_patches(x, 2), 2, 3, 2), x)


def test_the_true_image_has_no_loss(cond: Conditioning) -> None:
    step = FlowStep(
        FlowTransformer(CONFIG), TextEncoder(TextEncoderConfig(vocab_size=9, width=8, num_heads=2))
    )
    inputs = (torch.randn(2, 3, 4, 4), torch.rand(2), torch.ones(2, 3, dtype=torch.long))
    mask = torch.ones(2, 3, dtype=torch.bool)
    # A new network says 0 everywhere: right if the image is 0, wrong by (x_0 / t)^2 otherwise.
    assert step(torch.zeros(2, 3, 4, 4), *inputs, mask).max().item() == 0
    ones = step(torch.ones(2, 3, 4, 4), *inputs, mask)
    torch.testing.assert_close(ones, inputs[1].clamp_min(0.05) ** -2)


def test_saved_and_loaded_it_says_the_same(
    model: FlowTransformer, cond: Conditioning, tmp_path: Path
) -> None:
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    again = FlowTransformer(CONFIG)
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    x_t, t = torch.randn(2, 3, 4, 4), torch.rand(2)
    assert torch.equal(again(x_t, t, cond), model(x_t, t, cond))


def test_width_must_divide_into_heads() -> None:
    with pytest.raises(ConfigError, match=r"multiple of 4 \* num_heads; got width=20, num_heads=4"):
        FlowConfig(width=20, num_heads=4)


def test_sides_must_be_multiples_of_the_patch(model: FlowTransformer, cond: Conditioning) -> None:
    with pytest.raises(ConfigError, match=r"multiples of patch_size=2; got \(4, 5\)"):
        model(torch.randn(2, 3, 4, 5), torch.rand(2), cond)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no preset 'xss'\. Did you mean 'xs'"):
        get_preset("xss")


@pytest.mark.parametrize(
    ("name", "millions"), [("xxs", 4.4), ("xs", 9.4), ("s", 27.3), ("m", 51.6), ("l", 85.4)]
)
def test_presets_have_the_size_that_their_page_says(name: str, millions: float) -> None:
    preset = get_preset(name)
    with torch.device("meta"):
        parts = [
            FlowTransformer(FlowConfig(**preset.network)),
            TextEncoder(TextEncoderConfig(**{**preset.text_encoder, "vocab_size": 2048})),
        ]
    count = sum(p.numel() for part in parts for p in part.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_presets_are_plain_values() -> None:
    for preset in PRESETS.values():
        assert json.loads(json.dumps(preset.network)) == preset.network
