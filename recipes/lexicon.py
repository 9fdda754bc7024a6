"""Build encode/lexicon-1.txt.z, by which painters read words that they do not know, out of WordNet.

    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb wordnet
    python recipes/lexicon.py wordnet/usr/share/wordnet

Source  WordNet 3.0, Princeton University (licence in NOTICE), as Debian packs it: wndb(5WN) and cntlist(5WN).
        The same database and the same `lexicon.toml` give the same bytes.

Every word gets the one sense that a picture most likely means by it: a noun that can be seen, the commonest,
and no word that is mostly a verb or an adjective. Names (in capitals), slurs, and people but for a list are
left out. The form of the file is told in `pictura/encode/lexicon.py`.
"""

import argparse
import json
import re
import tomllib
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "src" / "pictura" / "encode" / "lexicon-1.txt.z"
FILES = (
    *(
        "adj.all",
        "adj.pert",
        "adv.all",
        "Tops",
        "act",
        "animal",
        "artifact",
        "attribute",
        "body",
        "cognition",
    ),
    *("communication", "event", "feeling", "food", "group", "location", "motive", "object", "person"),
    *("phenomenon", "plant", "possession", "process", "quantity", "relation", "shape", "state", "substance"),
    "time",
)
"""Names of the dictionary's files by number, of lexnames(5WN)."""
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
_LATER = {"substance": 1, "plant": 2}
_LATIN = ("genus_", "family_", "order_", "class_", "suborder_", "subfamily_")
_ILL = ("disparagement", "ethnic_slur", "obscenity", "vulgarism", "dirty_word")

_DEFINED = (
    r"(?:(?:an?|the|any) )?(?:(?!with|that|for|of|in|on|used|made|or|and|to|from|resembling|like|who|which)"
    r"[a-z-]+ ){{0,4}}(?:of )?(?:an? |domestic )?({})s?"
    r"(?=$|[;:,(]| of | that | with | which | used | having | for | in | from )"
)
"""A definition whose genus is a thing: "young of domestic sheep", "a large ship used for cargo"."""


@dataclass(slots=True)
class Sense:
    """A set of words that mean the same."""

    file: str
    words: list[str]
    parents: list[str]
    gloss: str = ""
    kinds: list[str] = field(default_factory=list)
    usage: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)
    """Phrases of things that it is."""
    lemmas: list[str] = field(default_factory=list)
    """Words that get this sense."""


class Nouns:
    """WordNet's nouns, with how often each sense was counted."""

    def __init__(self, folder: Path) -> None:
        self.senses = dict(_senses(folder / "data.noun"))
        self.index = dict(_index(folder / "index.noun"))
        self.counts: Counter[tuple[str, int]] = Counter()
        self.other: Counter[str] = Counter()
        for line in (folder / "cntlist.rev").read_text(encoding="utf-8").splitlines():
            key, number, count = line.split()
            lemma, _, rest = key.partition("%")
            if rest.startswith("1"):
                self.counts[lemma, int(number)] += int(count)
            else:
                self.other[lemma] += int(count)

    def find(self, name: str) -> str:
        """The sense that `lemma.file.number` names."""
        lemma, file, number = name.rsplit(".", 2)
        fitting = [s for s in self.index[lemma] if self.senses[s].file == file]
        return fitting[int(number) - 1]

    def below(self, top: str) -> Iterator[str]:
        """A sense and all its kinds."""
        seen, waiting = {top}, [top]
        while waiting:
            yield (here := waiting.pop())
            fresh = [k for k in self.senses[here].kinds if k not in seen]
            seen.update(fresh)
            waiting += fresh


