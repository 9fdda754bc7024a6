"""`pictura data`: look at captioned image sets and make packs of them."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pictura.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pictura.data.inspect import Inspection, Spread
    from pictura.data.pack import PackReport

app = typer.Typer(help="Inspect and pack captioned image sets.", no_args_is_help=True, add_completion=False)

SetPath = Annotated[Path, typer.Argument(help="A folder, .parquet file or .tar shard; docs/data.md.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Take so many pictures at most.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def inspect(
    path: SetPath,
    sheet: Annotated[Path, typer.Option(help="Where the contact sheet goes (PNG).")] = Path(
        "contact-sheet.png"
    ),
    no_sheet: Annotated[bool, typer.Option("--no-sheet", help="Write no contact sheet.")] = False,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Say what the set at PATH holds: counts, sizes, captions, splits, licences; and draw a contact sheet."""
    from pictura.data.inspect import inspect as look
    from pictura.data.sources import open_source
    from pictura.store.atomic import atomic_file

    source = open_source(path)
    with progress_bar("reading") as progress:
        found, drawn = look(source, limit=limit, progress=progress)
    if not no_sheet:
        with atomic_file(sheet) as temporary:
            drawn.save(temporary, "PNG")
    written = None if no_sheet else str(sheet)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "contact_sheet": written}, ensure_ascii=False))
    else:
        _show(_inspection_rows(found) | ({"contact sheet": written} if written else {}))
    try:
        source.check(found.num_pictures + len(found.bad))
    except DataError as error:
        if not as_json:
            raise
        typer.echo(f"Error: {error}", err=True)  # the one JSON on stdout is the report
        raise typer.Exit(error.exit_code) from error


@app.command()
def pack(
    path: SetPath,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    size: Annotated[int, typer.Option(min=8, max=1024, help="Side of the pictures in pixels.")] = 64,
    quality: Annotated[str, typer.Option(help="WebP quality 1 to 100, or lossless.")] = "lossless",
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Write the set at PATH as one Parquet file of small square pictures, without duplicates."""
    from pictura.data.pack import pack as write
    from pictura.data.sources import open_source
    from pictura.store.atomic import atomic_file

    chosen = _quality(quality)
    if out.suffix != ".parquet":
        raise ConfigError(f"--out must end in .parquet; got {str(out)!r}.")
    source = open_source(path)
    with atomic_file(out) as temporary, progress_bar("packing") as progress:
        report = write(source, temporary, size=size, quality=chosen, limit=limit, progress=progress)
    if as_json:
        typer.echo(json.dumps({**asdict(report), "path": str(out), "num_bytes": out.stat().st_size}))
    else:
        _show(_pack_rows(report, out))


def _quality(text: str) -> int | None:
    """1 to 100, or None for lossless."""
    if text == "lossless":
        return None
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise ConfigError(f"--quality is a number from 1 to 100 or 'lossless'; got {text!r}.")
    return int(text)


def _inspection_rows(found: "Inspection") -> dict[str, str]:
    rows = {
        "layout": found.layout,
        "pictures": f"{found.num_pictures} ({found.num_transparent} with transparency)",
        "bad": f"{len(found.bad)}" + "".join(f"\n{sentence}" for sentence in found.bad[:5]),
        "formats": _counts(found.formats),
        "width": _spread(found.width_px, "px"),
        "height": _spread(found.height_px, "px"),
        "duplicates": f"{found.num_duplicate_pictures} pictures have the pixels of an earlier one",
        "captions": f"{found.num_captions} ({found.num_distinct_captions} distinct)",
        "captions each": _spread(found.captions_per_picture, ""),
        "caption length": _spread(found.words_per_caption, "words"),
        "common words": _counts(found.common_words),
        "most repeated": _counts(found.repeated_captions) or "none",
        "splits": f"{_counts(found.splits)} ({found.splits_are})",
        "licences": _counts(found.licences),
    }
    if found.packed:
        rows["packed"] = f"at {found.packed['size_px']} px, quality {found.packed['quality']}"
    return rows


def _pack_rows(report: "PackReport", out: Path) -> dict[str, str]:
    rows = {
        "written": f"{out} ({out.stat().st_size / 1e6:.1f} MB)",
        "pictures": f"{report.num_pictures} of {report.size_px} px, quality {report.quality}",
        "bad": str(report.num_bad),
        "duplicates": f"{report.num_duplicates} left out, their captions kept",
        "enlarged": f"{report.num_enlarged} were below {report.size_px} px",
    }
    if report.quality == "lossless":
        return rows
    loss = report.loss
    return rows | {
        "kept lossless": f"{report.num_kept_lossless} (no larger than lossy)",
        "colour PSNR": f"mean {loss.colour_mean_db} dB, worst 1 % {loss.colour_worst_db} dB, on light grey",
        "alpha PSNR": f"mean {loss.alpha_mean_db} dB, worst 1 % {loss.alpha_worst_db} dB (99 is exact)",
    }


def _counts(table: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in table.items())


def _spread(values: "Spread", unit: str) -> str:
    numbers = f"{values.lowest:g} to {values.highest:g}, median {values.median:g}, mean {values.mean:g}"
    return f"{numbers}, 95 % up to {values.p95:g} {unit}".rstrip()


def _show(rows: Mapping[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    Console(markup=False, highlight=False).print(table)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr if a person watches; yields what to call with (done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update
