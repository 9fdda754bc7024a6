"""Read a caption back: plain English in, which things it names in what colour, number and place out.

Made for finding hold-outs in captions, whoever wrote them: it knows the things of a world, their plurals,
synonyms and pack names, and skips every other word.
"""

import re
from dataclasses import dataclass

from pictura.data.vocabulary.captions import NUMBERS
from pictura.data.vocabulary.colours import COLOURS, SPELLINGS
from pictura.data.vocabulary.world import Thing, World

_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")
_SIDES = {
    "left": "left of",
    "right": "right of",
    "above": "above",
    "over": "above",
    "below": "below",
    "under": "below",
    "beneath": "below",
    "underneath": "below",
}
_COUNTS = {word: n for n, word in enumerate(NUMBERS) if n} | {str(n): n for n in range(1, 5)}
_STYLE_ALIASES = {("in", "3d"): "fluent 3d", ("a", "3d", "emoji"): "fluent 3d", ("silhouette",): "game icon"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """One thing that a caption names."""

    thing: str
    colour: str | None = None
    count: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a caption says, as far as it is about things of the world."""

    mentions: tuple[Mention, ...]
    relation: str | None
    """Of the first thing to the second: "left of", "right of", "above", "below"."""
    styles: frozenset[str]


class Reader:
    """Reads captions about the things of one world."""

    def __init__(self, world: World) -> None:
        self._things: dict[tuple[str, ...], str] = {}
        for spoken in (_phrases, _plurals, _synonyms, _names):  # earlier ones win
            for thing in world.things:
                for words in spoken(thing):
                    self._things.setdefault(tuple(_WORD.findall(words)), thing.phrase)
        styles = {s for t in world.things for s in t.styles}
        self._styles = {tuple(s.split()): s for s in styles} | _STYLE_ALIASES
        self._longest = max(map(len, self._things), default=0)

    def read(self, caption: str) -> Reading:
        """Find what `caption` names."""
        words = [SPELLINGS.get(w, w) for w in _WORD.findall(caption.lower())]
        mentions: list[Mention] = []
        relation = None
        at = 0
        while at < len(words):
            phrase, length = self._thing_at(words, at)
            if phrase is None:
                if len(mentions) == 1 and relation is None:
                    relation = _SIDES.get(words[at])
                at += 1
                continue
            colour, count = _before(words, at)
            mentions.append(Mention(thing=phrase, colour=colour, count=count))
            at += length
        return Reading(mentions=tuple(mentions), relation=relation, styles=self._styles_in(words))

    def _thing_at(self, words: list[str], at: int) -> tuple[str | None, int]:
        """The thing whose words begin at `at`, and how many they are; the longest wins."""
        if words[at] in COLOURS and (
            words[at + 1 : at + 2] == ["background"] or self._starts_thing(words, at + 1)
        ):
            return None, 0  # "orange" as a colour
        for length in range(min(self._longest, len(words) - at), 0, -1):
            if found := self._things.get(tuple(words[at : at + length])):
                return found, length
        return None, 0

    def _starts_thing(self, words: list[str], at: int) -> bool:
        return any(
            tuple(words[at:end]) in self._things
            for end in range(at + 1, min(len(words), at + self._longest) + 1)
        )

    def _styles_in(self, words: list[str]) -> frozenset[str]:
        found: set[str] = set()
        at = 0
        while at < len(words):
            for length in (3, 2, 1):
                if style := self._styles.get(tuple(words[at : at + length])):
                    found.add(style)
                    at += length - 1
                    break
            at += 1
        return frozenset(found)


def _before(words: list[str], at: int) -> tuple[str | None, int]:
    """Colour and number said just before a thing."""
    colour = words[at - 1] if at and words[at - 1] in COLOURS else None
    number = at - 1 - (colour is not None)
    return colour, _COUNTS.get(words[number], 1) if number >= 0 else 1


def _phrases(thing: Thing) -> tuple[str, ...]:
    return (thing.phrase,)


def _plurals(thing: Thing) -> tuple[str, ...]:
    return () if thing.plural is None else (thing.plural,)


def _synonyms(thing: Thing) -> tuple[str, ...]:
    return (*thing.synonyms, *(f"{s}s" for s in thing.synonyms))


def _names(thing: Thing) -> tuple[str, ...]:
    """Pack names, without those that begin with a colour and single words that mean it in one style only."""
    spoken = [name.partition("@") for name in thing.names]
    return tuple(n for n, at, _ in spoken if n.split()[0] not in COLOURS and (not at or " " in n))
