"""The common things that scenes are made of: a versioned list in, things by name out.

`world-1.json` was chosen by hand from the glyph pack: one entry a thing, with the pack names that mean it
over all styles. It does not change once a model has learnt from it; another choice is another version.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any

from pictura.core.errors import DataError, did_you_mean
from pictura.data.glyphs import GlyphSet


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """One common thing."""

    phrase: str
    """What people call it, without article: "fox"."""
    plural: str | None
    """None where it is never counted: "scissors"."""
    kind: str
    """animal, food, vehicle …"""
    names: tuple[str, ...]
    """Pack names that mean it; "mouse@game icon" means it in that style only."""
    synonyms: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    """Styles in which the pack has it."""
    natural: tuple[str, ...] = ()
    """Colour words that its pictures show by themselves."""
    exclude: tuple[str, ...] = ()
    """Ids of pictures with such a name that show something else."""
    bare: bool = False
    """True where it takes no article: "scissors"."""
    flip: bool = True
    """False where a mirror image would be wrong: writing, clock faces."""
    recolour: bool = True
    """False where a colour would be wrong or read as something else: people, a rainbow."""
    benchmark: bool = False
    """True for the well-known things that hold-outs and benchmarks are about."""


@dataclass(frozen=True)
class World:
    """The list of things."""

    version: int
    things: tuple[Thing, ...]
    _by_phrase: Mapping[str, Thing] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_phrase", {t.phrase: t for t in self.things})

    @classmethod
    def load(cls, version: int = 1) -> "World":
        """Read the packaged list.

        Raises:
            DataError: there is no such version.
        """
        resource = files("pictura.data.vocabulary") / f"world-{version}.json"
        if not resource.is_file():
            raise DataError(f"There is no world list of version {version}; this Pictura has version 1.")
        content = json.loads(resource.read_text(encoding="utf-8"))
        return cls(content["version"], tuple(_thing(entry) for entry in content["things"]))

    def thing(self, phrase: str) -> Thing:
        """The thing that is called `phrase`.

        Raises:
            DataError: no thing is.
        """
        if phrase not in self._by_phrase:
            raise DataError(f"No thing is called {phrase!r}. {did_you_mean(phrase, self._by_phrase)}")
        return self._by_phrase[phrase]

    @cached_property
    def benchmark(self) -> tuple[Thing, ...]:
        """The well-known things."""
        return tuple(t for t in self.things if t.benchmark)

    def owners(self, glyphs: GlyphSet) -> list[Thing | None]:
        """For each glyph the thing it shows, or None."""
        table: dict[str, Thing] = {}
        for thing in self.things:
            for name in thing.names:
                table[name] = thing
        out = []
        for glyph_id, name, style in zip(glyphs.ids, glyphs.names, glyphs.styles, strict=True):
            candidates = (table.get(f"{name}@{style}"), table.get(name))
            found = (t for t in candidates if t is not None and glyph_id not in t.exclude)
            out.append(next(found, None))
        return out


def _thing(entry: Mapping[str, Any]) -> Thing:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return Thing(**values)
