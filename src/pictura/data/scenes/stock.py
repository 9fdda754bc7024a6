"""Which glyphs scenes may show: a pack and the hold-outs in, glyphs by thing and style out."""

import itertools
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pictura.core.errors import DataError
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes.dice import Dice
from pictura.data.vocabulary.holdouts import Half, Holdouts, Split
from pictura.data.vocabulary.reading import Reader
from pictura.data.vocabulary.world import Thing, World

STYLE_WEIGHTS = {
    "game icon": 0.25,
    "tiny pixel art": 0.5,
    "pixel art": 0.5,
    "pixel icon": 0.5,
    "isometric 3d": 0.5,
    "flat icon": 0.5,
    "haiku icon": 0.5,
}
"""How often a style is drawn, against 1 for the emoji sets in colour."""

_Table = dict[str, tuple[tuple[str, ...], list[float], dict[str, list[int]]]]


class Stock:
    """The glyphs that may be shown, by thing and style."""

    def __init__(
        self,
        glyphs: GlyphSet,
        *,
        world: World,
        holdouts: Holdouts,
        split: Split | None,
        half: Half | None,
        others: bool,
    ) -> None:
        """Take from a pack what is in the split and half, and in no hold-out.

        Args:
            glyphs: the pack.
            world: the things to show.
            holdouts: how ids are split, and (thing, style) pairs to leave out.
            split: which ids; None is all.
            half: which half of them; None is both.
            others: keep also glyphs that are none of the world's things.

        Raises:
            DataError: no glyph shows a thing of the world.
        """
        keep, owners = _allowed(glyphs, world, holdouts, split, half, others=others)
        self.glyphs = glyphs.select(np.asarray(keep, dtype=np.int64))
        self.strays = tuple(i for i, owner in enumerate(owners) if owner is None)
        """Rows that are none of the world's things."""
        self._table = _by_thing_and_style(self.glyphs, owners)
        self.things = tuple(t for t in world.things if t.phrase in self._table)
        if not self.things:
            raise DataError(
                "None of the glyphs shows a thing of the world; use the pack that it was made for."
            )

    def pick(self, dice: Dice, thing: Thing, style: str | None = None) -> int:
        """A row that shows the thing, in the style if there is one."""
        styles, cumulative, rows = self._table[thing.phrase]
        if style not in rows:
            style = dice.weighted(styles, cumulative)
        return dice.pick(rows[style])


def _allowed(
    glyphs: GlyphSet,
    world: World,
    holdouts: Holdouts,
    split: Split | None,
    half: Half | None,
    *,
    others: bool,
) -> tuple[list[int], list[Thing | None]]:
    """Rows to keep, and the thing of each."""
    reader = Reader(world)
    keep: list[int] = []
    owners: list[Thing | None] = []
    for i, thing in enumerate(world.owners(glyphs)):
        glyph_id, name, style = glyphs.ids[i], glyphs.names[i], glyphs.styles[i]
        if split is not None and holdouts.split(glyph_id) != split:
            continue
        if half is not None and holdouts.half(glyph_id) != half:
            continue
        if thing is None:
            if not others or not name or holdouts.matches(reader.read(f"{name}, {style}")):
                continue
        elif (thing.phrase, style) in holdouts.single:
            continue
        keep.append(i)
        owners.append(thing)
    return keep, owners


def _by_thing_and_style(glyphs: GlyphSet, owners: Sequence[Thing | None]) -> _Table:
    """For each thing: its styles, running sums of their weights, and its rows by style."""
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, (owner, style) in enumerate(zip(owners, glyphs.styles, strict=True)):
        if owner is not None:
            rows[owner.phrase][style].append(i)
    table: _Table = {}
    for phrase, by_style in rows.items():
        styles = tuple(sorted(by_style))
        weights = itertools.accumulate(STYLE_WEIGHTS.get(s, 1.0) for s in styles)
        table[phrase] = (styles, list(weights), dict(by_style))
    return table
