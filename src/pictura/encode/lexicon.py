"""Words that a painter does not know, read as the nearest that it knows: "labrador" as "dog". No torch.

`lexicon-1.txt.z` is a table of nouns that can be seen and of colours, about 42,000 words, which
recipes/lexicon.py makes of WordNet 3.0. Its first line, between semicolons, are words that nothing is read
as. Each further line is a sense: the line of what it is a kind of, counted from 0; phrases by which captions
call it; its words. A word stands in one line only, but for a few that name a colour too.

    1|dog|,dog,domestic dog,

Reading goes from the word's own sense to wider ones and takes the first that the painter knows a word for;
where none is known, the word stays as it was written. The table is read when the first unknown word comes.
"""

import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pictura.core.english import article, plural, singulars
from pictura.encode.tokenizer import WORD, normalise, split_words

Known = Mapping[str, int]
"""A painter's words to their rank, the commonest having the lowest."""
_LONGEST = 3
"""Most words that are looked up as one: "german shepherd dog"."""
_NO_NOUN = frozenset(
    {
        "a",
        "an",
        "and",
        "as",
        "at",
        "above",
        "behind",
        "below",
        "beside",
        "by",
        "for",
        "from",
        "in",
        "is",
        "near",
    }
    | {"next", "of", "on", "or", "over", "that", "the", "to", "under", "underneath", "with"}
)
"""Words that the one before them does not describe."""
_COLOURS = frozenset(
    ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
)
_GROUND = re.compile(
    rf"\b(on|against) (an? )?((?:(?:light|dark) )?(?:{'|'.join(sorted(_COLOURS))}|gray))(?=\s*(?:$|[,.;!]))"
)
"""A colour that a thing stands on, where captions say "on a light blue background"."""
_OF_PICTURES = frozenset(
    ("emoji", "icon", "picture", "drawing", "silhouette", "face", "head", "sticker", "sketch")
)
"""Words that do not change what the word before them means."""


class ReadAs(NamedTuple):
    """A word or words of a prompt, and what a painter reads instead."""

    said: str
    """In lower case."""
    read: str


class Lexicon:
    """The table."""

    def __init__(self, text: str) -> None:
        first, self._text = text.split("\n", 1)
        self._never = frozenset(first.split(";"))
        self._lines = self._text.split("\n")

    @staticmethod
    @cache
    def load() -> "Lexicon":
        """Read the packaged table, once."""
        packed = (files("pictura.encode") / "lexicon-1.txt.z").read_bytes()
        return Lexicon(zlib.decompress(packed).decode())

    def nearest(self, word: str, known: Known, *, colour: bool = False) -> str | None:
        """The nearest words for what `word` means that are known, or None.

        They are the phrase of a thing, a word of the painter's commoner half, or a rarer one that means the
        same.

        Args:
            word: one or more, in lower case, in the singular.
            known: the painter's words.
            colour: take the word as a colour if it may be one.
        """
        senses = self._senses(word)
        if not senses:
            return None
        line = next((s for s in senses if self._is_colour(s) == colour), senses[0])
        near = self._known_above(line, word, known, len(known) / 2)
        return near or self._alike(line, word, known, math.inf)

    def has(self, word: str) -> bool:
        """Whether the table has the word."""
        return f",{word}," in self._text

    def _senses(self, word: str) -> list[int]:
        """Lines that hold the word."""
        found, start = [], 0
        while (at := self._text.find(f",{word},", start)) >= 0:
            found.append(self._text.count("\n", 0, at))
            start = at + 1
        return found

    def _is_colour(self, line: int) -> bool:
        return any(self._lines[above].split("|")[1] in _COLOURS for above in self._up(line))

    def _up(self, line: int) -> Iterator[int]:
        """A sense, and each that it is a kind of."""
        while True:
            yield line
            above = self._lines[line].partition("|")[0]
            if not above:
                return
            line = int(above)

    def _known_above(self, line: int, word: str, known: Known, below_rank: float) -> str | None:
        for above in self._up(line):
            phrases = self._lines[above].split("|")[1]
            for phrase in filter(None, phrases.split(";")):
                if phrase != word and all(part in known for part in split_words(phrase)):
                    return phrase
            if found := self._alike(above, word, known, below_rank):
                return found
        return None

    def _alike(self, line: int, word: str, known: Known, below_rank: float) -> str | None:
        """The commonest word of a sense that is known."""
        words = self._lines[line].split("|")[2].split(",")
        alike = [w for w in words if known.get(w, math.inf) < below_rank and w != word]
        return min((w for w in alike if w not in self._never), key=lambda w: known[w], default=None)