def _senses(path: Path) -> Iterator[tuple[str, Sense]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        part = line.split(" | ")[0].split()
        num_words = int(part[3], 16)
        after = 4 + 2 * num_words
        links = [part[after + 1 + 4 * i : after + 5 + 4 * i] for i in range(int(part[after]))]
        yield (
            part[0],
            Sense(
                file=FILES[int(part[1])],
                words=part[4:after:2],
                parents=[link[1] for link in links if link[0] == "@"],
                gloss=line.split(" | ")[1].strip(),
                kinds=[link[1] for link in links if link[0] == "~"],
                usage=[link[1] for link in links if link[0] == ";u"],
            ),
        )


def _index(path: Path) -> Iterator[tuple[str, list[str]]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            part = line.split()
            yield part[0], part[-int(part[2]) :]


class Builder:
    """Chooses senses, links them, writes them."""

    def __init__(self, nouns: Nouns, choices: Mapping[str, Any], things: list[dict[str, Any]]) -> None:
        self.nouns, self.choices = nouns, choices
        self.limits, self.words = choices["limits"], choices["words"]
        self.owned: dict[str, list[str]] = {}
        for thing in things:
            phrase, kind = thing["phrase"], thing["kind"]
            usual = f"{phrase.replace(' ', '_')}.{choices['kinds'].get(kind)}.1"
            for name in choices["senses"].get(phrase, [usual]):
                lemma = name.split(".")[0]
                if lemma in nouns.index and (name != usual or self._has(name)):
                    self.owned.setdefault(phrase, []).append(nouns.find(name))
                    nouns.senses[nouns.find(name)].terms.append(phrase)
        for word, names in choices["wider"].items():
            for name in names:
                nouns.senses[nouns.find(name)].terms.append(word)
        self.phrases = {t["phrase"] for t in things}
        self.seen = self._seen()
        self.distance = self._distances()
        self._link_by_gloss()

    def _has(self, name: str) -> bool:
        lemma, file, _ = name.rsplit(".", 2)
        return any(self.nouns.senses[s].file == file for s in self.nouns.index[lemma])

    def _seen(self) -> set[str]:
        """Senses that a picture can show."""
        senses = self.nouns.senses
        ill = {s for word in _ILL for s in self.nouns.index.get(word, [])}
        found = {s for s, sense in senses.items() if sense.file in self.limits["seen"]}
        for phrase, own in self.owned.items():
            for top in own:
                found |= {top} if phrase in self.limits["alone"] else set(self.nouns.below(top))
        for colour in COLOURS:
            top = self.nouns.find(f"{'gray' if colour == 'grey' else colour}.attribute.1")
            found |= set(self.nouns.below(top))
            senses[top].terms.append(colour)
        people = set(self.words["people"])
        found |= {
            s
            for w in people
            for s in self.nouns.index.get(w.replace(" ", "_"), [])
            if senses[s].file == "person"
        }
        return {s for s in found if not ill & set(senses[s].usage)}

    def _distances(self) -> dict[str, int]:
        """Steps from each sense up to the next thing or colour."""
        found: dict[str, int] = {}
        tops = [s for s, sense in self.nouns.senses.items() if sense.terms]
        level = dict.fromkeys(tops, 0)
        while level:
            found.update(level)
            level = {k: d + 1 for s, d in level.items() for k in self.nouns.senses[s].kinds if k not in found}
        return found

    def _link_by_gloss(self) -> None:
        """Link what is no kind of a thing in the dictionary but defined as one: "foal", "a young horse"."""
        named = {phrase: own[0] for phrase, own in self.owned.items()}
        pattern = re.compile(_DEFINED.format("|".join(sorted(named, key=len, reverse=True))))
        for name, sense in self.nouns.senses.items():
            if (
                name in self.distance
                or name not in self.seen
                or sense.file not in ("animal", "artifact", "food")
            ):
                continue
            if found := pattern.match(sense.gloss):
                sense.parents.insert(0, named[found[1]])
                for below in self.nouns.below(name):
                    self.distance.setdefault(below, 99)

    def choose(self) -> None:
        """Give each word its sense."""
        people, never = set(self.words["people"]), set(self.words["not"])
        for phrase, own in self.owned.items():
            self.nouns.senses[own[0]].lemmas.append(phrase)
        for lemma, numbered in self.nouns.index.items():
            word = lemma.replace("_", " ")
            if word in self.phrases or word in never or not _plain(word):
                continue
            for sense in self._fitting(lemma, numbered, word in people):
                self.nouns.senses[sense].lemmas.append(word)

    def _fitting(self, lemma: str, numbered: list[str], is_person: bool) -> list[str]:
        """The sense of a word that pictures mean; for a few words also the colour that it names."""
        counts = {s: self.nouns.counts[lemma, i] for i, s in enumerate(numbered, start=1)}
        written = [s for s in numbered if lemma in self.nouns.senses[s].words]
        written = written or [s for s in numbered if self._is_kind(lemma, s)]
        able = [s for s in written if s in self.seen]
        able = [s for s in able if (self.nouns.senses[s].file == "person") <= is_person]
        if not able:
            return []
        if written[0] not in able and counts[written[0]] >= max(counts[s] for s in able):
            able = [s for s in written[1:2] if s in able and s in self.distance]  # a teaspoon measures first
        if not able:
            return []  # mostly something that cannot be seen
        most = max(counts[s] for s in written)
        common = [s for s in able if counts[s] * 2 >= most or most <= 2]
        colour = [s for s in common if self.nouns.senses[s].file == "attribute"]
        things = [s for s in common if s not in colour]
        if not colour and self.nouns.other[lemma] > 3 + max((counts[s] for s in common), default=0):
            return []  # mostly a verb, or says how something is
        if not is_person:  # rather an oak than its wood, and a mango than its tree
            things.sort(key=lambda s: _LATER.get(self.nouns.senses[s].file, 0))
        return things[:1] + colour[:1]

    def _is_kind(self, lemma: str, sense: str) -> bool:
        """Whether a word in capitals is a kind of a thing, as "German shepherd" is, and no name or Latin."""
        if sense not in self.distance or any(w.startswith(_LATIN) for w in self.nouns.senses[sense].words):
            return False
        *before, last = lemma.split("_")
        wider = {
            part for s in self._wider(sense) for w in self.nouns.senses[s].words for part in w.split("_")
        }
        return not before or last in wider

    def _wider(self, sense: str) -> Iterator[str]:
        for parent in self.nouns.senses[sense].parents:
            yield parent
            yield from self._wider(parent)

    def add_words(self) -> None:
        """The words of the hand-made list."""
        where = {w: s for s, sense in self.nouns.senses.items() for w in sense.lemmas}
        own = {w.lower().replace("_", " "): s for s, sense in self.nouns.senses.items() for w in sense.words}
        for word, kind in self.words["kinds"].items():
            if word in where:
                self.nouns.senses[where[word]].lemmas.remove(word)
            top = self.owned.get(kind, [where.get(kind) or own.get(kind)])[0]
            if top is None:  # a thing that WordNet does not know
                top = f"={kind}"
                self.nouns.senses[top] = Sense("artifact", [], [], terms=[kind], lemmas=[kind])
                self.seen.add(top)
                self.owned[kind] = [top]
            made = f"+{word}"
            self.nouns.senses[made] = Sense("artifact", [], [top], lemmas=[word])
            self.seen.add(made)

    def lines(self) -> list[str]:
        """The senses, each after those that it is a kind of: parent|things|words."""
        kept: dict[str, int] = {}
        out: list[str] = []
        waiting = {s for s in self.seen if self.nouns.senses[s].lemmas}
        for sense in sorted(waiting):
            self._write(sense, kept, out)
        return out

    def _parent(self, sense: str) -> str | None:
        """The next wider sense that something can be read as: the one nearer to a thing."""
        parents = [p for p in self.nouns.senses[sense].parents if p in self.seen]
        parents.sort(key=lambda p: self.distance.get(p, 99))
        for parent in parents:
            here = self.nouns.senses[parent]
            narrow = sum(1 for _ in self.nouns.below(parent)) <= self.limits["most_kinds"]
            found = parent if here.terms or (narrow and here.lemmas) else self._parent(parent)
            if found is not None:
                return found
        return None

    def _write(self, sense: str, kept: dict[str, int], out: list[str]) -> int:
        if sense not in kept:
            parent = self._parent(sense)
            number = -1 if parent is None else self._write(parent, kept, out)
            here = self.nouns.senses[sense]
            kept[sense] = len(out)
            words = "".join(f"{word}," for word in dict.fromkeys(here.lemmas))
            out.append(f"{'' if number < 0 else number}|{';'.join(dict.fromkeys(here.terms))}|,{words}")
        return kept[sense]


def _plain(word: str) -> bool:
    return (
        word.replace(" ", "").replace("-", "").replace("'", "").isalpha()
        and len(word) > 2
        and word.count(" ") < 3
    )


def main() -> None:
    """Build the file and say how large it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wordnet", type=Path, help="folder with data.noun, index.noun and cntlist.rev")
    options = parser.parse_args()
    choices = tomllib.loads((ROOT / "recipes" / "lexicon.toml").read_text(encoding="utf-8"))
    world = json.loads(
        (ROOT / "src" / "pictura" / "data" / "vocabulary" / "world-1.json").read_text(encoding="utf-8")
    )
    builder = Builder(Nouns(options.wordnet), choices, world["things"])
    builder.choose()
    builder.add_words()
    lines = builder.lines()
    text = "\n".join([";".join(choices["limits"]["never"]), *lines]) + "\n"
    packed = zlib.compress(text.encode(), 9)
    OUT.write_bytes(packed)
    words = sum(line.rpartition("|")[2].count(",") - 1 for line in lines)
    print(f"{len(lines)} senses, {words} words: {len(text)} letters, {len(packed)} bytes in {OUT.name}")


if __name__ == "__main__":
    main()
