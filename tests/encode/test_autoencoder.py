"""The image autoencoder."""

import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig

CONFIG = AutoencoderConfig(latent_channels=6, encoder_widths=(8, 8), decoder_widths=(8, 8))


def smooth_images(count: int, height: int, width: int) -> torch.Tensor:
    """Premultiplied pictures of smooth slopes: few components say all of a 4x4 patch."""
    torch.manual_seed(0)
    corner = torch.rand(count, 4, 2, 2)
    x = torch.nn.functional.interpolate(corner, (height, width), mode="bilinear", align_corners=True)
    return torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], dim=1)


def test_shapes_follow_the_factor() -> None:
    model = Autoencoder(CONFIG)
    images = torch.rand(2, 4, 8, 20)  # height and width differ on purpose
    latent = model.encode(images)
    assert latent.shape == (2, 6, 2, 5)
    assert model.decode(latent).shape == images.shape


def test_principal_components_alone_give_smooth_pictures_back() -> None:
    images = smooth_images(200, 16, 24)
    model = Autoencoder(CONFIG)
    before = (model.decode(model.encode(images)) - images).square().mean()
    model.start_from_components(images)
    model.calibrate(images)
    after = (model.decode(model.encode(images)) - images).square().mean()
    # The best that 6 components can do is what they leave of the patches' variance.
    patches = torch.nn.functional.pixel_unshuffle(images, 4).movedim(1, -1).flatten(0, 2)
    left = torch.linalg.eigvalsh(torch.cov(patches.T))[:-6].sum() / patches.shape[1]
    assert after < 1.05 * left + 1e-6
    assert after < before / 100


def test_calibrated_latents_have_zero_mean_and_unit_deviation() -> None:
    images = smooth_images(100, 16, 16)
    model = Autoencoder(CONFIG)
    model.start_from_components(images)
    model.calibrate(images)
    latent = model.encode(images)
    torch.testing.assert_close(latent.mean(dim=(0, 2, 3)), torch.zeros(6), atol=1e-4, rtol=0)
    assert latent.square().mean().sqrt().item() == pytest.approx(1, abs=1e-3)


def test_statistics_travel_with_the_weights() -> None:
    images = smooth_images(50, 16, 16)
    model, other = Autoencoder(CONFIG), Autoencoder(CONFIG)
    model.start_from_components(images)
    model.calibrate(images)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.encode(images), model.encode(images))


def test_sides_must_be_multiples_of_the_factor() -> None:
    with pytest.raises(ConfigError, match=r"multiples of 4; got \(10, 16\)"):
        Autoencoder(CONFIG).encode(torch.rand(1, 4, 10, 16))


def test_both_halves_need_as_many_widths() -> None:
    with pytest.raises(ConfigError, match="as many encoder_widths"):
        AutoencoderConfig(encoder_widths=(8, 8), decoder_widths=(8,))
