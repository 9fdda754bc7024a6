"""Further words for the things of a world: a versioned list in, words to say and words never said out.

`synonyms-1.json` was written by hand, for things of `world-1.json`: other names ("hound"), kinds ("poodle")
and, in a few places, things that look the same. None is a word by which the world itself calls a thing. A
third of them, chosen by a hash of the word, is held out: no caption says them, so that how a painter takes a
word that it never read can be measured (benchmarks/synonyms.py).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files

from pictura.core.english import plural
from pictura.core.errors import DataError
from pictura.data.scenes.dice import Dice
from pictura.data.vocabulary.world import Thing

_HELD_OUT_OF = 3


@dataclass(frozen=True, kw_only=True)
class Synonyms:
    """Words by the phrase of the thing that they mean."""

    version: int
    shown: Mapping[str, tuple[str, ...]]
    """Those that captions may say."""
    held_out: Mapping[str, tuple[str, ...]]
    """Those that no caption says."""

    @classmethod
    def load(cls, version: int = 1) -> "Synonyms":
        """Read the packaged list.

        Raises:
            DataError: there is no such version.
        """
        resource = files("pictura.data.vocabulary") / f"synonyms-{version}.json"
        if not resource.is_file():
            raise DataError(f"There is no list of synonyms of version {version}; this Pictura has version 1.")
        content = json.loads(resource.read_text(encoding="utf-8"))
        things: dict[str, list[str]] = content["things"]
        shown = {phrase: tuple(w for w in words if not is_held_out(w)) for phrase, words in things.items()}
        held_out = {phrase: tuple(w for w in words if is_held_out(w)) for phrase, words in things.items()}
        return cls(version=content["version"], shown=shown, held_out=held_out)

    @cached_property
    def unsaid(self) -> frozenset[str]:
        """All words that no caption says."""
        return frozenset(word for words in self.held_out.values() for word in words)

    def says_unsaid(self, text: str) -> bool:
        """Whether a text in lower case says one of them, in one or many."""
        return self._unsaid.search(text) is not None

    @cached_property
    def _unsaid(self) -> re.Pattern[str]:
        forms = sorted(self.unsaid | {plural(word) for word in self.unsaid}, key=len, reverse=True)
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, forms))})\b")

    def another(self, dice: Dice, thing: Thing) -> Thing:
        """The thing by another word for it, or as it is if there is none."""
        words = self.shown.get(thing.phrase)
        if not words:
            return thing
        word = dice.pick(words)
        return replace(thing, phrase=word, plural=thing.plural and plural(word))


def is_held_out(word: str) -> bool:
    """Whether no caption may say a word of the list; about one in three, the same on every machine."""
    return hashlib.sha256(word.encode()).digest()[0] % _HELD_OUT_OF == 0
