"""Likeness of picture and sentence by clip-guide."""

import numpy as np
import pytest
import torch

from pictura.core.errors import ModelError, SizeError
from pictura.core.types import Prompt
from pictura.encode.clip.load import ClipModel
from pictura.reward.clip import ClipReward, open_clip
from pictura.reward.registry import make_reward
from pictura.reward.types import Reward
from pictura.store.models import resolve
from tests.reward.kit import paintings

TEXTS = ("a lion", "a fox", "a panda", "a tree", "a penguin", "a blue heart", "a green apple", "a purple car")
PROMPTS = [Prompt(text=text) for text in TEXTS]


@pytest.fixture(scope="module")
def cosine() -> Reward:
    return make_reward({"name": "clip"})


def test_it_is_the_cosine_of_the_loaded_clip(cosine: Reward) -> None:
    pictures = paintings(*TEXTS)
    clip = ClipModel.load(resolve("clip-guide").path)
    truth = clip.embed_images(pictures.numpy()) * clip.embed_text([prompt.text for prompt in PROMPTS])
    scores = cosine(pictures, PROMPTS)
    assert scores.total.numpy() == pytest.approx(truth.sum(axis=1), abs=1e-5)
    assert scores.valid.all()
    assert (scores.total.abs() <= 1).all()


def test_pictures_fit_their_own_sentences_better_than_their_neighbours(cosine: Reward) -> None:
    pictures = paintings(*TEXTS)
    own = cosine(pictures, PROMPTS).total
    assert (own > cosine(pictures, PROMPTS[4:] + PROMPTS[:4]).total).float().mean() >= 7 / 8
    heart, apple = pictures[5:6], pictures[6:7]
    asked = [Prompt(text="a dark blue heart")]
    assert float(cosine(heart, asked).total) > float(cosine(apple, asked).total)


def test_a_choice_is_a_probability_among_the_sentences_of_the_call() -> None:
    reward = make_reward({"name": "clip", "measure": "choice"})
    pictures = paintings(*TEXTS)
    assert reward.value_range == (0.0, 1.0)
    picture = pictures[:1].expand(8, -1, -1, -1)
    assert float(reward(picture, PROMPTS).total.sum()) == pytest.approx(
        1, abs=1e-5
    )  # it chooses one of eight
    assert reward(pictures, PROMPTS[:1] * 8).total.tolist() == pytest.approx([1] * 8)


def test_the_gradient_leads_to_a_better_picture(cosine: Reward) -> None:
    image = paintings(*TEXTS[:1]).requires_grad_()
    scores = cosine(image, PROMPTS[:1])
    (slope,) = torch.autograd.grad(scores.total.sum(), image)
    with torch.no_grad():
        step = 1e-3 * slope / slope.norm()
        change = cosine(image + step, PROMPTS[:1]).total - cosine(image - step, PROMPTS[:1]).total
    assert float(change) == pytest.approx(2e-3 * float(slope.norm()), rel=0.05)


def test_a_broken_picture_is_invalid_and_spoils_no_other(cosine: Reward) -> None:
    pictures = paintings(*TEXTS[:2]).clone()
    whole = cosine(pictures, PROMPTS[:2]).total
    pictures[0, 0, 0, 0] = torch.nan
    scores = cosine(pictures, PROMPTS[:2])
    assert scores.valid.tolist() == [False, True]
    np.testing.assert_allclose(scores.total[1].item(), whole[1].item(), atol=1e-6)


def test_other_sizes_and_other_models_are_refused(cosine: Reward) -> None:
    with pytest.raises(SizeError, match=r"\(B, 3, 64, 64\); got \(8, 3, 32, 32\)"):
        cosine(torch.zeros(8, 3, 32, 32), PROMPTS)
    with pytest.raises(ModelError, match="should hold a CLIP, but is of the family 'judge'"):
        open_clip("judge-a", "cpu")
    assert ClipReward(*open_clip("clip-guide", "cpu")).name == "clip"
