"""Pictures treated badly: what is lost and what stays."""

import numpy as np
import pytest
import torch

from pictura.train.tasks.damage import shuffle, spoil, turn


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_turned_picture_takes_its_centres_along() -> None:
    images = torch.zeros(16, 3, 64, 64)
    images[:, :, 12:17, 40:45] = 1
    centres = torch.tensor([[[42.5 / 64, 14.5 / 64]]]).expand(16, 1, 2)
    turned, moved = turn(images, centres, rng())
    mass = turned.mean(dim=1)
    total = mass.sum(dim=(1, 2))
    steps = (torch.arange(64) + 0.5) / 64
    x, y = (mass.sum(dim=1) @ steps) / total, (mass.sum(dim=2) @ steps) / total
    assert torch.stack([x, y], dim=1) == pytest.approx(moved[:, 0], abs=0.01)
    assert float((moved - centres).abs().max()) > 0.02


def test_a_shuffled_picture_keeps_its_pixels_and_loses_their_places() -> None:
    images = torch.rand(2, 3, 32, 48)
    mixed = shuffle(images, rng())
    assert mixed.shape == images.shape
    assert not torch.equal(mixed, images)
    assert torch.equal(mixed.flatten().sort().values, images.flatten().sort().values)


def test_a_spoilt_picture_stays_a_picture_and_red_stays_red() -> None:
    images = torch.tensor([0.85, 0.15, 0.15])[None, :, None, None].expand(64, 3, 32, 32)
    spoilt = spoil(images, rng())
    assert 0 <= float(spoilt.min()) <= float(spoilt.max()) <= 1
    red, green, blue = spoilt.flatten(2).median(dim=2).values.unbind(1)
    assert float((red - torch.maximum(green, blue)).min()) > 0.3
