"""What `vary`, `interpolate`, `edit` and `reconstruct` have in common: options, and files of what is made."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pictura.cli.data import progress_bar
from pictura.cli.imagine import Device, Format, free_stem, output_folder, parse_size, slug

if TYPE_CHECKING:
    from PIL.Image import Image

    from pictura.imagination import Imagination
    from pictura.pipeline import Picture

OnStep = Callable[[int, int], None]
_SUFFIX = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}

PictureFile = Annotated[Path, typer.Argument(help="A picture: PNG, JPEG, WebP, GIF, BMP or TIFF.")]
Model = Annotated[
    str, typer.Option(help="A model of the family unclip: a name from `pictura models`, or its folder.")
]
OfDevice = Annotated[Device, typer.Option(help="What computes.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Omit to draw one; it is printed.")]
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, max=1000, help="Steps of the decoder, there and back.")
]
Guidance = Annotated[
    float | None,
    typer.Option("--guidance", min=0, max=50, help="How closely to follow the picture's vector; 1 is off."),
]
Size = Annotated[str | None, typer.Option(help="Of the files: WIDTHxHEIGHT in pixels, or one side.")]
Out = Annotated[Path, typer.Option(help="Folder to write into.")]
OfFormat = Annotated[Format, typer.Option("--format", help="File format; jpeg is laid on white.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Options(NamedTuple):
    """What all four commands take."""

    model: str
    device: Device
    seed: int | None
    num_steps: int | None
    guidance_scale: float | None
    size: str | None
    out: Path
    format_: Format
    as_json: bool

    def manner(self) -> dict[str, Any]:
        """As `imagination.Manner`."""
        return {
            "seed": self.seed,
            "num_steps": self.num_steps,
            "guidance_scale": self.guidance_scale,
            "size": None if self.size is None else parse_size(self.size),
        }


class Made(NamedTuple):
    """What a command made."""

    pictures: "Sequence[Picture]"
    sheets: "dict[str, Image]"
    """Name to many pictures on one."""
    facts: dict[str, Any]
    """Further numbers, for programs."""
    words: tuple[str, ...] = ()
    """The same for people."""


def run(options: Options, name: str, work: Callable[["Imagination", dict[str, Any], OnStep], Made]) -> None:
    """Open the model with its eyes, let `work` paint, write what it made, whole or not at all, and tell.

    Args:
        options: of the command.
        name: of the files, before it is made short.
        work: takes the model with its eyes, how to paint and whom to tell of progress.
    """
    manner = options.manner()

    def paint(on_step: OnStep) -> Made:
        from pictura import load  # heavy: numpy, onnxruntime
        from pictura.imagination import Imagination

        return work(Imagination(load(options.model, device=options.device)), manner, on_step)

    write(options, name, paint)


def write(options: Options, name: str, paint: Callable[[OnStep], Made]) -> None:
    """Write what `paint` makes, whole or not at all, and tell.

    Args:
        options: of the command.
        name: of the files, before it is made short.
        paint: takes whom to tell of progress.
    """
    start = time.perf_counter()
    with output_folder(options.out) as folder:
        with progress_bar("painting") as on_step:
            made = paint(on_step)
        first = made.pictures[0]
        stem, suffix = free_stem(options.out, f"{slug(name)}-{first.seed}"), _SUFFIX[options.format_]
        names = [f"{stem}-{one.index + 1}{suffix}" for one in made.pictures]
        for one, file_name in zip(made.pictures, names, strict=True):
            one.save(folder / file_name, format=options.format_)
        for kind, sheet in made.sheets.items():
            sheet.save(folder / f"{stem}-{kind}{suffix}", format=options.format_)
    result = {
        "seed": first.seed,
        "model": first.model,
        "settings": first.settings,
        "pictures": [str(options.out / file_name) for file_name in names],
        **{kind: str(options.out / f"{stem}-{kind}{suffix}") for kind in made.sheets},
        **made.facts,
        "elapsed_s": round(time.perf_counter() - start, 2),
        "notices": list(first.notices),
    }
    if options.as_json:
        typer.echo(json.dumps(result))
    else:
        _tell(result, made)


def strip(pictures: "Sequence[Picture | Image]") -> "Image":
    """Pictures side by side on white, in one row."""
    from pictura.core.sheets import sheet
    from pictura.store.metadata import on_white
    from pictura.store.pictures import Picture

    opened = [one.image if isinstance(one, Picture) else one for one in pictures]
    size = opened[-1].size
    return sheet([on_white(one.resize(size)) for one in opened], columns=len(opened))


def _tell(result: dict[str, Any], made: Made) -> None:
    """Tell a person: notices on stderr, then one path a line, then numbers."""
    for notice in result["notices"]:
        typer.echo(f"Note: {notice}", err=True)
    facts = [
        *made.words,
        f"seed {result['seed']}",
        f"{result['elapsed_s']:.1f} s",
        f"model {result['model']}",
    ]
    settings = result["settings"]
    if settings.get("painted_size", settings["size"]) != settings["size"]:
        facts.append("painted at {}x{}, scaled to {}x{}".format(*settings["painted_size"], *settings["size"]))
    typer.echo("\n".join([*result["pictures"], *(result[kind] for kind in made.sheets), " · ".join(facts)]))
