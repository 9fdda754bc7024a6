"""Pictures treated badly: what is lost, what stays, and what is painted anew."""

import numpy as np
import pytest
import torch

from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.families.flow.backend import FlowParts, PixelSpace
from pictura.families.flow.model import FlowConfig, FlowTransformer
from pictura.train.damage import Repainter, melt, shuffle, spoil, turn

CAPTIONS = ("a red fox", "a blue ball")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def repainter() -> Repainter:
    """Paints pixels with random weights: with weights of 0 every caption would be painted alike."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(CAPTIONS, vocab_size=300, max_tokens=16)
    network = FlowTransformer(
        FlowConfig(latent_channels=4, patch_size=4, text_width=16, width=32, num_blocks=1, num_heads=2)
    )
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    shape = TextEncoderConfig(vocab_size=tokenizer.vocab_size, width=16, num_blocks=1, num_heads=2)
    parts = FlowParts(network, TextEncoder(shape), PixelSpace()).requires_grad_(False)
    return Repainter(parts, tokenizer, torch.device("cpu"))


def test_a_turned_picture_takes_its_centres_along() -> None:
    images = torch.zeros(64, 3, 64, 64)
    images[:, :, 12:17, 40:45] = 1
    centres = torch.tensor([[[42.5 / 64, 14.5 / 64]]]).expand(64, 1, 2)
    turned, moved = turn(images, centres, rng())
    mass = turned.mean(dim=1)
    total = mass.sum(dim=(1, 2))
    steps = (torch.arange(64) + 0.5) / 64
    x, y = (mass.sum(dim=1) @ steps) / total, (mass.sum(dim=2) @ steps) / total
    off = (torch.stack([x, y], dim=1) - moved[:, 0]).abs()
    assert float(off.mean()) < 0.01
    assert float(off.max()) < 0.06  # bends move things by 3 pixels at most, and nobody tells the centres
    assert float((moved - centres).abs().max()) > 0.1


def test_a_shuffled_picture_keeps_its_pixels_and_loses_their_places() -> None:
    images = torch.rand(2, 3, 32, 48)
    mixed = shuffle(images, rng())
    assert mixed.shape == images.shape
    assert not torch.equal(mixed, images)
    assert torch.equal(mixed.flatten().sort().values, images.flatten().sort().values)


def test_a_melted_picture_keeps_its_colours_and_loses_its_shapes() -> None:
    steps = (torch.arange(64) + 0.5) / 64 * 2 - 1
    ring = ((steps[:, None] ** 2 + steps[None, :] ** 2).sqrt() - 0.6).abs() < 0.15
    images = torch.where(ring, torch.tensor([0.9, 0.1, 0.1])[:, None, None], torch.tensor(0.8)).repeat(
        32, 1, 1, 1
    )
    melted = melt(images, rng())
    assert melted.mean(dim=(0, 2, 3)) == pytest.approx(images.mean(dim=(0, 2, 3)), abs=0.03)
    unlike = ((melted - images).abs().amax(dim=1) > 0.2).float().mean(dim=(1, 2))
    assert float(unlike.min()) > 0.15


def test_a_spoilt_picture_stays_a_picture_and_red_stays_red() -> None:
    images = torch.tensor([0.85, 0.15, 0.15])[None, :, None, None].expand(64, 3, 32, 32)
    spoilt = spoil(images, rng())
    assert 0 <= float(spoilt.min()) <= float(spoilt.max()) <= 1
    red, green, blue = spoilt.flatten(2).median(dim=2).values.unbind(1)
    assert float((red - torch.maximum(green, blue)).min()) > 0.3


def test_painting_from_no_noise_gives_the_picture_back(repainter: Repainter) -> None:
    images = torch.rand(2, 3, 16, 16)
    painted = repainter(images, CAPTIONS, torch.zeros(2), torch.full((2,), 3.0), rng())
    assert painted == pytest.approx(images, abs=1e-5)


def test_painting_from_noise_alone_forgets_the_picture_and_follows_the_caption(repainter: Repainter) -> None:
    noise, guidance = torch.ones(2), torch.full((2,), 3.0)
    one, other = (repainter(torch.rand(2, 3, 16, 16), CAPTIONS, noise, guidance, rng()) for _ in range(2))
    assert one == pytest.approx(other, abs=1e-6)
    exchanged = repainter(torch.rand(2, 3, 16, 16), CAPTIONS[::-1], noise, guidance, rng())
    assert float((one - exchanged).abs().max()) > 0.01
