"""Sets of pictures, prompts and scorers in; every number about them, with its floors and ceilings, out."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import pictura
from pictura.core import provenance
from pictura.evaluate import measures
from pictura.evaluate.benchmark import Benchmark, Prompt
from pictura.evaluate.painting import Progress
from pictura.evaluate.pictures import load_pictures
from pictura.evaluate.reference import BLURS, SHRINKS, Reference, blurred, shrunk, shuffled
from pictura.evaluate.results import Agreement, Closeness, Evaluation, Kind, Likeness, Row, Verdicts
from pictura.evaluate.scorers import (
    Arrays,
    ClipScorer,
    FeatureScorer,
    Floats,
    JudgeScorer,
    Pictures,
    ScoreCache,
    Scorer,
    SecondHand,
)
from pictura.evaluate.sources import PictureSet


@dataclass(frozen=True, kw_only=True)
class Scorers:
    """Everything that looks at pictures."""

    judges: tuple[JudgeScorer, ...] = ()
    """The last one's verdicts are the headline."""
    clip: ClipScorer | None = None
    nets: tuple[FeatureScorer | SecondHand, ...] = ()
    standard: Callable[[Floats, Floats, Sequence[str]], Mapping[str, Any]] | None = None
    """FID and the like of (real pictures, pictures, captions), where they were asked for."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One compared set with the arrays behind its row, for reports."""

    source: PictureSet
    pictures: Pictures
    verdicts: dict[str, Arrays]
    """Judge to its ``accepts`` (N,)."""


