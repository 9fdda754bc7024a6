"""The rank page: of two pictures, which is better. Each answer is one step towards a model that knows."""

from typing import Any

from pictura.web.frame import parts
from pictura.web.frame.here import Here
from pictura.web.frame.parts import Tag
from pictura.web.told import Pair, PairStats
from pictura.web.widgets.duel import Duel

FIRST, STABLE = 40, 200
"""Pairs from which a taste can be learnt, and from which it holds still."""


async def show(here: Here) -> None:
    """Build the page."""
    parts.heading("Rank", "Which of the two would you rather have painted?")
    await _Rank(here).build()


class _Rank:
    """One visitor's choosing."""

    def __init__(self, here: Here) -> None:
        self._here = here

    async def build(self) -> None:
        self._trouble = parts.Trouble()
        with Tag("div", classes="rank"):
            self._place = Tag("div", classes="rank-place")
            with Tag("aside", classes="card rank-side", aria_label="How far you are"):
                self._side = Tag("div", classes="stack")
        with self._here.telling(self._trouble):
            pair = await self._here.api.next_pair()
            self._draw(pair)
            await self._count()

    def _draw(self, pair: Pair | None) -> None:
        self._place.clear()
        with self._place:
            if pair is not None:
                self._duel = Duel(pair, self._choose)
                return
            parts.empty(
                "Nothing to compare yet",
                "Pairs come from pictures of one prompt: paint some, then come back.",
            )
            with Tag("p", classes="center"):
                parts.link("Create pictures", "/", icon="spark", kind="main")

    async def _choose(self, token: str, choice: str, ms: int) -> None:
        api = self._here.api
        taken = False
        with self._here.telling(self._trouble):
            await api.choose(token, choice, ms)
            taken = True
        if not taken:
            self._duel.again()
            return
        with self._here.telling(self._trouble):
            pair = await api.next_pair()
            if pair is None:
                self._draw(None)
            else:
                self._duel.next(pair)
            await self._count()

    async def _count(self) -> None:
        stats = await self._here.api.pair_stats()
        self._side.clear()
        with self._side:
            _progress(stats)
            self._explain()

    def _explain(self) -> None:
        with Tag("section"):
            Tag("h2", "What it is good for")
            Tag(
                "p",
                "From answers like yours a model can learn what people like. It paints with what it learnt "
                "only if pairs that it never saw agree, and prompts are followed as well as before.",
                "soft",
            )
        if not self._here.session.train_on_ratings:
            with Tag("p", classes="hint"):
                Tag("span", "Your answers are kept, but no model learns from them yet. ")
                Tag("a", "Allow it in the settings", href="/settings#learning")


def _progress(stats: PairStats) -> None:
    """How many answers there are, and how steady they were."""
    with Tag("section"):
        Tag("h2", f"{stats.pairs:,} {'pair' if stats.pairs == 1 else 'pairs'} ranked")
        goal = FIRST if stats.pairs < FIRST else STABLE
        value = min(stats.pairs, goal)
        Tag("progress", classes="bar", value=value, max=goal, aria_label=f"{value} of {goal} pairs")
        Tag("p", _goal(stats.pairs), "soft small")
    rows: list[tuple[str, Any]] = [
        ("As good", stats.ties),
        ("Skipped", stats.skips),
        ("Asked twice", stats.repeats),
    ]
    if stats.consistency is not None:
        rows.append(("Same answer again", f"{100 * stats.consistency:.0f} %"))
    with Tag("dl", classes="facts numbers"):
        for name, said in rows:
            with Tag("div"):
                Tag("dt", name)
                Tag("dd", str(said))


def _goal(pairs: int) -> str:
    if pairs < FIRST:
        return f"A taste shows from {FIRST} pairs on."
    if pairs < STABLE:
        return f"It shows; from {STABLE} pairs on it holds still."
    return "Plenty. More still make it finer."
