"""Rewards without networks: their range, their order, a known pair."""

import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.core.types import Prompt
from pictura.reward.jpeg import CompressibilitySettings
from pictura.reward.registry import make_reward

FOX, OWL = Prompt(text="a fox"), Prompt(text="an owl")


def plain_to_noise() -> torch.Tensor:
    """Five pictures with more and more noise."""
    noise = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    return torch.stack([0.5 + strength * (noise - 0.5) for strength in (0.0, 0.1, 0.3, 0.6, 1.0)])


def test_compressibility_and_incompressibility_rank_pictures_in_opposite_order() -> None:
    small, large = (
        make_reward({"name": name})(plain_to_noise(), [FOX] * 5).total
        for name in ("jpeg-compressibility", "jpeg-incompressibility")
    )
    assert small.argsort().tolist() == [4, 3, 2, 1, 0]
    assert large.argsort().tolist() == [0, 1, 2, 3, 4]
    torch.testing.assert_close(small, -large)
    assert large[0] == pytest.approx(0.7, abs=0.1)  # kilobytes, as docs/rewards says
    assert large[4] == pytest.approx(5.4, abs=0.2)


def test_a_lower_quality_makes_smaller_files() -> None:
    sizes = [
        make_reward({"name": "jpeg-incompressibility", "quality": q})(plain_to_noise(), [FOX] * 5).total
        for q in (30, 95)
    ]
    assert (sizes[0][1:] < sizes[1][1:]).all()
    with pytest.raises(ConfigError, match="quality must be from 1 to 95; got 100"):
        CompressibilitySettings(quality=100)


def test_a_picture_with_no_number_in_it_has_no_size() -> None:
    images = plain_to_noise()
    images[1, 0, 0, 0] = torch.nan
    scores = make_reward({"name": "jpeg-compressibility"})(images, [FOX] * 5)
    assert scores.valid.tolist() == [True, False, True, True, True]
    assert (scores.total[scores.valid] < 0).all()


def test_noise_is_the_same_whenever_asked_and_another_for_another_sentence_or_seed() -> None:
    images = plain_to_noise()
    reward = make_reward({"name": "random"})
    once = reward(images, [FOX] * 5).total
    assert reward(images.flip(0), [FOX] * 5).total.flip(0).equal(once)
    assert not reward(images, [OWL] * 5).total.eq(once).any()
    assert not make_reward({"name": "random", "seed": 1})(images, [FOX] * 5).total.eq(once).any()


def test_noise_is_even() -> None:
    images = torch.arange(512).float()[:, None, None, None].expand(512, 3, 2, 2) / 512
    numbers = make_reward({"name": "random"})(images, [FOX] * 512).total
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert float(numbers.mean()) == pytest.approx(0.5, abs=0.04)
    assert float(numbers.std()) == pytest.approx(12**-0.5, abs=0.02)
