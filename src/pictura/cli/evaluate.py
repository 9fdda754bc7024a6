"""`pictura evaluate`: models, or folders of pictures, in; scores, a report and one line each out."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pictura.core.errors import ConfigError, MissingExtraError
from pictura.store.models import AS_LEARNT, resolve

if TYPE_CHECKING:
    from pictura.evaluate.benchmark import Benchmark
    from pictura.evaluate.painting import Progress
    from pictura.evaluate.runner import Scorers
    from pictura.evaluate.sources import PictureSet
    from pictura.store.models import ModelInfo

Device = Literal["auto", "cpu", "cuda"]


def command(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names from `pictura models`, or model folders; NAME@0 is the base of a learnt one."
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(help="glyphbench, or captions:PATH: a text file of one a line, or a captioned set."),
    ] = "glyphbench",
    pictures: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of pictures made by any program. May be given several times."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=64, help="Pictures of each prompt and seed.")] = 4,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How many seeds.")] = 1,
    limit: Annotated[
        int | None, typer.Option(help="Ask so many prompts only, evenly over the tasks.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Real pictures: a glyph pack for glyphbench, a captioned set for captions."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report, the pictures and what resumes.")] = Path(
        "evaluations"
    ),
    record: Annotated[
        bool, typer.Option("--record", help="Write the scores into the models' cards.")
    ] = False,
    hand_check: Annotated[
        int, typer.Option(min=0, help="Also write a page of so many pictures to check the judges by hand.")
    ] = 0,
    standard: Annotated[
        bool, typer.Option("--standard", help="Also FID, KID, IS, CLIPScore: needs network access.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: Annotated[Device, typer.Option(help="What computes.")] = "auto",
    processes: Annotated[
        int, typer.Option(min=0, help="Painters side by side on a CPU; 0 = one a core.")
    ] = 0,
) -> None:
    """Score models, or anybody's pictures, by what was asked for.

    Run it again to go on where it was broken off.
    """
    if not models and not pictures:
        raise ConfigError("`pictura evaluate` needs a MODEL, or --pictures FOLDER; it got neither.")
    if standard and reference is None:
        raise ConfigError("--standard compares with real pictures; name them with --reference.")
    if standard and importlib.util.find_spec("torchmetrics") is None:
        raise MissingExtraError("--standard needs torchmetrics: pip install 'pictura[metrics]'")

    from pictura.evaluate.benchmark import load_benchmark  # heavy: torch, matplotlib
    from pictura.evaluate.record import check_recordable, line
    from pictura.evaluate.record import record as write_card
    from pictura.evaluate.reference import load_reference
    from pictura.evaluate.report.handcheck import write_hand_check
    from pictura.evaluate.report.page import write_report
    from pictura.evaluate.runner import Runner

    benchmark = load_benchmark(on, limit=limit)
    painters = [parse_painter(text) for text in models or ()]
    if record:
        others = any(strength != AS_LEARNT for _, strength in painters)
        check_recordable(benchmark, folders=bool(pictures), strengths=others)
    with _progress() as tell:
        scorers = _scorers(device, standard)
        sources = _sources(
            painters, pictures or [], benchmark, out, images, seeds, device, processes or None, tell
        )
        real = None
        if reference is not None:
            tell("opening the reference", 0, 1)
            real = load_reference(reference, benchmark, per_prompt=images * seeds, cache=out / "scores")
        runner = Runner(benchmark, scorers, out / "scores", reference=real, on_progress=tell)
        found = runner.run(sources)
        tell("writing the report", 0, 1)
        judges = runner.scorers.judges
        written = [found.save(out), write_report(found, runner.scored, judges, out)]
        if hand_check:
            written.append(write_hand_check(runner.scored, judges, out, num=hand_check))
    if record:
        for row, (model, _) in zip(found.compared, painters, strict=True):
            write_card(found, row, model)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "files": [str(path) for path in written]}))
        return
    for row in found.compared:
        typer.echo(line(row, benchmark.name))
    for note in found.left_out:
        typer.echo(f"Note: {note}", err=True)
    typer.echo(" · ".join(str(path) for path in written), err=True)


def parse_painter(text: str) -> "tuple[ModelInfo, float]":
    """Read ``NAME`` or ``NAME@STRENGTH`` as a model and the strength to load it at.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    name, _, strength = text.rpartition("@")
    if name and re.fullmatch(r"\d{1,9}(\.\d+)?", strength):
        return resolve(name), float(strength)
    return resolve(text), AS_LEARNT


def _scorers(device: Device, standard: bool) -> "Scorers":
    from dataclasses import replace

    from pictura.evaluate.metrics.standard import standard_scores
    from pictura.evaluate.shipped import load_scorers

    found = load_scorers(device)
    return replace(found, standard=standard_scores) if standard else found


def _sources(
    models: "list[tuple[ModelInfo, float]]",
    folders: list[Path],
    benchmark: "Benchmark",
    out: Path,
    images: int,
    seeds: int,
    device: Device,
    processes: int | None,
    tell: "Progress",
) -> "list[PictureSet]":
    """Every folder first, as it may be refused at once; then every model paints."""
    from pictura.evaluate.painting import paint_benchmark
    from pictura.evaluate.sources import read_folder

    found = [read_folder(folder, benchmark, images=images, seeds=seeds) for folder in folders]
    painted = [
        paint_benchmark(
            model,
            benchmark,
            out / "pictures",
            images=images,
            seeds=seeds,
            strength=strength,
            device=device,
            processes=processes,
            on_progress=tell,
        )
        for model, strength in models
    ]
    return [*painted, *found]


@contextmanager
def _progress() -> "Iterator[Callable[[str, int, int], None]]":
    """A progress bar on stderr if a person watches; yields what to call with (what, done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("opening the judges", total=None)
        shown = ""

        def tell(what: str, done: int, total: int) -> None:
            nonlocal task, shown
            if what != shown:  # a task of its own, so that the time that remains is of this one
                bar.remove_task(task)
                task, shown = bar.add_task(what, total=total), what
            bar.update(task, completed=done, total=total)

        yield tell
