"""What people prefer, as far as some hundred of their choices tell: a cautious score.

Source  Bradley-Terry under a Gaussian (`bradley_terry.py`) on frozen features. The reward is a lower
        confidence bound, mean - doubt x std, cut to the range of the pictures that people saw: beyond them
        nothing is known, so nothing is to be gained there.
Letters B pictures, D width of the CLIP, R raw features (2 D + 11), F features.
Units   logits; 0 is the mean of the rated pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pictura.core.errors import ConfigError, ModelError
from pictura.core.types import Prompt
from pictura.encode.clip.config import SIZE
from pictura.encode.clip.model import Clip
from pictura.encode.tokenizer import Tokenizer
from pictura.reward.bradley_terry import Posterior
from pictura.reward.clip import embed_images, embed_text, open_clip
from pictura.reward.features import NAMES, hand_features
from pictura.reward.types import Scores
from pictura.store.models import resolve
from pictura.store.weights import read_weights


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferenceSettings:
    """Whose taste, and how cautiously."""

    model: str
    """Name or folder that `learn_preference` wrote."""
    doubt: float = 1.0
    """Standard deviations taken off the mean."""
    min_accuracy: float = 0.6
    """Least share of left-out pairs that it must tell right to be learnt from."""

    def __post_init__(self) -> None:
        if not self.doubt >= 0:
            raise ConfigError(f"preference: doubt must be at least 0; got {self.doubt}.")

    def build(self, device: str) -> "Preference":
        """The reward."""
        return open_preference(self, device)


@dataclass(frozen=True, slots=True)
class Taste:
    """A learnt preference."""

    centre: Tensor
    """(R,) mean of raw features over the rated pictures."""
    project: Tensor
    """(R, F) from raw features less their mean to those that are weighed."""
    posterior: Posterior
    low: float
    high: float
    """Least and greatest mean score among the rated pictures."""

    def score(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B,) of the score of raw features (B, R)."""
        return self.posterior.score((raw - self.centre) @ self.project)


class Preference:
    """A cautious guess of how much people like a picture."""

    name = "preference"
    differentiable = True

    def __init__(self, taste: Taste, clip: Clip, tokenizer: Tokenizer, *, doubt: float = 1.0) -> None:
        self._taste, self._clip, self._tokenizer, self._doubt = taste, clip, tokenizer, doubt
        self.value_range = (taste.low, taste.high)

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, see `Reward`; those of other sizes are seen at 64 x 64."""
        images = _at_size(images)
        raw = raw_features(self._clip, self._tokenizer, images, [prompt.text for prompt in prompts])
        mean, std = self._taste.score(raw)
        bound = mean - self._doubt * std
        total = bound.clamp(self._taste.low, self._taste.high)
        # From below the range there must be a way back into it; above it nothing is to be gained.
        total = torch.where(bound < self._taste.low, total + bound - bound.detach(), total)
        return Scores(total=total.float(), valid=total.isfinite(), parts={"mean": mean}, std=std)


def _at_size(images: Tensor) -> Tensor:
    """Pictures at 64 x 64, smaller ones smoothly, as files are scaled that people rated."""
    if images.shape[2:] == (SIZE, SIZE):
        return images
    if min(images.shape[2:]) > SIZE:
        return F.interpolate(images, size=(SIZE, SIZE), mode="area")
    return F.interpolate(images, size=(SIZE, SIZE), mode="bicubic").clamp(0, 1)


def raw_features(clip: Clip, tokenizer: Tokenizer, images: Tensor, texts: Sequence[str]) -> Tensor:
    """What a preference is made of, (B, 2 D + 11) float64: the picture's vector, its product with the
    sentence's, and `hand_features`. The sentence's alone is the same for both pictures of a pair.
    """
    known = list(dict.fromkeys(texts))
    rows = torch.tensor([known.index(text) for text in texts], device=images.device)
    image_BD, text_BD = embed_images(clip, images), embed_text(clip, tokenizer, known)[rows]
    return torch.cat([image_BD, image_BD * text_BD, hand_features(images)], dim=1).double()


def open_preference(settings: PreferenceSettings, device: str) -> Preference:
    """The preference of a model folder.

    Raises:
        ModelError: the folder is damaged, holds something else, or was learnt on another CLIP.
        ConfigError: it tells too few left-out pairs right.
    """
    model = resolve(settings.model)
    model.verify()
    table = model.manifest.get("preference")
    if table is None:
        raise ModelError(f"{model.path} holds no preference. Name a folder that `learn_preference` wrote.")
    if table.get("hand") != list(NAMES):
        raise ModelError(
            f"{model.name!r} was learnt from other features than this Pictura has. "
            "Learn it again from its pairs."
        )
    accuracy = float(model.metrics["accuracy"])
    if accuracy < settings.min_accuracy:
        raise ConfigError(
            f"The preference {model.name!r} tells {accuracy:.0%} of left-out pairs right, and min_accuracy "
            f"asks for {settings.min_accuracy:.0%}. Rate more pairs, or allow less."
        )
    if resolve(table["clip"]).hash != table["clip_hash"]:
        raise ModelError(
            f"{model.name!r} was learnt on another {table['clip']!r}. Learn it again from its pairs."
        )
    clip, tokenizer = open_clip(table["clip"], device)
    weights = {name: torch.from_numpy(array).double() for name, array in read_weights(model.path).items()}
    taste = taste_of(table, {name: value.to(device) for name, value in weights.items()})
    return Preference(taste, clip, tokenizer, doubt=settings.doubt)


def taste_of(table: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Taste:
    """A taste from its table and arrays."""
    return Taste(
        weights["centre"],
        weights["project"],
        Posterior(weights["mean"], weights["covariance"]),
        float(table["low"]),
        float(table["high"]),
    )
