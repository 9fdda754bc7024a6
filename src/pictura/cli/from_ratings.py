"""`pictura learn --from-ratings`: what a studio's users chose in, a better default out, or why not."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from numpy.typing import NDArray

from pictura.core.errors import ConfigError, TrainingError
from pictura.store.models import ALIASES, ModelInfo, resolve
from pictura.store.promoted import promote, read_shelf

if TYPE_CHECKING:
    from pictura.evaluate.benchmark import Benchmark
    from pictura.learn.taste.gate import Benched
    from pictura.learn.taste.pairs import Ratings
    from pictura.learn.taste.study import Study

RECIPE = "learn-ratings.toml"
_DIGITS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the command line said."""

    recipe: Path | None
    model: str
    name: str | None
    database: str | None
    files: str | None
    parquet: Path | None
    runs: Path
    device: str
    threads: int
    max_minutes: float
    bench_prompts: int
    """Of GlyphBench; 0 is all."""
    bench_images: int
    """Of each prompt."""


def learn_from_ratings(asked: Asked) -> None:
    """Take an attempt as far as it goes, and promote what came of it if all holds.

    Raises:
        PicturaError: something is missing or impossible.
        typer.Exit: it was stopped by a person, or what was learnt is not promoted.
    """
    from pictura.learn.taste.report import tell, version_of, write_report
    from pictura.learn.taste.study import Study, folder_for
    from pictura.train.distributed import join
    from pictura.train.recipe import read_toml

    base = _base(asked.model)
    table = read_toml(asked.recipe) if asked.recipe else read_toml(Path(str(_builtin())))
    folder = folder_for(asked.runs, asked.name or f"{base.path.name}-rated")
    root = asked.recipe.resolve().parent if asked.recipe else folder
    study = Study(table, root, folder, base, _before(base))
    candidate = None
    with join(asked.device, threads=asked.threads) as process:
        if process.num_processes > 1:
            raise ConfigError("--from-ratings learns in one process; start it without torchrun.")
        typer.echo(f"{folder}: learning on {base.path.name!r}.", err=True)
        if study.fit(study.gather(lambda: _ratings(asked))):
            end = study.learn(process, max_minutes=asked.max_minutes)
            if end is not None and end.kind == "interrupt":
                typer.echo("Stopped and saved. Go on with the same command.")
                raise typer.Exit(130)
            if not study.outcome.stopped:
                candidate = study.export()
                threads = asked.threads or None
                study.judge(candidate, _bench(asked), device=asked.device, threads=threads)
    report = write_report(folder, study.outcome)
    if candidate is not None and study.outcome.passed:
        candidate = tell(candidate, study.outcome)
        as_default = base.path.name == ALIASES["default"]
        promote(candidate.path, version_of(candidate, study.outcome), as_default=as_default)
        study.end()
        _say_promoted(study.outcome.name, as_default=as_default)
        typer.echo(f"Report: {report}")
        return
    study.end()
    _say_refused(study)
    typer.echo(f"Report: {report}")
    raise typer.Exit(TrainingError.exit_code)


def _builtin() -> Any:
    return resources("pictura.learn.taste") / RECIPE


def _base(name: str) -> ModelInfo:
    """The model that learns: of `default` the one below all promotions, so that changes do not pile up."""
    if name == "default":
        name = ALIASES["default"]
    if version := read_shelf().find(name):
        name = version.base
    return resolve(name)


def _before(base: ModelInfo) -> ModelInfo:
    """What people get now who ask for the base's name or for `default`."""
    promoted = read_shelf()
    version = promoted.find(promoted.default or "")
    return resolve(version.name) if version and version.base == base.path.name else base


def _ratings(asked: Asked) -> "Ratings":
    from pictura.learn.taste.pairs import from_database, from_parquet

    if asked.parquet is not None:
        return from_parquet(asked.parquet)
    from pictura.store.database import Database
    from pictura.store.files import Files

    database = Database.open(asked.database)
    try:
        return from_database(database, Files(asked.files))
    finally:
        database.close()


def _bench(asked: Asked) -> "Callable[[ModelInfo, ModelInfo, Path], Benched]":
    """GlyphBench by judge B, base against candidate, paired over prompts with the same seeds."""

    def bench(base: ModelInfo, candidate: ModelInfo, folder: Path) -> "Benched":
        from pictura.evaluate.benchmark import GLYPHBENCH, load_benchmark
        from pictura.evaluate.metrics.bootstrap import difference_interval
        from pictura.learn.taste.gate import Benched
        from pictura.learn.taste.intervals import Interval

        benchmark = load_benchmark(GLYPHBENCH, limit=asked.bench_prompts or None)
        after, before = (_verdicts(asked, model, benchmark, folder) for model in (candidate, base))
        of_each = [prompt for prompt in benchmark.prompts for _ in range(asked.bench_images)]
        labels, tasks = [prompt.id for prompt in of_each], [prompt.task for prompt in of_each]
        rng = np.random.default_rng(0)
        found = difference_interval(after, before, labels, labels, rng, strata_a=tasks, strata_b=tasks)
        return Benched(
            before=round(_mean_of_tasks(before, tasks), _DIGITS),
            after=round(_mean_of_tasks(after, tasks), _DIGITS),
            difference=Interval(value=found.value, low=found.low, high=found.high),
            num_prompts=len(benchmark.prompts),
            num_pictures=len(labels),
        )

    return bench


def _verdicts(asked: Asked, model: ModelInfo, benchmark: "Benchmark", folder: Path) -> NDArray[np.float64]:
    """1 for each picture that judge B accepts, else 0; what was painted or judged before is not again."""
    from pictura.evaluate.judges import load_judge
    from pictura.evaluate.painting import paint_benchmark
    from pictura.evaluate.runner import pictures_of
    from pictura.evaluate.scorers import JudgeScorer, ScoreCache

    painted = paint_benchmark(
        model,
        benchmark,
        folder / "pictures",
        images=asked.bench_images,
        seeds=1,
        device=asked.device,
        processes=asked.threads or None,
    )
    judge = JudgeScorer(load_judge("b"))
    accepts = ScoreCache(folder / "scores").get(judge, pictures_of(painted, benchmark))["accepts"]
    return accepts.astype(np.float64)


def _mean_of_tasks(values: NDArray[np.float64], tasks: list[str]) -> float:
    of = np.array(tasks)
    return float(np.mean([values[of == task].mean() for task in dict.fromkeys(tasks)]))


def _say_promoted(name: str, *, as_default: bool) -> None:
    if as_default:
        typer.echo(f"Promoted: 'default' is {name!r} now. Go back with: pictura models --rollback default")
    else:
        typer.echo(f"Promoted: paint with --model {name}. 'default' is another model's and stays.")


def _say_refused(study: "Study") -> None:
    found = study.outcome
    reasons = [f"{check.name}: {check.said}" for check in found.checks if not check.passed]
    if found.stopped:
        reasons.append(found.stopped)
    typer.echo(f"Not promoted: {'; '.join(reasons)}")
