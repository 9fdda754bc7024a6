"""From ratings to a better model, step by step: read this top to bottom.

    gather    choices and the features of their pictures                pairs.py
    check     leave out raters whose choices tell nothing               raters.py
    fit       a head to learn from, and one that judges                 heads.py
    learn     the base learns from the head and from judge A            learn/loop.py
    temper    how much of the change is kept                            temper.py
    export    the candidate: the base and a small delta                 learn/export.py
    judge     what must hold                                            gate.py, measure.py
    end       promote, or not; tell; forget what people chose           store/promoted.py, report.py

A folder holds all of it, and whoever is stopped anywhere goes on with the same command. Nothing that paints
is touched before the last step, which is atomic.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pictura.core.errors import ConfigError, DataError, ModelNotFoundError
from pictura.core.tables import from_table
from pictura.learn.export import export_learnt
from pictura.learn.loop import End, Run
from pictura.learn.prompts import split_prompts
from pictura.learn.recipe import LearnRecipe
from pictura.learn.taste import gate, measure
from pictura.learn.taste.gate import Benched, Check
from pictura.learn.taste.heads import Heads, fit_heads
from pictura.learn.taste.pairs import CLIP, Ratings, Table, forget, load_table, look_at, save_table
from pictura.learn.taste.raters import Rater, check_raters
from pictura.learn.taste.temper import temper
from pictura.learn.tokens import PLAIN
from pictura.reward.ratings import write_preference
from pictura.store.atomic import atomic_file
from pictura.store.models import MANIFEST, ModelInfo, read_model, resolve
from pictura.store.promoted import next_name, number_of
from pictura.train.distributed import Process

PREFERENCE = "preference"
RESULT = "result.json"
RUN, HEAD, CANDIDATE = "run", "head", "candidate"
TEMPERED = "tempered.json"
GATE_PROMPTS = 64
_OF_ROLLOUT = ("num_steps", "solver", "shift", "guidance_scale", "guidance_interval")
_OF_GUIDANCE = ("guidance_scale", "guidance_interval")

Bench = Callable[[ModelInfo, ModelInfo, Path], Benched]
"""The benchmark of base and candidate, and a folder for pictures: GlyphBench, which only `cli` may open."""


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What was found, as far as it went."""

    name: str
    base: Mapping[str, str]
    before: Mapping[str, str]
    """The model that `default` stood for."""
    raters: tuple[Rater, ...] = ()
    pairs: Mapping[str, int] = field(default_factory=dict)
    """Choices by kind, and what was left of them."""
    heads: Mapping[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    """Of the checks, as JSON holds them."""
    stopped: str = ""
    """Why it went no further, where no check says so."""

    @property
    def passed(self) -> bool:
        """Whether all that must hold holds."""
        return not self.stopped and len(self.checks) == 4 and all(check.passed for check in self.checks)


class Study:
    """One attempt at a better model, in a folder of its own."""

    def __init__(
        self, table: Mapping[str, Any], root: Path, folder: Path, base: ModelInfo, before: ModelInfo
    ) -> None:
        """Prepare.

        Args:
            table: the recipe as TOML holds it.
            root: folder that the recipe's relative paths start from.
            folder: of this attempt; its name is that of the version.
            base: that learns.
            before: what people get now: the base, or the version promoted last.

        Raises:
            ConfigError: the recipe is impossible, or has no reward `preference`.
        """
        self.root, self.folder, self.base, self.before = root, folder, base, before
        self.recipe = recipe_for(table, base, folder / HEAD, folder.name)
        self.outcome = Outcome(
            name=folder.name,
            base={"name": base.path.name, "hash": base.hash},
            before={"name": before.path.name, "hash": before.hash},
        )

    def gather(self, read: Callable[[], Ratings]) -> Table:
        """All choices; those that an earlier sitting read, if there are any."""
        table = load_table(self.folder)
        if table is None:
            table = look_at(read())
            save_table(table, self.folder)
        return table

    def fit(self, table: Table) -> bool:
        """Check raters, fit both heads, and say whether there is a taste to learn."""
        raters = check_raters(table)
        good = {rater.name for rater in raters if rater.kept}
        kept = table.take([i for i, row in enumerate(table.rows) if row.rater in good])
        self.outcome.raters = raters
        self.outcome.pairs = _counted(table, kept)
        try:
            heads = fit_heads(kept)
        except DataError as error:
            self.outcome.stopped = str(error)
            return False
        self.outcome.heads = _told(heads)
        check = gate.check_heads(heads.accuracy, heads.num_held_out)
        self.outcome.checks.append(check)
        self.outcome.numbers["accuracy"] = asdict(heads.accuracy)
        self._heads = heads
        if check.passed and not (self.folder / HEAD / MANIFEST).is_file():
            write_preference(self.folder / HEAD, heads.taste, name=f"{self.folder.name}-head", clip=CLIP)
        return check.passed

    def learn(self, process: Process, *, max_minutes: float = 0.0) -> End | None:
        """Learn, and choose how much of it is kept; None where an earlier sitting did both."""
        path, end = self.folder / TEMPERED, None
        if not path.is_file():
            run = Run(self.recipe, self.root, self.folder / RUN, process)
            end = run.learn(max_minutes=max_minutes)
            if end.kind == "guard":
                self.outcome.stopped = f"a guard stopped the learning: {end.reason}"
            if end.kind in ("guard", "interrupt"):
                return end
            tried = [asdict(one) | {"sound": one.sound} for one in temper(run)]
            with atomic_file(path) as temporary:
                temporary.write_text(json.dumps(tried) + "\n", encoding="utf-8")
        self._tried = json.loads(path.read_text(encoding="utf-8"))
        self.outcome.numbers["tempered"] = self._tried
        if not self._tried[-1]["sound"]:
            self.outcome.stopped = (
                f"what was learnt hurts even at {self._tried[-1]['share']:.0%} of it: on held-out prompts a "
                f"score falls by {self._tried[-1]['fall']:.2f} standard deviations, and pictures of a prompt "
                f"differ {self._tried[-1]['diversity']:.2f} times as much as before"
            )
        return end

    def export(self) -> ModelInfo:
        """The candidate, which paints with the settings of its base."""
        if not self._has_candidate:
            usual = self.base.sampling.table()
            kept = {name: usual[name] for name in (PLAIN if self.base.by_tokens else usual)}
            name = self.folder.name
            share = self._tried[-1]["share"]
            where = self.folder / CANDIDATE
            export_learnt(self.folder / RUN, where, name=name, last=True, sampling=kept, share=share)
        return read_model(self.folder / CANDIDATE)

    def judge(self, candidate: ModelInfo, bench: Bench, *, device: str, threads: int | None) -> bool:
        """Whether the candidate may become the default; the dearest question comes last."""
        found, prompts = self.outcome, self._prompts
        keep = self.folder / "looks"

        def looks(model: ModelInfo) -> measure.Looks:
            return measure.looks_of(model, prompts, keep, device=device, threads=threads)

        new, old, first = looks(candidate), looks(self.before), looks(self.base)
        won = measure.wins(self._heads.jury, new, old, prompts)
        share = new.spread / max(first.spread, 1e-12)
        found.checks += [gate.check_wins(won, len(prompts)), gate.check_diversity(share)]
        found.numbers |= {"wins": asdict(won), "diversity": share, "num_prompts": len(prompts)}
        if not all(check.passed for check in found.checks):
            return False
        benched = bench(self.base, candidate, self.folder / "bench")
        found.checks.append(gate.check_bench(benched))
        found.numbers["glyphbench"] = asdict(benched)
        return found.passed

    def end(self) -> None:
        """Write down what was found, and forget what people chose."""
        with atomic_file(self.folder / RESULT) as temporary:
            told = {**asdict(self.outcome), "passed": self.outcome.passed}
            temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        forget(self.folder)

    @property
    def _has_candidate(self) -> bool:
        return (self.folder / CANDIDATE / MANIFEST).is_file()

    @cached_property
    def _prompts(self) -> Any:
        kept = split_prompts(
            self.recipe.prompts, self.root, seed=self.recipe.seed, num_held_out=GATE_PROMPTS
        )[1]
        return kept.prompts


def recipe_for(table: Mapping[str, Any], base: ModelInfo, head: Path, name: str) -> LearnRecipe:
    """A recipe with what only this attempt knows: name, base, head, and how the base paints.

    Raises:
        ConfigError: it has no reward `preference`, or is impossible.
    """
    rewards = [dict(row) for row in table.get("rewards", ())]
    tastes = [row for row in rewards if row.get("name") == PREFERENCE]
    if len(tastes) != 1:
        raise ConfigError(
            f"A recipe for --from-ratings needs one [[rewards]] table of the name '{PREFERENCE}'; "
            f"got {len(tastes)}. recipes/learn-ratings.toml is an example."
        )
    tastes[0].update(model=str(head.resolve()), min_accuracy=0.0)  # the gate has asked already
    usual = base.sampling.table()
    own = PLAIN if base.by_tokens else _OF_ROLLOUT
    rollout = {key: usual[key] for key in own} | dict(table.get("rollout", {}))
    algorithm = dict(table.get("algorithm", {"name": "nft"}))
    if algorithm.get("name") == "backprop":
        algorithm = {key: rollout[key] for key in _OF_GUIDANCE} | algorithm
    made = {
        **table,
        "name": name,
        "model": {**table.get("model", {}), "base": _called(base)},
        "rewards": rewards,
        "rollout": rollout,
        "algorithm": algorithm,
    }
    return from_table(LearnRecipe, made, "the recipe of --from-ratings")


def _called(model: ModelInfo) -> str:
    """A model's name where that reaches it, so that a study goes on after Pictura was installed elsewhere."""
    try:
        known = resolve(model.path.name).hash == model.hash
    except ModelNotFoundError:
        known = False
    return model.path.name if known else str(model.path.resolve())


def folder_for(runs: Path, name: str) -> Path:
    """Where the next attempt is kept: the newest one if it did not come to its end, else a new one."""
    attempts = sorted((path for path in runs.glob(f"{name}-*") if number_of(path.name)), key=_number)
    if attempts and not (attempts[-1] / RESULT).is_file():
        return attempts[-1]
    number = max(number_of(next_name(name)), *(_number(path) + 1 for path in attempts), 1)
    return runs / f"{name}-{number}"


def _number(path: Path) -> int:
    return number_of(path.name)


def _counted(table: Table, kept: Table) -> dict[str, int]:
    return {
        "all": len(table),
        "explicit": sum(row.explicit for row in table.rows),
        "ties": sum(row.tie for row in table.rows),
        "repeats": sum(row.repeat for row in table.rows),
        "kept": len(kept),
        "kept_explicit": sum(row.explicit for row in kept.rows),
        "prompts": len(set(kept.prompts)),
    }


def _told(heads: Heads) -> dict[str, Any]:
    return {
        "num_learnt": heads.num_learnt,
        "num_held_out": heads.num_held_out,
        "accuracy": asdict(heads.accuracy),
        "jury_accuracy": asdict(heads.jury_accuracy),
        "calibration_error": heads.taste.metrics["calibration_error"],
    }
