"""How painters take words that they never read: held-out synonyms, as they are written and by the lexicon.

    python -m benchmarks.synonyms [--model flow] [--limit 160] [--list] [--write]

A held-out word (`data/vocabulary/synonyms.py`: a third of the list, by a hash) of which the model does not
know every part is painted as "a spaniel", and judge B says whether the picture shows the thing, "dog".
Beside it the same word read by the lexicon, and, as the ceiling, the own phrase of the thing. The list was
written by hand before the lexicon was made, and words that recipes/lexicon.toml names are left out.
`--list` prints what is read as what and paints nothing.
"""

import argparse
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import machine, table, write_section
from pictura import load
from pictura.core import images
from pictura.core.types import Claim, Demand
from pictura.data.vocabulary.captions import with_article
from pictura.data.vocabulary.synonyms import Synonyms
from pictura.data.vocabulary.world import World
from pictura.encode.lexicon import read_as, reread
from pictura.encode.tokenizer import split_words
from pictura.evaluate.benchmark import Prompt
from pictura.evaluate.judges import load_judge
from pictura.evaluate.metrics.bootstrap import mean_interval
from pictura.evaluate.scorers import JudgeScorer
from pictura.pipeline import Painter

CHOICES = Path(__file__).resolve().parents[1] / "recipes" / "lexicon.toml"
TASK = "single"


class Word(NamedTuple):
    """A word that the painter does not know."""

    said: str
    thing: str
    read: str
    """As the lexicon has it; `said` where nothing near is known."""
    bare: bool

    def prompt(self, words: str) -> str:
        """With an article where the thing takes one."""
        return words if self.bare else with_article(words)


def held_out(known: dict[str, int]) -> list[Word]:
    """Words of the held-out part that are not known, one thing after another."""
    named = set(tomllib.loads(CHOICES.read_text(encoding="utf-8"))["words"]["kinds"])
    world = World.load()
    return [
        Word(said, thing, reread(said, read_as(said, known)), world.thing(thing).bare)
        for thing, words in Synonyms.load().held_out.items()
        for said in words
        if said not in named and not all(part in known for part in split_words(said))
    ]


def verdicts(
    painter: Painter, words: list[Word], prompts: list[str], **choices: object
) -> NDArray[np.float64]:
    """1 where judge B sees the thing, else 0; one picture a prompt."""
    h, w = painter.model.grids[0]
    size = (w * painter.model.factor, h * painter.model.factor)
    pictures = [
        painter.paint(text, num_images=1, seed=i, size=size, **choices)[0].image  # type: ignore[arg-type]
        for i, text in enumerate(prompts)
    ]
    arrays = np.clip(images.on_background(images.from_pil(pictures)), 0, 1)
    asked = [
        Prompt(id=w.said, task=TASK, text=w.said, claim=Claim(objects=(Demand(thing=w.thing),)))
        for w in words
    ]
    return JudgeScorer(load_judge("b"))(arrays, asked)["accepts"].astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="flow")
    parser.add_argument("--limit", type=int, default=1000, help="so many words, evenly over the list")
    parser.add_argument("--list", action="store_true", help="print what is read as what, and paint nothing")
    parser.add_argument("--write", action="store_true", help="write a table into docs/benchmarks.md")
    args = parser.parse_args()
    start = time.perf_counter()
    painter = load(args.model, device="cpu")
    known = {word: i for i, word in enumerate((painter.model.path / "words.txt").read_text().split())}
    words = held_out(known)
    if args.list:
        print("\n".join(f"{w.thing}: {w.said} -> {w.read}" for w in words))
        return
    words = [words[i * len(words) // min(args.limit, len(words))] for i in range(min(args.limit, len(words)))]
    ways = {
        "as it is written": ([w.prompt(w.said) for w in words], {"read_as": ()}),
        "read by the lexicon": ([w.prompt(w.said) for w in words], {}),
        "the thing's own phrase": ([w.prompt(w.thing) for w in words], {}),
    }
    rows = []
    for name, (prompts, choices) in ways.items():
        right = verdicts(painter, words, prompts, **choices)
        told = mean_interval(right, range(len(words)), np.random.default_rng(0))
        rows.append([name, f"{told.value:.3f} [{told.low:.3f}, {told.high:.3f}]"])
    same = sum(w.read == w.thing for w in words)
    near = sum(w.read not in (w.said, w.thing) for w in words)
    text = (
        f"`python -m benchmarks.synonyms --limit {len(words)}`, {time.perf_counter() - start:.0f} s. Model "
        f"`{args.model}`, {len(words)} held-out words that it does not know, evenly over the list, one "
        "picture each, seed = number of the word. "
        f"Machine: {machine()}. The lexicon reads {same} of them as the very thing, {near} as something "
        f"else, {len(words) - same - near} not at all. Brackets hold 95 % of bootstrap draws of words.\n\n"
        + table(["prompt", "judge B sees the thing"], rows)
    )
    print(text)
    if args.write:
        write_section("Words that a painter never read", text)


if __name__ == "__main__":
    main()
