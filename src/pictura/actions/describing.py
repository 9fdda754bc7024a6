"""A picture in, the captions out that a CLIP finds nearest: of things that it knows, and of given prompts.

Captions are built as scenes are: first which thing of the world it is, then with colours, numbers and a
second thing, then on a background, unless the picture is transparent. Only the best go on to the next step,
so that hundreds are read, not millions.

Letters N captions, D width of the CLIP's vectors.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictura.core.images import from_uint8, on_background
from pictura.data.resize import to_square
from pictura.data.vocabulary.colours import BACKGROUNDS, COLOURS
from pictura.data.vocabulary.world import Thing, World
from pictura.runtime.onnx_clip import OnnxClip
from pictura.runtime.rerank import GUIDE
from pictura.store.models import resolve

NUM_CAPTIONS = 4
_NUMBERS = ("two", "three", "four")
_CLEAR, _MUCH = 128, 0.05
"""An alpha below the first on more than this share of a picture is a transparent background."""
_TO_COLOUR, _TO_PAIR, _TO_PLACE, _OF_ONE = 24, 8, 4, 2
Floats = NDArray[np.float32]


class Caption(NamedTuple):
    """A caption and how near it is."""

    text: str
    score: float
    """Cosine of the picture and the text, -1 to 1."""


class _Idea(NamedTuple):
    text: str
    about: tuple[str, ...]
    """The things in it; a prompt is about itself."""


def describe(
    image: Image.Image, prompts: Iterable[str] = (), *, num: int = NUM_CAPTIONS, model: str = GUIDE
) -> list[Caption]:
    """The captions nearest to a picture, the nearest first; at most two of them about the same things.

    Args:
        image: RGB or RGBA.
        prompts: further captions that may fit, such as what people typed before.
        num: how many captions.
        model: a CLIP with graphs.

    Raises:
        ModelNotFoundError: there is no such CLIP.
        ModelError: it is damaged.
    """
    clip = clip_at(resolve(model).path)
    square = to_square(image, clip.size)[None]
    seen = clip.embed_images(np.clip(on_background(from_uint8(square)), 0, 1))[0]

    def scored(ideas: Sequence[_Idea], rows: Floats | None = None) -> list[tuple[float, _Idea]]:
        rows = clip.embed_text([idea.text for idea in ideas]) if rows is None else rows
        order = sorted(zip(rows @ seen, ideas, strict=True), key=lambda pair: -pair[0])
        return [(float(score), idea) for score, idea in order]

    things = {thing.phrase: thing for thing in World.load().things}
    plain = [_Idea(_one(thing), (phrase,)) for phrase, thing in things.items()]
    found = scored(plain, _plain_rows(clip, tuple(idea.text for idea in plain)))
    likely = [things[idea.about[0]] for _, idea in found[:_TO_COLOUR]]
    near = likely[:_TO_PAIR]
    found += scored([*_coloured(likely), *_counted(near), *_paired(near)])
    found.sort(key=lambda pair: -pair[0])
    if not _shows_through(image):
        found += scored([one for _, idea in found[:_TO_PLACE] for one in _placed(idea)])
    if own := [_Idea(text, (text,)) for text in dict.fromkeys(prompts)]:
        found += scored(own)
    return _apart(sorted(found, key=lambda pair: -pair[0]), num)


@lru_cache(maxsize=2)
def clip_at(path: Path) -> OnnxClip:
    """A CLIP's folder, kept open: reading it takes longer than asking it."""
    return OnnxClip(path)


@lru_cache(maxsize=2)
def _plain_rows(clip: OnnxClip, texts: tuple[str, ...]) -> Floats:
    return clip.embed_text(texts)


def _shows_through(image: Image.Image) -> bool:
    """Whether the background is none: more than some pixels by chance let it through."""
    if image.mode != "RGBA":
        return False
    clear = np.asarray(image.getchannel("A")) < _CLEAR
    return bool(clear.mean() > _MUCH)


def _one(thing: Thing) -> str:
    return thing.phrase if thing.bare else f"{_article(thing.phrase)} {thing.phrase}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _coloured(things: Sequence[Thing]) -> list[_Idea]:
    def text(thing: Thing, colour: str) -> str:
        return f"{colour} {thing.phrase}" if thing.bare else f"{_article(colour)} {colour} {thing.phrase}"

    return [_Idea(text(thing, colour), (thing.phrase,)) for thing in things for colour in COLOURS]


def _counted(things: Sequence[Thing]) -> list[_Idea]:
    counted = [(thing, thing.plural) for thing in things if thing.plural]
    return [_Idea(f"{number} {many}", (thing.phrase,)) for thing, many in counted for number in _NUMBERS]


def _paired(things: Sequence[Thing]) -> list[_Idea]:
    pairs = combinations(things, 2)
    return [_Idea(f"{_one(one)} and {_one(other)}", (one.phrase, other.phrase)) for one, other in pairs]


def _placed(idea: _Idea) -> list[_Idea]:
    return [
        _Idea(f"{idea.text} on {_article(colour)} {colour} background", idea.about) for colour in BACKGROUNDS
    ]


def _apart(found: Sequence[tuple[float, _Idea]], num: int) -> list[Caption]:
    """The first ones, leaving out what says the same again."""
    kept, counts, texts = list[Caption](), dict[tuple[str, ...], int](), set[str]()
    for score, idea in found:
        if idea.text.casefold() in texts or counts.get(idea.about, 0) == _OF_ONE:
            continue
        texts.add(idea.text.casefold())
        counts[idea.about] = counts.get(idea.about, 0) + 1
        kept.append(Caption(idea.text, round(score, 4)))
        if len(kept) == num:
            break
    return kept
