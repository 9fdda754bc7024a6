"""Captions that are wrong in one respect: a scene in, its caption with one word or two changed out.

What a model is to tell apart must be told apart in its lessons: among the captions of other scenes, the right
things alone find the right caption, and nothing asks how many there are or which is red.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pictura.core.english import article
from pictura.data.scenes.source import Scene
from pictura.data.vocabulary.captions import NUMBERS, RELATIONS
from pictura.data.vocabulary.colours import BACKGROUNDS, COLOURS
from pictura.data.vocabulary.world import Thing, World

Aspect = str
"""What a caption can be wrong in, a key of `ASPECTS`."""
_NOT_GROUND = r"(?<!light )(?<!dark )"


class Contrast:
    """Makes wrong captions for the scenes of a world."""

    def __init__(self, world: World, styles: tuple[str, ...] = ()) -> None:
        """Remember what can be mistaken for what.

        Args:
            world: whose things are named.
            styles: that captions may name; empty takes those of the world's things.
        """
        self._things = {thing.phrase: thing for thing in world.things}
        self._alike: dict[str, list[Thing]] = {}
        for thing in world.things:
            others = [t for t in world.things if t.kind == thing.kind and t.bare == thing.bare]
            self._alike[thing.phrase] = [t for t in others if t is not thing]
        self._styles = styles or tuple(sorted({s for t in world.things for s in t.styles}))

    def wrong(self, scene: Scene, rng: np.random.Generator) -> tuple[str, Aspect] | None:
        """A caption that does not hold for `scene`, and in what; None if nothing can be changed."""
        waits = {name: rng.exponential() / weight for name, weight in WEIGHTS.items()}
        for name in sorted(waits, key=waits.__getitem__):  # first comes first, as often as it weighs
            if caption := self.wrong_in(name, scene, rng):
                return caption, name
        return None

    def wrong_in(self, aspect: Aspect, scene: Scene, rng: np.random.Generator) -> str | None:
        """The scene's caption, wrong in `aspect`; None if it does not speak of that."""
        caption = ASPECTS[aspect](self, scene, rng)
        return None if caption == scene.caption else caption

    def _count(self, scene: Scene, rng: np.random.Generator) -> str | None:
        thing = self._things.get(scene.objects[0].thing)
        if scene.kind != "count" or thing is None or thing.plural is None:
            return None
        other = _pick(rng, [n for n in range(1, len(NUMBERS)) if n != scene.count])
        was, becomes = (thing.phrase if n == 1 else thing.plural for n in (scene.count, other))
        number = rf"(?:{NUMBERS[scene.count]}|{scene.count})"
        digits = re.search(rf"\b{scene.count}\b", scene.caption)
        said = str(other) if digits else NUMBERS[other]
        pattern = rf"\b{number}\b((?: \w+)?) {re.escape(was)}\b"
        return re.sub(pattern, lambda m: f"{said}{m[1]} {becomes}", scene.caption, count=1)

    def _colour(self, scene: Scene, rng: np.random.Generator) -> str | None:
        said = [o.colour for o in scene.objects[: 1 if scene.count > 1 else 2] if o.colour]
        if not said:
            return None
        was = _pick(rng, said)
        other = _pick(rng, [c for c in COLOURS if c not in said])
        return _swap(scene.caption, was, other, before=_NOT_GROUND, after=r"(?! background)")

    def _binding(self, scene: Scene, rng: np.random.Generator) -> str | None:
        if len(scene.objects) != 2 or scene.count != 1:
            return None
        first, second = scene.objects
        if not first.colour or not second.colour or {first.colour, second.colour} & _words_of(scene):
            return None
        change = {first.colour: second.colour, second.colour: first.colour}
        return _swap_all(scene.caption, change, before=_NOT_GROUND, after=r"(?! background)")

    def _relation(self, scene: Scene, rng: np.random.Generator) -> str | None:
        if scene.kind != "position" or scene.relation is None:
            return None
        if " on the left and " in scene.caption or " on the right and " in scene.caption:
            return _swap_all(scene.caption, {"on the left": "on the right", "on the right": "on the left"})
        others = [r for r in RELATIONS if r != scene.relation]
        # The opposite is what is mistaken most: as often as the other two together.
        opposite = {"left of": "right of", "above": "below"}
        opposite |= {there: here for here, there in opposite.items()}
        other = opposite[scene.relation] if rng.random() < 0.5 else _pick(rng, others)
        for way in sorted(RELATIONS[scene.relation], key=len, reverse=True):
            if f" {way} " in scene.caption:
                return scene.caption.replace(f" {way} ", f" {_pick(rng, RELATIONS[other])} ", 1)
        return None

    def _background(self, scene: Scene, rng: np.random.Generator) -> str | None:
        if scene.background is None:
            return None
        other = _pick(rng, [b for b in BACKGROUNDS if b != scene.background])
        return _swap(scene.caption, f"{scene.background} background", f"{other} background")

    def _style(self, scene: Scene, rng: np.random.Generator) -> str | None:
        style = scene.objects[0].style
        if any(o.style != style for o in scene.objects):
            return None
        return _swap(scene.caption, style, _pick(rng, [s for s in self._styles if s != style]))

    def _thing(self, scene: Scene, rng: np.random.Generator) -> str | None:
        shown = {o.thing for o in scene.objects}
        thing = self._things.get(_pick(rng, sorted(shown)))
        if thing is None:
            return None
        others = [t for t in self._alike[thing.phrase] if t.phrase not in shown]
        if scene.count > 1:
            others = [t for t in others if t.plural]
        if not others:
            return None
        other = _pick(rng, others)
        if scene.count > 1:
            return _swap(scene.caption, str(thing.plural), str(other.plural))
        return _swap(scene.caption, thing.phrase, other.phrase)


