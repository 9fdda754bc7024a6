"""Real renders of what a sentence claims: claims in, pictures put together from glyphs out.

Judges are measured on them, and generated pictures are compared with them. `scenes.py` draws what to show;
here that is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pictura.core.errors import DataError
from pictura.core.types import Claim, Demand
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes import arrange
from pictura.data.scenes.arrange import Place
from pictura.data.scenes.compose import Composer, Part, Plan
from pictura.data.scenes.dice import Dice
from pictura.data.scenes.stock import Stock
from pictura.data.vocabulary.captions import RELATIONS
from pictura.data.vocabulary.colours import COLOURS, middle_luminance
from pictura.data.vocabulary.holdouts import Holdouts, Split
from pictura.data.vocabulary.world import World

_SAME_STYLE = 0.8  # of two things in one picture, as in scenes
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class _Chosen:
    glyph: int
    flip: bool


class Renders:
    """Paints claims on nothing, from some glyphs of a pack."""

    def __init__(
        self,
        glyphs: GlyphSet,
        *,
        world: World,
        holdouts: Holdouts,
        splits: Sequence[Split] = ("train", "validation", "test"),
        half: str | None = None,
        size: int = 64,
    ) -> None:
        """Choose the glyphs.

        Args:
            glyphs: the pack; twice as large as `size` gives the sharpest pictures.
            world: the things.
            holdouts: how ids are split; what is held out from painters may be shown here.
            splits: which glyph ids to take.
            half: which half of those for training, ``A`` or ``B``; None is both.
            size: side of the pictures in pixels.

        Raises:
            DataError: none of the glyphs shows a thing of the world.
        """
        taken = [
            holdouts.split(i) in splits
            and (half is None or holdouts.split(i) != "train" or holdouts.half(i) == half)
            for i in glyphs.ids
        ]
        some = glyphs.select(np.flatnonzero(taken))
        rule = holdouts.without_compositions()
        self._stock = Stock(some, world=world, holdouts=rule, split=None, half=None, others=False)
        self._world = world
        self._size = (size, size)
        self.glyphs = self._stock.glyphs
        self.things = frozenset(thing.phrase for thing in self._stock.things)
        """Phrases of the things that can be shown."""
        self._contents = arrange.contents(self.glyphs.images)
        middle = middle_luminance(self.glyphs.images)
        self._composer = Composer(self.glyphs.images, middle, size=self._size, xp=np)

    def shows(self, claim: Claim) -> bool:
        """Whether there is a glyph for each thing of the claim."""
        return all(demand.thing in self.things for demand in claim.objects)

    def paint(
        self, claims: Sequence[Claim], seed: int, *, styles: Sequence[str | None] | None = None
    ) -> NDArray[np.float32]:
        """Paint one picture of each claim.

        Args:
            claims: N claims.
            seed: another seed gives other glyphs and places.
            styles: N styles to take where the thing has them; None takes any.

        Returns:
            (N, 4, size, size) float32 in [0, 1], premultiplied.

        Raises:
            DataError: a thing has no glyph.
        """
        wanted = styles or [None] * len(claims)
        plans = [
            self._plan(claim, Dice(seed, 0, i), style)
            for i, (claim, style) in enumerate(zip(claims, wanted, strict=True))
        ]
        parts = [self._composer(plans[i : i + _CHUNK]) for i in range(0, len(plans), _CHUNK)]
        empty = np.zeros((0, 4, *self._size), dtype=np.float32)
        return np.concatenate([np.asarray(part, dtype=np.float32) for part in parts] or [empty])

    def _plan(self, claim: Claim, dice: Dice, style: str | None) -> Plan:
        first = claim.objects[0]
        one = self._choose(dice, first, style)
        if len(claim.objects) == 1:
            count = first.count or 1
            shape = self._contents[one.glyph]
            places = (
                [arrange.alone(dice, shape, self._size, flip=one.flip)]
                if count == 1
                else arrange.group(dice, count, shape, self._size, flip=one.flip)
            )
            return Plan(tuple(_part(one, place, first) for place in places))
        second = claim.objects[1]
        same = self.glyphs.styles[one.glyph] if dice.chance(_SAME_STYLE) else None
        other = self._choose(dice, second, style or same)
        relation = claim.relation or dice.pick(tuple(RELATIONS))
        shapes = (self._contents[one.glyph], self._contents[other.glyph])
        places = list(arrange.pair(dice, relation, shapes, self._size, (one.flip, other.flip)))
        return Plan((_part(one, places[0], first), _part(other, places[1], second)))

    def _choose(self, dice: Dice, demand: Demand, style: str | None) -> _Chosen:
        thing = self._world.thing(demand.thing)
        if thing.phrase not in self.things:
            raise DataError(
                f"These glyphs hold no {thing.phrase!r}. Take more of them, or leave the claim out."
            )
        return _Chosen(self._stock.pick(dice, thing, style), thing.flip and dice.chance(0.5))


def _part(chosen: _Chosen, place: Place, demand: Demand) -> Part:
    return Part(chosen.glyph, place, COLOURS[demand.colour] if demand.colour else None)
