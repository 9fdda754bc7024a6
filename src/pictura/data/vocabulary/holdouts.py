"""What no model is trained on: glyph ids and compositions, frozen in a versioned file.

The file fixes how glyph ids are split 80/10/10 and the train ids halved, and lists for each of the six
GenEval tasks what is never trained. `make` wrote it, once, before the first model; a test makes it again and
compares.

Source  Ghosh et al. 2023, GenEval (arXiv:2310.11513) for the six tasks. Differs: things of our world, and all
        that a benchmark asks for is held out.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pictura.core.errors import DataError
from pictura.data.vocabulary.colours import COLOURS
from pictura.data.vocabulary.reading import Reading
from pictura.data.vocabulary.world import Thing, World

if TYPE_CHECKING:
    from pictura.data.scenes.source import Scene

Split = Literal["train", "validation", "test"]
Half = Literal["A", "B"]
_INVERSE = {"right of": "left of", "below": "above"}
_SALT = "pictura holdouts 1.57"
"""Of 300 tried, the one that leaves every well-known thing the most styles to train on."""


@dataclass(frozen=True, kw_only=True)
class Holdouts:
    """The frozen lists; each entry is in its canonical order, see `make`."""

    version: int
    world_version: int
    salt: str
    pack_checksum: str
    """`checksum` of the ids of the glyph pack that the file was made for."""
    single: frozenset[tuple[str, str]]
    """(thing, style): its glyphs of that style are in no training set."""
    two: frozenset[tuple[str, str]]
    """(thing, thing), in alphabetical order: never in one picture."""
    count: frozenset[tuple[str, int]]
    """(thing, number 2 to 4)."""
    colour: frozenset[tuple[str, str]]
    """(thing, colour): never in that colour, whatever else is there."""
    position: frozenset[tuple[str, str, str]]
    """(thing, "left of" or "above", thing): never stand so, said or not."""
    binding: frozenset[tuple[str, str, str, str]]
    """(colour, thing, colour, thing), things in alphabetical order."""

    @classmethod
    def load(cls, version: int = 1) -> "Holdouts":
        """Read the packaged file.

        Raises:
            DataError: there is no such version.
        """
        resource = files("pictura.data.vocabulary") / f"holdouts-{version}.json"
        if not resource.is_file():
            raise DataError(f"There are no hold-outs of version {version}; this Pictura has version 1.")
        return cls.from_json(json.loads(resource.read_text(encoding="utf-8")))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Holdouts":
        """The inverse of `to_json`."""
        lists = {task: frozenset(tuple(row) for row in content[task]) for task in TASKS}
        return cls(
            version=content["version"],
            world_version=content["world"],
            salt=content["salt"],
            pack_checksum=content["pack_checksum"],
            **lists,
        )

    def to_json(self) -> dict[str, Any]:
        """What the file holds, in a fixed order."""
        head = {"version": self.version, "world": self.world_version, "salt": self.salt}
        head["pack_checksum"] = self.pack_checksum
        return {**head, **{task: [list(row) for row in sorted(getattr(self, task))] for task in TASKS}}

    def without_compositions(self) -> "Holdouts":
        """The same split of ids, with nothing held out: for judges that must know every composition."""
        nothing: dict[str, Any] = dict.fromkeys(TASKS, frozenset())
        return replace(self, **nothing)

    def split(self, glyph_id: str) -> Split:
        """Where a glyph belongs: 80 % train, 10 % validation, 10 % test, by its id alone."""
        part = _hash(self.salt, "split", glyph_id) % 10
        return "validation" if part == 8 else "test" if part == 9 else "train"

    def half(self, glyph_id: str) -> Half:
        """Which half of the train ids a glyph is in."""
        return "A" if _hash(self.salt, "half", glyph_id) % 2 == 0 else "B"

    def checksum(self, glyph_ids: Iterable[str]) -> str:
        """SHA-256 over the sorted ids with their split and half: the same for the same pack and rule."""
        lines = sorted(f"{i} {self.split(i)} {self.half(i)}" for i in glyph_ids)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def allows(self, scene: "Scene") -> bool:
        """True if the scene falls in none of the hold-outs."""
        objects = scene.objects
        if any((o.thing, o.style) in self.single or (o.thing, o.colour) in self.colour for o in objects):
            return False
        if scene.count > 1:
            return (objects[0].thing, scene.count) not in self.count
        if len(objects) != 2:
            return True
        first, second = objects
        names = (first.thing, second.thing)
        return not self._of_two(names, (first.colour, second.colour), scene.relation)

    def matches(self, reading: Reading) -> list[str]:
        """Which hold-outs a caption falls in, each as text; empty if none.

        Args:
            reading: the caption, read by `reading.Reader`.
        """
        found = []
        for m in reading.mentions:
            found += [f"single: {m.thing}, {s}" for s in reading.styles if (m.thing, s) in self.single]
            if (m.thing, m.colour) in self.colour:
                found.append(f"colour: {m.colour} {m.thing}")
            if (m.thing, m.count) in self.count:
                found.append(f"count: {m.count} {m.thing}")
        if len(reading.mentions) >= 2:
            first, second = reading.mentions[:2]
            names, colours = (first.thing, second.thing), (first.colour, second.colour)
            found += [f"{task}: {names}" for task in self._of_two(names, colours, reading.relation)]
        return found

    def _of_two(
        self, names: tuple[str, str], colours: tuple[str | None, str | None], relation: str | None
    ) -> list[str]:
        found = []
        if tuple(sorted(names)) in self.two:
            found.append("two")
        if relation is not None and relative(names[0], relation, names[1]) in self.position:
            found.append("position")
        if None not in colours and bound(*zip(colours, names, strict=True)) in self.binding:
            found.append("binding")
        return found


TASKS = ("single", "two", "count", "colour", "position", "binding")
"""The six tasks of GenEval, in its order."""


def relative(first: str, relation: str, second: str) -> tuple[str, str, str]:
    """One way to write a relation: only "left of" and "above" are used."""
    if relation in _INVERSE:
        return second, _INVERSE[relation], first
    return first, relation, second


def bound(*pairs: tuple[str | None, str]) -> tuple[str | None, ...]:
    """One way to write (colour, thing) pairs: in alphabetical order of the things, flattened."""
    return tuple(word for pair in sorted(pairs, key=lambda p: p[1]) for word in pair)


def make(world: World, glyph_ids: Iterable[str], *, version: int = 1, seed: int = 20261122) -> Holdouts:
    """Draw the hold-outs. Run once for each version; the result is the packaged file.

    Over the benchmark things of the world: one style a thing, one number a thing, two colours a thing that
    its pictures do not show by themselves; then pairs, positions and bindings spread evenly over the things.
    A position or binding never contains a held-out pair or colour, so that it tests what its name says.
    """
    things = world.benchmark
    random = np.random.Generator(np.random.Philox(seed))
    colour = {(t.phrase, c) for t in things for c in _draw(random, _unnatural(t), 2)}
    two = set(_spread(random, things, 400))
    position: set[tuple[str, str, str]] = set()
    for pair in _spread(random, things, 400, avoid=two):
        first, second = pair if random.random() < 0.5 else pair[::-1]
        position.add((first, "left of" if random.random() < 0.5 else "above", second))
    binding: set[tuple[str, str, str, str]] = set()
    for first, second in _spread(random, things, 400, avoid=two):
        free = [[c for c in COLOURS if (name, c) not in colour] for name in (first, second)]
        one = _draw(random, free[0], 1)[0]
        other = _draw(random, [c for c in free[1] if c != one], 1)[0]
        binding.add((one, first, other, second))
    made = Holdouts(
        version=version,
        world_version=world.version,
        salt=_SALT,
        pack_checksum="",
        single=frozenset(_styles(random, things)),
        two=frozenset(two),
        count=frozenset((t.phrase, int(random.integers(2, 5))) for t in things),
        colour=frozenset(colour),
        position=frozenset(position),
        binding=frozenset(binding),
    )
    return replace(made, pack_checksum=made.checksum(glyph_ids))


def _hash(*words: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(words).encode()).digest()[:8], "big")


def _draw(random: np.random.Generator, options: list[str], count: int) -> list[str]:
    return [options[i] for i in random.permutation(len(options))[:count]]


def _unnatural(thing: Thing) -> list[str]:
    return [c for c in COLOURS if c not in thing.natural]


def _styles(random: np.random.Generator, things: tuple[Thing, ...]) -> Iterator[tuple[str, str]]:
    """One style for each thing, the style that was taken least so far first."""
    taken: Counter[str] = Counter()
    for i in random.permutation(len(things)):
        styles = _draw(random, list(things[i].styles), len(things[i].styles))
        style = min(styles, key=lambda s: taken[s])
        taken[style] += 1
        yield things[i].phrase, style


def _spread(
    random: np.random.Generator,
    things: tuple[Thing, ...],
    count: int,
    avoid: set[tuple[str, str]] | None = None,
) -> Iterator[tuple[str, str]]:
    """Distinct pairs in alphabetical order, in which every thing occurs about equally often."""
    seen = set(avoid or ())
    made = 0
    while True:
        order = random.permutation(len(things))
        for i, j in zip(order[0::2], order[1::2], strict=False):
            a, b = sorted((things[i].phrase, things[j].phrase))
            if (a, b) not in seen:
                seen.add((a, b))
                yield a, b
                made += 1
                if made == count:
                    return