ASPECTS: Mapping[Aspect, Callable[[Contrast, Scene, np.random.Generator], str | None]] = {
    "count": Contrast._count,
    "colour": Contrast._colour,
    "binding": Contrast._binding,
    "relation": Contrast._relation,
    "background": Contrast._background,
    "style": Contrast._style,
    "thing": Contrast._thing,
}
WEIGHTS: Mapping[Aspect, float] = {
    "count": 1.0,
    "colour": 0.7,
    "binding": 4.0,
    "relation": 4.0,
    "background": 0.4,
    "style": 0.7,
    "thing": 2.0,
}
"""How often each is chosen where several can be; what is learnt last comes most."""


def holds(said: Scene, shown: Scene) -> bool:
    """Whether the caption of `said` may be true of the picture of `shown`: the same things, as many.

    Colours that one of the two does not name are taken to agree, and so are places, styles and backgrounds:
    when in doubt, it may be true.
    """
    if said.count != shown.count or _things(said) != _things(shown):
        return False
    colours = ({(o.thing, o.colour) for o in scene.objects} for scene in (said, shown))
    said_colours, shown_colours = (dict(pairs) for pairs in colours)
    return all(
        colour is None or shown_colours[thing] in (None, colour) for thing, colour in said_colours.items()
    )


def key_of(scene: Scene) -> tuple[Any, ...]:
    """Scenes of different keys never hold for each other."""
    return (scene.count, *_things(scene))


def _things(scene: Scene) -> list[str]:
    return sorted(o.thing for o in scene.objects)


def _words_of(scene: Scene) -> set[str]:
    return {word for o in scene.objects for word in o.thing.split()}


def _pick(rng: np.random.Generator, options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def _swap(caption: str, old: str, new: str, *, before: str = "", after: str = "") -> str:
    """Replace the first `old`, a whole word or several, and mend the article right before it."""
    pattern = rf"(?:\b(an?) )?{before}\b{re.escape(old)}\b{after}"
    return re.sub(pattern, lambda m: f"{article(new)} {new}" if m[1] else new, caption, count=1)


def _swap_all(caption: str, change: Mapping[str, str], *, before: str = "", after: str = "") -> str:
    """Replace all the words of `change` at once, and mend articles."""
    words = "|".join(re.escape(word) for word in change)
    pattern = rf"(?:\b(an?) )?{before}\b({words})\b{after}"

    def replace(match: re.Match[str]) -> str:
        new = change[match[2]]
        return f"{article(new)} {new}" if match[1] else new

    return re.sub(pattern, replace, caption)
