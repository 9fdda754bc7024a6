"""`pictura describe`: a picture in; the captions that a CLIP finds nearest out."""

import json
from typing import Annotated

import typer

from pictura.cli import acting
from pictura.cli import imagination as common


def command(
    picture: common.PictureFile,
    prompts: Annotated[
        list[str] | None, typer.Option("--or", help="A further caption that may fit; may be repeated.")
    ] = None,
    num: Annotated[int, typer.Option("--n", min=1, max=50, help="How many captions.")] = 4,
    model: Annotated[str, typer.Option(help="A CLIP: a name, or its folder.")] = "clip-guide",
    as_json: common.AsJson = False,
) -> None:
    """Say what PICTURE shows, in four captions."""
    image = acting.opened(picture)
    from pictura.actions.describing import describe  # heavy: numpy, onnxruntime

    found = describe(image, prompts or (), num=num, model=model)
    if as_json:
        captions = [caption._asdict() for caption in found]
        typer.echo(json.dumps({"picture": str(picture), "model": model, "captions": captions}))
        return
    for caption in found:
        typer.echo(f"{caption.score:6.3f}  {caption.text}")
