"""Composed pictures with exact truth: a glyph pack in, endless captioned batches out.

Scene number i of batch number p is drawn from a random stream of its own, keyed by (seed, p, i): a batch does
not depend on earlier ones, and its choices are the same on every array library.
"""

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from types import ModuleType
from typing import Literal

import numpy as np
from array_api_compat import array_namespace

from pictura.core.errors import ConfigError, DataError
from pictura.core.types import Batch
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes import arrange
from pictura.data.scenes.arrange import Box, Place, Size
from pictura.data.scenes.compose import Composer, Part, Plan
from pictura.data.scenes.dice import Dice
from pictura.data.scenes.stock import Stock
from pictura.data.vocabulary import captions
from pictura.data.vocabulary.colours import BACKGROUNDS, COLOURS, mean_colour, middle_luminance
from pictura.data.vocabulary.holdouts import Half, Holdouts, Split
from pictura.data.vocabulary.synonyms import Synonyms
from pictura.data.vocabulary.world import Thing, World

Kind = Literal[
    "single", "colour", "background", "colour_background", "two", "count", "position", "binding", "other"
]

_COLOUR_WORDS = tuple(COLOURS)
_GROUND_WORDS = tuple(BACKGROUNDS)
_RELATIONS = tuple(captions.RELATIONS)
_MAX_TRIES = 200
_LEAST_CONTRAST = 0.3  # between a thing's mean colour and its background, as a distance in the RGB cube


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneObject:
    """One thing in a scene."""

    thing: str
    """Its phrase in the world list; the pack name in scenes of kind "other"."""
    style: str
    glyph: int
    """Row in `SceneSource.glyphs`."""
    place: Place
    box: Box
    """Left, top, right, bottom of what is seen, as fractions of the canvas."""
    colour: str | None = None
    """The colour that the caption gives it; None is the glyph's own, unsaid."""
    tinted: bool = False
    """True if the glyph was recoloured; a red apple of the pack has colour "red" and is not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What is in one picture, exactly."""

    kind: Kind
    objects: tuple[SceneObject, ...]
    relation: str | None
    """How the first of two different things stands to the second, said or not."""
    count: int
    """How many there are of the one thing; 1 where two different things are."""
    background: str | None
    """A key of `colours.BACKGROUNDS`; None is transparent."""
    caption: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneMix:
    """How often each kind of scene is drawn; weights, not percentages."""

    single: float = 0.50
    """One thing as it is, on nothing: the main impression of the model."""
    colour: float = 0.10
    background: float = 0.08
    colour_background: float = 0.05
    two: float = 0.08
    count: float = 0.07
    position: float = 0.06
    binding: float = 0.06

    def __post_init__(self) -> None:
        weights = [getattr(self, f.name) for f in fields(self)]
        if min(weights) < 0 or sum(weights) <= 0:
            raise ConfigError(f"SceneMix needs weights of at least 0, not all 0; got {weights}.")