def read_as(text: str, known: Known) -> tuple[ReadAs, ...]:
    """What a painter should read in the place of words that it does not know.

    Args:
        text: a prompt without parameters and weights.
        known: the painter's words.

    Returns:
        Each pair once, in the order of the text, backgrounds last; words for which nothing near is known are
        not among them.
    """
    plain = normalise(text)
    found, words, at = [], list(WORD.finditer(plain)), 0
    while at < len(words):
        for count in range(min(_LONGEST, len(words) - at), 0, -1):
            run = [w.group() for w in words[at : at + count]]
            said = plain[words[at].start() : words[at + count - 1].end()]
            if said != " ".join(run) or all(w in known or w.isdigit() for w in run):
                continue
            if read := _read(said, known, _beside(plain, words, at + count)):
                found.append(ReadAs(said, read))
                at += count
                break
        else:
            at += 1
    return tuple(dict.fromkeys((*found, *_grounds(plain, known))))


def reread(text: str, pairs: Sequence[Sequence[str]]) -> str:
    """The text with each word read as its pair says, in lower case; without pairs as it was."""
    if not pairs:
        return text
    reads = {pair[0]: pair[1] for pair in reversed(pairs)}
    ways = "|".join(re.escape(said) for said in sorted(reads, key=len, reverse=True))
    pattern = rf"(?<![\w'’-])(?:(an?) )?({ways})(?![\w'’-])"

    def instead(match: re.Match[str]) -> str:
        read = reads[match[2]]
        return f"{article(read)} {read}" if match[1] else read

    return re.sub(pattern, instead, normalise(text))


def _grounds(plain: str, known: Known) -> Iterator[ReadAs]:
    """To a person "on light blue" is a background, to a painter nothing: its captions always call it so."""
    for match in _GROUND.finditer(plain):
        way, an, colour = match.groups()
        ground = f"{colour if 'gray' in known else colour.replace('gray', 'grey')} background"
        fruit = bool(an) and colour == "orange"
        if not fruit and all(word in known for word in (way, *split_words(ground))):
            yield ReadAs(match.group(), f"{way} {article(ground)} {ground}")


def _beside(plain: str, words: Sequence[re.Match[str]], at: int) -> str:
    """The word number `at` if the one before it may describe it, else nothing."""
    if at == len(words) or plain[words[at - 1].end() : words[at].start()] != " ":
        return ""
    word = words[at].group()
    return "" if word in _NO_NOUN else word


def _read(said: str, known: Known, follows: str) -> str | None:
    """What one unknown word, or a few as one, are read as; `follows` is the word that they may describe."""
    if said.endswith(("'s", "’s")):
        owner = said[:-2]
        read = owner if " " not in owner and owner in known else _read(owner, known, "")
        return read and f"{read}'s"
    forms = [] if " " in said else [form for form in _forms(said) if form in known]
    if common := [form for form in forms if known[form] < len(known) / 2]:
        return common[0]
    return _by_meaning(said, known, follows) or next(
        (form for form in forms if not form.endswith("ing")), None
    )


def _by_meaning(said: str, known: Known, follows: str) -> str | None:
    lexicon = Lexicon.load()
    *before, last = said.split(" ")
    singular = [" ".join((*before, one)) for one in singulars(last) if one != last]
    for word in (said, *singular):
        read = lexicon.nearest(word, known, colour=bool(follows))
        if read is None:
            continue
        if follows and read not in _COLOURS and follows not in _OF_PICTURES and lexicon.has(follows):
            return None  # it describes a thing, as in "husky dog" and "salmon pizza", and is none itself
        many = plural(read) if word in singular else read
        return many if all(part in known for part in split_words(many)) else read
    return None


def _forms(word: str) -> list[str]:
    """Other forms of the same word: its singular, its plural, of a verb that in -ing."""
    stems = [word.removesuffix(end) for end in ("es", "ed", "s", "d") if word.endswith(end) and len(word) > 5]
    return [*singulars(word), plural(word), *(f"{stem.removesuffix('e')}ing" for stem in stems)]
