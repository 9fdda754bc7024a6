"""Sentences that can be checked: the world list in, prompts with their claims out, without any picture.

Reinforcement learning needs only what to ask for. Prompt number i of batch number p is drawn from a stream
of its own, keyed by (seed, p, i). No prompt asks for what is held out, so that a benchmark made of the
hold-outs stays one of unseen compositions.
"""

import itertools
from dataclasses import dataclass, fields

from pictura.core.errors import ConfigError
from pictura.core.types import Claim, Demand, Prompt
from pictura.data.scenes.dice import Dice
from pictura.data.scenes.source import Scene
from pictura.data.vocabulary import captions
from pictura.data.vocabulary.colours import COLOURS
from pictura.data.vocabulary.holdouts import Holdouts, bound, relative
from pictura.data.vocabulary.world import Thing, World

_COLOUR_WORDS = tuple(COLOURS)
_RELATIONS = tuple(captions.RELATIONS)
_MAX_TRIES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimMix:
    """How often each kind of prompt is drawn; weights, not percentages."""

    single: float = 1.0
    two: float = 1.0
    count: float = 1.0
    colour: float = 1.0
    position: float = 1.0
    binding: float = 1.0

    def __post_init__(self) -> None:
        weights = [getattr(self, f.name) for f in fields(self)]
        if min(weights) < 0 or sum(weights) <= 0:
            raise ConfigError(f"The mix of prompts needs weights of at least 0, not all 0; got {weights}.")


class ClaimSource:
    """Endless prompts: a pure function of (seed, position)."""

    def __init__(
        self,
        world: World,
        holdouts: Holdouts,
        *,
        seed: int,
        mix: ClaimMix | None = None,
        well_known: float = 0.75,
        styled: float = 0.3,
    ) -> None:
        """Choose what to ask about.

        Args:
            world: the things.
            holdouts: what is never asked for.
            seed: of everything random, 0 to 2**64 - 1.
            mix: how often each kind comes.
            well_known: part of the prompts that is about the well-known things alone.
            styled: part of the prompts of one thing that names a style.
        """
        self.seed, self._world, self._holdouts, self._styled = seed, world, holdouts, styled
        self._well_known = well_known
        mix = mix or ClaimMix()
        self._kinds = tuple(f.name for f in fields(mix))
        self._cumulative = list(itertools.accumulate(getattr(mix, kind) for kind in self._kinds))
        self._things = {True: world.benchmark, False: world.things}

    def prompts(self, position: int, size: int) -> tuple[Prompt, ...]:
        """Batch number `position`: `size` prompts."""
        return tuple(self._draw(Dice(self.seed, position, i)) for i in range(size))

    def _draw(self, dice: Dice) -> Prompt:
        kind = dice.weighted(self._kinds, self._cumulative)
        for _ in range(_MAX_TRIES):
            things = self._things[dice.chance(self._well_known)]
            made = self._one(dice, kind, things) if kind not in _OF_TWO else self._two(dice, kind, things)
            if made is not None:
                return made
        raise ConfigError(f"No prompt of kind {kind!r} could be made in {_MAX_TRIES} tries. Use more things.")

    def _one(self, dice: Dice, kind: str, things: tuple[Thing, ...]) -> Prompt | None:
        """One thing, in a number or a colour or as it is."""
        thing = dice.pick(things)
        if kind == "count":
            count = dice.pick((1, 2, 2, 3, 3, 4, 4))
            if thing.plural is None or (thing.phrase, count) in self._holdouts.count:
                return None
            text = captions.several(dice, thing, count)
            return Prompt(
                text=text, claim=Claim(objects=(Demand(thing=thing.phrase, count=count),)), kind=kind
            )
        colour = None
        if kind == "colour":
            colour = dice.pick(_COLOUR_WORDS)
            if not thing.recolour or (thing.phrase, colour) in self._holdouts.colour:
                return None
        text = captions.noun(thing, colour=colour)
        if thing.styles and dice.chance(self._styled):
            style = dice.pick(thing.styles)
            if (thing.phrase, style) in self._holdouts.single:
                return None
            text = f"{text} {captions.style_words(dice, style)}"
        return Prompt(text=text, claim=Claim(objects=(Demand(thing=thing.phrase, colour=colour),)), kind=kind)

    def _two(self, dice: Dice, kind: str, things: tuple[Thing, ...]) -> Prompt | None:
        """Two different things, in colours or in places or as they are."""
        first, second = dice.pick(things), dice.pick(things)
        names = (first.phrase, second.phrase)
        if first is second or tuple(sorted(names)) in self._holdouts.two:
            return None
        colours: tuple[str | None, str | None] = (None, None)
        if kind == "binding":
            colours = (dice.pick(_COLOUR_WORDS), dice.pick(_COLOUR_WORDS))
            if colours[0] == colours[1] or not (first.recolour and second.recolour):
                return None
            if any(pair in self._holdouts.colour for pair in zip(names, colours, strict=True)):
                return None
            if bound(*zip(colours, names, strict=True)) in self._holdouts.binding:
                return None
        relation = dice.pick(_RELATIONS) if kind == "position" else None
        if relation and relative(names[0], relation, names[1]) in self._holdouts.position:
            return None
        said = [captions.noun(t, colour=c) for t, c in zip((first, second), colours, strict=True)]
        if relation:
            text = captions.placed(dice, said[0], relation, said[1])
        else:
            text = captions.together(dice, *said, side_by_side=False)
        objects = tuple(Demand(thing=n, colour=c) for n, c in zip(names, colours, strict=True))
        return Prompt(text=text, claim=Claim(objects=objects, relation=relation), kind=kind)


_OF_TWO = ("two", "position", "binding")


def claim_of(scene: Scene) -> Claim:
    """What the caption of a scene claims, exactly."""
    if scene.kind == "count":
        seen = scene.objects[0]
        return Claim(objects=(Demand(thing=seen.thing, count=scene.count, colour=seen.colour),))
    objects = tuple(Demand(thing=seen.thing, colour=seen.colour) for seen in scene.objects)
    return Claim(objects=objects, relation=scene.relation if scene.kind == "position" else None)