class Runner:
    """Scores sets of pictures; what was scored before, in the same folder, is not looked at again."""

    def __init__(
        self,
        benchmark: Benchmark,
        scorers: Scorers,
        cache: Path,
        *,
        reference: Reference | None = None,
        on_progress: Progress | None = None,
    ) -> None:
        """Prepare to score.

        Args:
            benchmark: its prompts.
            scorers: what looks at the pictures; judges are left out where the prompts have no claims.
            cache: folder for the arrays that scorers read.
            reference: real pictures; None leaves out FD and the like, and the ceiling.
            on_progress: told (what is done, pictures done, pictures in all).
        """
        self.benchmark = benchmark
        self.scorers = scorers if benchmark.judged else replace(scorers, judges=())
        self.reference = reference
        self.scored: list[Scored] = []
        """What `run` compared, in its order."""
        self._cache = ScoreCache(cache)
        self._tell = on_progress or (lambda *_: None)
        self._texts: dict[str, Floats] = {}

    def run(self, sources: Sequence[PictureSet]) -> Evaluation:
        """Score every set and its floor, then the real pictures and what is made of them.

        Args:
            sources: pictures of every prompt, all with the same number of each.

        Raises:
            DataError: a picture cannot be read, or a score is not a finite number.
            StorageError: scores cannot be kept.
        """
        start = time.perf_counter()
        self.scored = []
        if self.reference is not None:  # first, so that the seconds of a set are its own
            for net in self.scorers.nets:
                self._read(net, self.reference.compared_with)
                self._read(net, self.reference.real)
        sources = _apart(sources)
        rows = [self._compared(source) for source in sources]
        for scored in self.scored:
            about = "The same pictures, each judged by the sentence of another: what chance reaches."
            rows.append(self._row(shuffled(scored.pictures), "floor", about, likeness=False))
        compared = rows[: len(sources)]
        rankings = [measures.ranking(compared, "the compared sets")]
        if self.reference is not None:
            marks = self._marks(self.reference)
            rows += marks
            known = [row for row in marks if row.likeness]
            rankings.append(measures.ranking(known, "pictures known to be worse and worse"))
        first = sources[0]
        return Evaluation(
            benchmark={
                "name": self.benchmark.name,
                "hash": self.benchmark.hash,
                "num_prompts": len(self.benchmark.prompts),
                "total": self.benchmark.total,
                "tasks": list(self.benchmark.tasks),
            },
            images=first.images,
            seeds=first.seeds,
            rows=tuple(rows),
            rankings=tuple(ranking for ranking in rankings if ranking is not None),
            reference=None
            if self.reference is None
            else {"about": self.reference.about, "hash": self.reference.compared_with.hash},
            left_out=tuple(self._left_out()),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            version=pictura.__version__,
            commit=provenance.commit(),
            machine=provenance.machine(),
            seconds=round(time.perf_counter() - start, 1),
        )

    def _compared(self, source: PictureSet) -> Row:
        pictures = pictures_of(source, self.benchmark)
        kind: Kind = source.kind
        if source.model is not None:
            about = f"Painted by {source.model.name} ({source.model.family}), hash {source.model.hash[:10]}."
        else:
            about = f"The pictures of a folder; {source.left_over} more in it were not asked for."
        row = self._row(pictures, kind, about)
        read = {judge.name: self._read(judge, pictures) for judge in self.scorers.judges}
        self.scored.append(Scored(source=source, pictures=pictures, verdicts=read))
        standard = None
        if self.scorers.standard is not None and self.reference is not None:
            self._tell(f"standard metrics of {pictures.name}", 0, len(pictures))
            captions = [prompt.text for prompt in pictures.prompts]
            found = self.scorers.standard(self.reference.compared_with.load(), pictures.load(), captions)
            standard = {name: (value.mean, value.std) for name, value in found.items()}
        painting = None
        if source.painting is not None:
            number, seconds = source.painting["num_painted"], source.painting["seconds"]
            speed = round(number / seconds, 2) if number and seconds else None
            painting = {**source.painting, "pictures_per_s": speed}
        return replace(
            row,
            size=source.size,
            painting=painting,
            standard=standard,
            model_hash=source.model.hash if source.model else None,
        )

    def _marks(self, reference: Reference) -> list[Row]:
        """The ceiling, then real pictures made worse, and under wrong captions."""
        real = reference.real
        rows = [self._row(real, "ceiling", f"What is to be reached. {reference.about}")]
        worse = [blurred(real, radius) for radius in BLURS] + [shrunk(real, factor) for factor in SHRINKS]
        rows += [
            self._row(pictures, "floor", "Real pictures made worse.", thorough=False) for pictures in worse
        ]
        about = "Real pictures, each judged by the sentence of another: what chance reaches."
        return [*rows, self._row(shuffled(real), "floor", about, likeness=False)]

    def _row(
        self, pictures: Pictures, kind: Kind, about: str, *, likeness: bool = True, thorough: bool = True
    ) -> Row:
        start = time.perf_counter()
        looked = self._cache.num_scored
        judges, agreement = self._judged(pictures)
        judged, judging_s = self._cache.num_scored - looked, time.perf_counter() - start
        clip = self._close(pictures)
        alike = self._like(pictures, thorough) if likeness else ()
        seconds = time.perf_counter() - start
        scoring = None
        nets = [net for net in self.scorers.nets if isinstance(net, FeatureScorer)] if likeness else []
        everything = len(judges) + (clip is not None) + len(nets)
        if self._cache.num_scored - looked == everything * len(pictures) > 0:  # else a part was read before
            scoring = {"seconds": round(seconds, 2), "pictures_per_s": round(len(pictures) / seconds, 1)}
            if judged == len(judges) * len(pictures) > 0:
                scoring["judges_pictures_per_s"] = round(len(pictures) / judging_s, 1)
        return Row(
            name=pictures.name,
            kind=kind,
            about=about,
            hash=pictures.hash,
            num_pictures=len(pictures),
            size=(64, 64),
            judges=judges,
            agreement=agreement,
            clip=clip,
            likeness=alike,
            scoring=scoring,
        )

    def _judged(self, pictures: Pictures) -> tuple[tuple[Verdicts, ...], Agreement | None]:
        judges = self.scorers.judges
        yes = [self._read(judge, pictures)["accepts"].astype(np.bool_) for judge in judges]
        found = tuple(measures.verdicts(j, y, pictures) for j, y in zip(judges, yes, strict=True))
        if len(judges) < 2:
            return found, None
        return found, measures.agreement(judges[0], judges[1], yes[0], yes[1])

    def _close(self, pictures: Pictures) -> Closeness | None:
        clip = self.scorers.clip
        if clip is None:
            return None
        texts = self._embedded(clip, pictures.prompts)
        return measures.closeness(clip, self._read(clip, pictures)["image"], texts, pictures)

    def _like(self, pictures: Pictures, thorough: bool) -> tuple[Likeness, ...]:
        found = []
        for net in self.scorers.nets:
            features = self._read(net, pictures)["features"]
            reference = real = None
            if self.reference is not None:
                reference = self._read(net, self.reference.compared_with)["features"]
                real = self._read(net, self.reference.real)["features"]
            found.append(
                measures.likeness(net, features, pictures, reference=reference, real=real, thorough=thorough)
            )
        return tuple(found)

    def _read(self, scorer: Scorer, pictures: Pictures) -> Arrays:
        if isinstance(scorer, SecondHand):
            return scorer.of(self._read(scorer.source, pictures))
        what = f"{scorer.name} looks at {pictures.name}"
        return self._cache.get(scorer, pictures, lambda done, total: self._tell(what, done, total))

    def _embedded(self, clip: ClipScorer, prompts: Sequence[Prompt]) -> Floats:
        """(N, D): the embedding of each prompt; every sentence is read once."""
        new = [text for text in dict.fromkeys(p.text for p in prompts) if text not in self._texts]
        for start in range(0, len(new), 256):
            some = new[start : start + 256]
            self._texts |= dict(zip(some, clip.clip.embed_text(some), strict=True))
        return np.stack([self._texts[prompt.text] for prompt in prompts])

    def _left_out(self) -> list[str]:
        benchmark = self.benchmark
        found = []
        if not benchmark.judged:
            found.append("No judge looked: nobody knows what pictures of free captions must show.")
        if self.reference is None:
            found.append(
                "Without --reference there is no FD-local, KD-local, precision, recall, density, coverage "
                "or memorisation, and no row of real pictures."
            )
        if self.scorers.clip is None:
            found.append("No CLIP looked: there is no LocalCLIPScore and no R-precision.")
        elif len({prompt.text for prompt in benchmark.prompts}) < measures.NUM_CANDIDATES:
            found.append(f"R-precision needs {measures.NUM_CANDIDATES} different captions; there are fewer.")
        if not benchmark.whole:
            found.append(
                f"Only {len(benchmark.prompts)} of {benchmark.total} prompts were asked for: compare these "
                "numbers with none of the whole benchmark."
            )
        return found


def _apart(sources: Sequence[PictureSet]) -> list[PictureSet]:
    """The sets under names that differ: with a piece of its hash where two have one name."""
    counts = Counter(source.name for source in sources)
    return [
        replace(source, name=f"{source.name} {source.hash[:6]}") if counts[source.name] > 1 else source
        for source in sources
    ]


def pictures_of(source: PictureSet, benchmark: Benchmark) -> Pictures:
    """A set of files as scorers take it."""
    return Pictures(
        name=source.name,
        hash=source.hash,
        prompts=tuple(prompt for prompt in benchmark.prompts for _ in range(source.per_prompt)),
        load=lambda: load_pictures(source.paths),
        seeds=tuple(
            seed for _ in benchmark.prompts for seed in range(source.seeds) for _ in range(source.images)
        ),
        labels=tuple(str(path) for path in source.paths),
    )
