"""What a recipe's `[data]` table stands for: batches and captions."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from pictura.core.errors import ConfigError, DataError
from pictura.core.types import BatchSource
from pictura.data.batches import CaptionedBatches, load_captioned
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes.source import SceneMix, SceneSource
from pictura.data.shapes import ShapedScenes
from pictura.data.vocabulary.holdouts import Holdouts, Split
from pictura.data.vocabulary.world import World
from pictura.encode.tokenizer import Tokenizer, split_words
from pictura.train.recipe import Recipe, from_table

VALIDATION_SEED = 1_000_003
CAPTION_BATCHES = 400
"""Batches of 128 scenes whose captions teach tokenizer and word list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """Batches of a recipe."""

    train: BatchSource
    validation: BatchSource
    captions: "Captions"
    """Captions that teach tokenizer and word list; of training pictures only."""


class Captions:
    """Captions of training pictures, drawn when somebody asks for what they teach, and then once."""

    def __init__(self, draw: Callable[[], Iterable[str]], *, learnt: str = "") -> None:
        """Keep how they are drawn.

        Args:
            draw: gives all of them.
            learnt: the tokenizer that a run goes on with, as `Tokenizer.to_text` gives it.
        """
        self._draw, self._learnt = draw, learnt
        self._drawn: tuple[str, ...] | None = None

    def words(self) -> list[str]:
        """Words of the captions, commonest first."""
        return known_words(self._captions())

    def tokenizer(self, *, vocab_size: int, max_tokens: int) -> Tokenizer:
        """The tokenizer of the run that goes on, or one learnt from the captions."""
        if self._learnt:
            return Tokenizer.from_text(self._learnt, max_tokens=max_tokens)
        return Tokenizer.train(self._captions(), vocab_size=vocab_size, max_tokens=max_tokens)

    def _captions(self) -> tuple[str, ...]:
        if self._drawn is None:
            self._drawn = tuple(self._draw())
        return self._drawn


def load_materials(recipe: Recipe, root: Path, device: torch.device, *, learnt: str = "") -> Materials:
    """Read what the recipe learns from.

    Args:
        recipe: its `[data]` table is used.
        root: folder that relative paths start from.
        device: where the pictures are kept, as uint8.
        learnt: the tokenizer of a run that goes on with the same `[data]`, if it has one. Its checkpoint
            knows the words of scenes too, which take long to draw.

    Raises:
        ConfigError: an unknown kind of data.
        DataError: data is missing or unreadable.
    """
    data = recipe.data
    path = root / data.path
    if not path.exists():
        raise DataError(f"The recipe's data.path is {data.path!r}, but there is no {path}.")
    if data.kind == "captioned":
        return _captioned(recipe, path, device, learnt)
    if data.kind not in ("scenes", "glyphs"):
        raise ConfigError(f"data.kind must be 'captioned', 'scenes' or 'glyphs'; got {data.kind!r}.")
    if data.kind == "glyphs" and recipe.task.startswith(("flow", "dalle", "unclip")):
        raise ConfigError("data.kind 'glyphs' knows no hold-outs and is for autoencoders. Take 'scenes'.")
    # Twice the size of the canvas, unless told: scenes resample their glyphs once, from more than they need.
    sharp = round(data.oversample * data.size) if data.kind == "scenes" else data.size
    glyphs = GlyphSet.load(path, size=sharp, cache=root / data.cache if data.cache else None)
    holdouts = Holdouts.load().without_compositions() if data.compositions else Holdouts.load()
    if data.kind == "glyphs":
        return _single_glyphs(recipe, glyphs, holdouts, device)
    seeds: list[tuple[Split, int]] = [("train", recipe.seed), ("validation", VALIDATION_SEED)]
    train, validation = (
        SceneSource(
            glyphs,
            world=World.load(),
            holdouts=holdouts,
            size=(data.size, data.size),
            seed=seed,
            mix=from_table(SceneMix, data.mix, "data.mix") if data.mix else None,
            split=split,
            half=data.half or None if split == "train" else None,  # type: ignore[arg-type]  # checked
            other=data.other,
            synonyms=data.synonyms if split == "train" else 0.0,
            xp=torch,
            device=device,
        )
        for split, seed in seeds
    )
    batches = range(0 if learnt else CAPTION_BATCHES)
    captions = Captions(
        lambda: chain((s.caption for i in batches for s in train.scenes(i, 128)), train.further_words),
        learnt=learnt,
    )
    shaped = ShapedScenes(train, data.aspects) if data.aspects else train
    return Materials(train=shaped, validation=validation, captions=captions)


def _single_glyphs(recipe: Recipe, glyphs: GlyphSet, holdouts: Holdouts, device: torch.device) -> Materials:
    parts = [
        glyphs.select([holdouts.split(i) == split for i in glyphs.ids]) for split in ("train", "validation")
    ]
    train, validation = (
        CaptionedBatches(torch.from_numpy(g.images).to(device), [(name,) for name in g.names], seed)
        for g, seed in zip(parts, (recipe.seed, VALIDATION_SEED), strict=True)
    )
    return Materials(train=train, validation=validation, captions=Captions(lambda: parts[0].names))


def _captioned(recipe: Recipe, path: Path, device: torch.device, learnt: str) -> Materials:
    data = recipe.data
    kept = round(data.size * data.crop)
    seen, unseen = (
        load_captioned(path, size=kept, split=split, seed=recipe.seed) for split in ("train", "validation")
    )
    train = CaptionedBatches(
        torch.from_numpy(seen.images).to(device),
        seen.captions,
        recipe.seed,
        flip=data.flip,
        window=data.size,
        classes=seen.classes,
    )
    edge = (kept - data.size) // 2
    middle = unseen.images[:, :, edge : edge + data.size, edge : edge + data.size]
    validation = CaptionedBatches(
        torch.from_numpy(np.ascontiguousarray(middle)).to(device),
        unseen.captions,
        VALIDATION_SEED,
        classes=unseen.classes,
    )
    captions = Captions(lambda: (c for each in seen.captions for c in each), learnt=learnt)
    return Materials(train=train, validation=validation, captions=captions)


def known_words(captions: Iterable[str]) -> list[str]:
    """Words of the captions, commonest first."""
    return [word for word, _ in Counter(w for c in captions for w in split_words(c)).most_common()]
