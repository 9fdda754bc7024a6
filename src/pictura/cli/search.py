"""`pictura search`: a folder and a sentence or a picture in; the likest pictures, or captions, out."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictura.cli.data import progress_bar
from pictura.core.errors import ConfigError, PromptError
from pictura.store.atomic import atomic_file

if TYPE_CHECKING:
    from pictura.search import Found, FoundCaption

_MOST_TOLD = 5


def command(
    folder: Annotated[
        Path, typer.Argument(help="With pictures in it or below; or a .parquet file or .tar shard.")
    ],
    sentence: Annotated[str | None, typer.Argument(help="What the pictures shall show, in English.")] = None,
    image: Annotated[
        Path | None, typer.Option(help="Search by this picture instead of by a sentence.")
    ] = None,
    captions: Annotated[
        bool, typer.Option("--captions", help="With --image: rank the folder's captions, not its pictures.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 10,
    sheet: Annotated[
        Path | None, typer.Option(help="Also lay the found pictures out on one sheet (PNG).")
    ] = None,
    model: Annotated[str, typer.Option(help="A CLIP: a name, or its folder.")] = "clip-guide",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find pictures in FOLDER by a sentence or by another picture.

    The first search looks at every picture; later ones at new and changed pictures alone.
    """
    if (sentence is None) == (image is None):
        raise PromptError("`pictura search` needs a SENTENCE, or --image PICTURE; it got neither or both.")
    if captions and image is None:
        raise ConfigError("--captions ranks captions for a picture; name the picture with --image.")
    if captions and sheet is not None:
        raise ConfigError("--sheet shows pictures, and --captions finds none; leave one of them out.")
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise ConfigError(f"--sheet must end in .png; got {str(sheet)!r}.")

    from pictura.search import Searcher  # heavy: numpy, onnxruntime

    start = time.perf_counter()
    pictures: list[Found] = []
    words: list[FoundCaption] = []
    with progress_bar("reading captions" if captions else "looking at pictures") as progress:
        searcher = Searcher(folder, model=model, progress=progress)
        if image is None:
            pictures = searcher.pictures_of(str(sentence), top=top)
        elif captions:
            words = searcher.captions_for(image, top=top)
        else:
            pictures = searcher.pictures_like(image, top=top)
    if sheet is not None:
        drawn = searcher.sheet(pictures)
        with atomic_file(sheet) as temporary:
            drawn.save(temporary, "PNG")
    result = {
        "folder": str(folder),
        "layout": searcher.source.layout,
        "sentence": sentence,
        "image": None if image is None else str(image),
        "model": searcher.clip.name,
        "found": [asdict(one) for one in (words if captions else pictures)],
        "num_searched": searcher.num_searched,
        "skipped": searcher.skipped,
        "sheet": None if sheet is None else str(sheet),
        "elapsed_s": round(time.perf_counter() - start, 2),
        "notices": searcher.notes,
    }
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        _tell(result)


def _tell(result: Mapping[str, Any]) -> None:
    """Tell a person: what went wrong on stderr, then one find a line, then the sheet, counts and seconds."""
    skipped = result["skipped"]
    for sentence in skipped[:_MOST_TOLD]:
        typer.echo(f"Skipped: {sentence}", err=True)
    if len(skipped) > _MOST_TOLD:
        typer.echo(f"Skipped: {len(skipped) - _MOST_TOLD} more; --json names each.", err=True)
    for notice in result["notices"]:
        typer.echo(f"Note: {notice}", err=True)
    for one in result["found"]:
        words = one["caption"] if "caption" in one else "  ".join([one["path"], *one["captions"][:1]])
        typer.echo(f"{one['score']:6.3f}  {words}")
    if result["sheet"]:
        typer.echo(result["sheet"])
    noun = "captions" if any("caption" in one for one in result["found"]) else "pictures"
    facts = [f"{len(result['found'])} of {result['num_searched']} {noun}"]
    facts += [f"{len(skipped)} skipped"] if skipped else []
    typer.echo(" · ".join([*facts, f"{result['elapsed_s']:.1f} s", f"model {result['model']}"]), err=True)
