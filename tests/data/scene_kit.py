"""A tiny pack of drawn glyphs and a tiny world for the tests of scenes; and the words of the real pack."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pictura.data.glyphs import GlyphSet
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.world import Thing, World

STYLES = ("noto", "twemoji", "pixel art")


def tiny_world() -> World:
    """Four things: of every kind of grammar one."""
    return World(
        1,
        (
            Thing(
                phrase="apple",
                plural="apples",
                kind="food",
                names=("red apple", "apple"),
                synonyms=("fruit",),
            ),
            Thing(phrase="ball", plural="balls", kind="sport", names=("ball",), styles=STYLES),
            Thing(phrase="mouse", plural="mice", kind="animal", names=("mouse",), styles=STYLES),
            Thing(phrase="scissors", plural=None, kind="tool", names=("scissors",), bare=True, flip=False),
        ),
    )


def open_holdouts() -> Holdouts:
    """The real split of ids with no composition held out."""
    return Holdouts.load().without_compositions()


def tiny_pack(size: int = 16) -> GlyphSet:
    """Flat grey squares, tall and wide bars; every name in every style, all in the train split."""
    names = ("red apple", "ball", "mouse", "scissors", "trumpet")
    rule, rows = open_holdouts(), [(n, s) for n in names for s in STYLES]
    ids = []
    for name, style in rows:
        ids.append(next(i for k in range(99) if rule.split(i := f"{style}:{name}{k}") == "train"))
    return GlyphSet(
        images=np.stack([square(size, names.index(name)) for name, _ in rows]),
        ids=tuple(ids),
        names=tuple(n for n, _ in rows),
        keywords=(("small", "red", "42", "thing"),) * len(rows),
        styles=tuple(s for _, s in rows),
        groups=("group",) * len(rows),
    )


def pack_of_two_splits() -> GlyphSet:
    """`tiny_pack` twice: for training and for validation."""
    seen, rule = tiny_pack(), open_holdouts()
    unseen = tuple(
        next(i for k in range(999) if rule.split(i := f"{name}:{k}") == "validation") for name in seen.ids
    )
    return GlyphSet(
        images=np.concatenate([seen.images, seen.images]),
        ids=seen.ids + unseen,
        names=seen.names * 2,
        keywords=seen.keywords * 2,
        styles=seen.styles * 2,
        groups=seen.groups * 2,
    )


def square(size: int, shape: int) -> NDArray[np.uint8]:
    """(4, size, size): an opaque grey rectangle whose margins depend on `shape`."""
    image = np.zeros((4, size, size), dtype=np.uint8)
    q = size // 8
    rows, columns = [(slice(q, -q), slice(q, -q)), (slice(0, size), slice(2 * q, -2 * q))][shape % 2]
    if shape == 2:
        rows, columns = slice(3 * q, -q), slice(0, -2 * q)  # not symmetric: mirror images differ
    image[:3, rows, columns] = 150
    image[3, rows, columns] = 255
    return image


@cache
def real_words(shared_data: Path) -> GlyphSet:
    """The real pack's words with a 4-pixel square for every picture: decoding them all takes too long."""
    import pyarrow.parquet as pq

    columns = ["id", "name", "keywords", "style", "group"]
    rows = [
        row
        for file in sorted((shared_data / "glyphs").glob("*.parquet"))
        for row in pq.read_table(file, columns=columns).to_pylist()
    ]
    return GlyphSet(
        images=np.full((len(rows), 4, 4, 4), 150, dtype=np.uint8),
        ids=tuple(r["id"] for r in rows),
        names=tuple(r["name"] for r in rows),
        keywords=tuple(tuple(r["keywords"]) for r in rows),
        styles=tuple(r["style"] for r in rows),
        groups=tuple(r["group"] for r in rows),
    )