class SceneSource:
    """Endless scenes as a BatchSource: a pure function of (seed, position)."""

    def __init__(
        self,
        glyphs: GlyphSet,
        *,
        world: World,
        holdouts: Holdouts,
        size: Size,
        seed: int,
        mix: SceneMix | None = None,
        split: Split | None = "train",
        half: Half | None = None,
        other: float = 0.0,
        synonyms: float = 0.0,
        xp: ModuleType = np,
        device: object | None = None,
    ) -> None:
        """Choose the glyphs and put them on the device.

        Args:
            glyphs: the pack; twice as large as the canvas gives the sharpest pictures.
            world: the things to show.
            holdouts: what is never shown.
            size: (H, W) of the pictures.
            seed: of everything random, 0 to 2**64 - 1.
            mix: how often each kind of scene comes.
            split: which glyph ids; None is all.
            half: which half of them; None is both.
            other: part of the scenes that shows, alone, a glyph that is none of the world's things.
            synonyms: chance that a caption says a thing by a further word, see `data.synonyms`.
            xp: numpy, torch or another array API namespace.
            device: where `xp` computes.

        Raises:
            DataError: none of the glyphs shows a thing of the world.
        """
        self._stock = Stock(glyphs, world=world, holdouts=holdouts, split=split, half=half, others=other > 0)
        self.glyphs = self._stock.glyphs
        self.size, self.seed, self.holdouts, self.world = size, seed, holdouts, world
        self._other = other
        self._things = self._stock.things
        self._counted = tuple(t for t in self._things if t.plural is not None)
        self._coloured = tuple(t for t in self._things if t.recolour)
        self._contents = arrange.contents(self.glyphs.images)
        self._means = mean_colour(self.glyphs.images)
        spoken = (s for t in world.things for s in (t.phrase, t.plural or "", *t.synonyms, *t.names))
        self._taken = frozenset(_COLOUR_WORDS).union(*(s.split() for s in spoken))
        self._synonyms, self._further = synonyms, Synonyms.load() if synonyms else None
        if self._further is not None:
            self._taken |= self._further.unsaid
        mix = mix or SceneMix()
        self._kinds: tuple[Kind, ...] = tuple(f.name for f in fields(mix))  # type: ignore[misc]
        self._cumulative = list(itertools.accumulate(getattr(mix, k) for k in self._kinds))
        self._composer = Composer(
            self.glyphs.images,
            middle_luminance(self.glyphs.images),
            size=size,
            xp=array_namespace(xp.zeros(1)),
            device=device,
        )

    def resized(self, size: Size) -> "SceneSource":
        """The same source for pictures of another (H, W); glyphs are shared."""
        other = copy.copy(self)
        other.size, other._composer = size, self._composer.resized(size)
        return other

    @property
    def further_words(self) -> tuple[str, ...]:
        """What captions may say beyond the world's own words; most of it is rare."""
        shown = self._further.shown if self._further is not None else {}
        return tuple(word for words in shown.values() for word in words)

    def scenes(self, position: int, size: int) -> list[Scene]:
        """The truth of batch number `position`: `size` scenes."""
        return [self._draw(Dice(self.seed, position, i)) for i in range(size)]

    def batch(self, position: int, size: int) -> Batch:
        """Batch number `position`: images (size, 4, H, W) float32, premultiplied, and captions."""
        scenes = self.scenes(position, size)
        captions = tuple(s.caption for s in scenes)
        return Batch(images=self.paint(scenes), captions=captions, scenes=tuple(scenes))

    def paint(self, scenes: Sequence[Scene]) -> object:
        """Paint given scenes: (B, 4, H, W) float32 in [0, 1], premultiplied, on the source's device."""
        return self._composer([_plan(scene) for scene in scenes])

    def _draw(self, dice: Dice) -> Scene:
        """One scene that no hold-out forbids."""
        kind: Kind = dice.weighted(self._kinds, self._cumulative)
        if self._stock.strays and dice.chance(self._other):
            kind = "other"
        make = _MAKERS[kind]
        for _ in range(_MAX_TRIES):
            scene = make(self, dice, kind)
            if scene is not None and self.holdouts.allows(scene):
                return scene
        raise DataError(
            f"No scene of kind {kind!r} could be made in {_MAX_TRIES} tries: the glyphs allow too few. "
            "Use more glyphs, or give this kind the weight 0 in SceneMix."
        )

    def _object(
        self, thing: Thing, glyph: int, place: Place, colour: str | None = None, *, tinted: bool = False
    ) -> SceneObject:
        return SceneObject(
            thing=thing.phrase,
            style=self.glyphs.styles[glyph],
            glyph=glyph,
            place=place,
            box=arrange.box_of(self._contents[glyph], place, self.size),
            colour=colour,
            tinted=tinted,
        )

    def _colour(self, dice: Dice, glyph: int) -> tuple[str, bool]:
        """A colour to name, and whether the glyph must be recoloured for it."""
        own = self.glyphs.names[glyph].split()[0]
        if own in COLOURS and dice.chance(0.5):
            return own, False
        return dice.pick(_COLOUR_WORDS), True

    def _ground(self, dice: Dice, seen: Sequence[tuple[float, ...]]) -> str | None:
        """A background from which every one of the `seen` colours stands out; None if this try found none."""
        word = dice.pick(_GROUND_WORDS)
        ground = BACKGROUNDS[word]
        near = min(sum((a - b) ** 2 for a, b in zip(ground, colour, strict=True)) for colour in seen)
        return word if near > _LEAST_CONTRAST**2 else None

    def _seen(self, glyph: int, colour: str | None, tinted: bool) -> tuple[float, ...]:
        return COLOURS[colour] if tinted and colour else tuple(self._means[glyph].tolist())

    def _one(self, dice: Dice, kind: Kind) -> Scene | None:
        """One thing, perhaps in a colour, perhaps on a background."""
        thing = dice.pick(self._coloured if kind.startswith("colour") else self._things)
        glyph = self._stock.pick(dice, thing)
        colour, tinted = self._colour(dice, glyph) if kind.startswith("colour") else (None, False)
        ground = None
        if kind.endswith("background"):
            ground = self._ground(dice, [self._seen(glyph, colour, tinted)])
            if ground is None:
                return None
        flip = thing.flip and dice.chance(0.5)
        place = arrange.alone(dice, self._contents[glyph], self.size, flip=flip)
        caption = self._caption_of_one(dice, thing, glyph, colour)
        if ground is not None:
            caption = captions.on_background(dice, caption, ground)
        elif dice.chance(0.03):
            caption += " on a transparent background"
        seen = self._object(thing, glyph, place, colour, tinted=tinted)
        return Scene(kind=kind, objects=(seen,), relation=None, count=1, background=ground, caption=caption)

    def _said(self, dice: Dice, thing: Thing) -> Thing:
        """The thing as a caption says it: now and then by a further word."""
        if self._further is None or not dice.chance(self._synonyms):
            return thing
        return self._further.another(dice, thing)

    def _caption_of_one(self, dice: Dice, thing: Thing, glyph: int, colour: str | None) -> str:
        style = self.glyphs.styles[glyph]
        said, word = self._said(dice, thing), None
        if said is thing and dice.chance(0.2):
            own = self.glyphs.names[glyph]
            others = [*thing.synonyms, *([own] if own.split()[0] not in COLOURS and not thing.bare else [])]
            word = dice.pick(others) if others else None
        phrase = captions.noun(said, colour=colour, word=word)
        words = phrase.removeprefix("an ").removeprefix("a ")
        emoji = style in captions.EMOJI_STYLES
        if dice.chance((0.2 if colour else 0.4) if emoji else 0.85):
            return captions.styled(dice, phrase, words, style)
        if colour is None and dice.chance(0.05):
            further = captions.keyword_for(dice, self.glyphs.keywords[glyph], self._taken)
            return f"{words}, {further}" if further else phrase
        return captions.plain(dice, phrase, words, emoji=emoji)

    def _several(self, dice: Dice, kind: Kind) -> Scene | None:
        """One to four of one thing."""
        thing = dice.pick(self._counted)
        count = dice.pick((1, 2, 2, 3, 3, 4, 4))
        glyph = self._stock.pick(dice, thing)
        colour, tinted = None, False
        if thing.recolour and dice.chance(0.15):
            colour, tinted = self._colour(dice, glyph)
        flip = thing.flip and dice.chance(0.5)
        content = self._contents[glyph]
        places = (
            [arrange.alone(dice, content, self.size, flip=flip)]
            if count == 1
            else arrange.group(dice, count, content, self.size, flip=flip)
        )
        objects = tuple(self._object(thing, glyph, p, colour, tinted=tinted) for p in places)
        caption = captions.several(dice, self._said(dice, thing), count, colour=colour)
        return self._finish(dice, kind, objects, None, count, caption)

    def _two(self, dice: Dice, kind: Kind) -> Scene | None:
        """Two different things, side by side or one above the other."""
        things = (
            (dice.pick(self._coloured), dice.pick(self._coloured))
            if kind == "binding"
            else (dice.pick(self._things), dice.pick(self._things))
        )
        if things[0] is things[1]:
            return None
        first = self._stock.pick(dice, things[0])
        second = self._stock.pick(dice, things[1], self.glyphs.styles[first] if dice.chance(0.8) else None)
        glyphs = (first, second)
        colours: list[tuple[str | None, bool]] = [(None, False), (None, False)]
        if kind == "binding":
            colours = [self._colour(dice, glyph) for glyph in glyphs]
            if colours[0][0] == colours[1][0]:
                return None
        relation = dice.pick(_RELATIONS if kind == "position" else (*_RELATIONS[:2] * 3, *_RELATIONS[2:]))
        flips = (things[0].flip and dice.chance(0.5), things[1].flip and dice.chance(0.5))
        shapes = (self._contents[first], self._contents[second])
        places = arrange.pair(dice, relation, shapes, self.size, flips)
        objects = tuple(
            self._object(t, g, p, c, tinted=tint)
            for t, g, p, (c, tint) in zip(things, glyphs, places, colours, strict=True)
        )
        said = [
            captions.noun(self._said(dice, t), colour=c) for t, (c, _) in zip(things, colours, strict=True)
        ]
        if kind == "position":
            caption = captions.placed(dice, said[0], relation, said[1])
        else:
            caption = captions.together(dice, *said, side_by_side=relation in _RELATIONS[:2])
        return self._finish(dice, kind, objects, relation, 1, caption)

    def _finish(
        self,
        dice: Dice,
        kind: Kind,
        objects: tuple[SceneObject, ...],
        relation: str | None,
        count: int,
        caption: str,
    ) -> Scene | None:
        """Say the style now and then, and add a background to some scenes of several objects."""
        styles = {o.style for o in objects}
        if len(styles) == 1:
            style = styles.pop()
            if dice.chance(0.15 if style in captions.EMOJI_STYLES else 0.7):
                caption += dice.pick((" ", ", ")) + captions.style_words(dice, style, several=True)
        ground = None
        if dice.chance(0.2):
            ground = self._ground(dice, [self._seen(o.glyph, o.colour, o.tinted) for o in objects])
            if ground is None:
                return None
            caption = captions.on_background(dice, caption, ground)
        return Scene(
            kind=kind, objects=objects, relation=relation, count=count, background=ground, caption=caption
        )

    def _stray(self, dice: Dice, kind: Kind) -> Scene | None:
        """A glyph that is none of the world's things, by its pack name."""
        glyph = dice.pick(self._stock.strays)
        name, style = self.glyphs.names[glyph], self.glyphs.styles[glyph]
        if self._further is not None and self._further.says_unsaid(name):
            return None
        phrase = captions.with_article(name) if dice.chance(0.5) else name
        place = arrange.alone(dice, self._contents[glyph], self.size, flip=False)
        caption = phrase
        if dice.chance(0.5):
            caption = captions.styled(dice, phrase, name, style)
        elif further := captions.keyword_for(dice, self.glyphs.keywords[glyph], self._taken):
            caption = f"{name}, {further}" if dice.chance(0.3) else phrase
        seen = SceneObject(
            thing=name,
            style=style,
            glyph=glyph,
            place=place,
            box=arrange.box_of(self._contents[glyph], place, self.size),
        )
        return Scene(kind=kind, objects=(seen,), relation=None, count=1, background=None, caption=caption)


_MAKERS: dict[Kind, Callable[[SceneSource, Dice, Kind], Scene | None]] = {
    "single": SceneSource._one,
    "colour": SceneSource._one,
    "background": SceneSource._one,
    "colour_background": SceneSource._one,
    "two": SceneSource._two,
    "count": SceneSource._several,
    "position": SceneSource._two,
    "binding": SceneSource._two,
    "other": SceneSource._stray,
}


def _plan(scene: Scene) -> Plan:
    return Plan(
        parts=tuple(
            Part(o.glyph, o.place, COLOURS[o.colour] if o.tinted and o.colour else None)
            for o in scene.objects
        ),
        background=None if scene.background is None else BACKGROUNDS[scene.background],
    )
