"""What commands that act on pictures have in common: the words of a picture, and how an action is done."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pictura.cli import imagination as common
from pictura.cli.imagination import Made, OnStep, Options
from pictura.core.errors import MetadataError, PromptError

if TYPE_CHECKING:
    from PIL.Image import Image

Strength = Literal["subtle", "strong"]
Prompt = Annotated[
    str | None,
    typer.Option(help="What it shall show, in plain words. [default: what the picture says of itself]"),
]
Model = Annotated[
    str,
    typer.Option(help="A model of the family flow: a name from `pictura models`, or its folder."),
]
Num = Annotated[int, typer.Option("--n", min=1, max=64, help="How many pictures.")]
NoGrid = Annotated[bool, typer.Option("--no-grid", help="Write no grid.")]


def said_of(path: Path) -> dict[str, Any]:
    """What a picture's file says of how it was painted; empty where it says nothing."""
    from pictura.store.metadata import read_metadata

    try:
        return read_metadata(path)
    except MetadataError:
        return {}


def words_of(path: Path, prompt: str | None) -> str:
    """The prompt that was given, or that a picture was painted by.

    Raises:
        PromptError: there is neither.
    """
    found = prompt or said_of(path).get("prompt")
    if not found:
        raise PromptError(f"{path} does not say by which prompt it was painted: add --prompt.")
    return str(found)


def opened(path: Path) -> "Image":
    """A picture file.

    Raises:
        DataError: it is none.
    """
    from pictura.data.guard import decode, read_file

    return decode(read_file(path), str(path))


def act(
    options: Options,
    name: str,
    action: Mapping[str, Any],
    pictures: Mapping[str, Path],
    prompt: str,
    *,
    new_prompt: bool = False,
    num_images: int = 1,
    with_grid: bool = True,
    **more: Any,
) -> None:
    """Do an action and write what it made.

    Args:
        options: of the command.
        name: of the files, before it is made short.
        action: its name and what it takes, see `actions.resolved`.
        pictures: that it begins with, by the names of `actions.work`.
        prompt: plain words.
        new_prompt: whether these are others than the picture's own.
        num_images: how many pictures.
        with_grid: whether many are put on one sheet too.
        more: what only the action itself needs to know.
    """
    asked: dict[str, Any] = {name: value for name, value in options.manner().items() if value is not None}

    def paint(on_step: OnStep) -> Made:
        from pictura import load  # heavy: numpy, onnxruntime
        from pictura.actions import resolved, work
        from pictura.sample.calls import drive
        from pictura.store.pictures import grid

        given = {key: opened(path) for key, path in pictures.items()}
        painter = load(options.model, device=options.device)
        named = {**action, "of": [path.name for path in pictures.values()], **more}
        task = work(resolved(named, painter.model, new_prompt=new_prompt), given)
        if "size" not in asked and action["action"] != "upscale":
            asked["size"] = next(iter(given.values())).size
        way = task.making(painter, prompt, num_images=num_images, **asked)
        made = drive(way, painter.backend, on_step)
        return Made(made, {"grid": grid(made)} if with_grid and len(made) > 1 else {}, {})

    common.write(options, name, paint)


def listed(paths: Sequence[Path]) -> str:
    """The names of pictures, for the name of a file."""
    return " ".join(path.stem for path in paths)
