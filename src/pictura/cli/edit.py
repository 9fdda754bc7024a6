"""`pictura edit`: a picture and a text in; the picture, changed towards the text, out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictura.cli import imagination as common
from pictura.cli.imagination import Made, OnStep, Options

if TYPE_CHECKING:
    from pictura.imagination import Imagination


def command(
    picture: common.PictureFile,
    text: Annotated[str, typer.Argument(help="What it shall show, such as 'a green apple'.")],
    from_text: Annotated[
        str, typer.Option("--from", help="What it shows now, such as 'a red apple'. [default: no text]")
    ] = "",
    theta: Annotated[
        float,
        typer.Option(min=0, max=1, help="How far: 0 is the picture, 1 all the text; 0.25 to 0.5 is usual."),
    ] = 0.4,
    num_images: Annotated[
        int, typer.Option("--n", min=1, max=64, help="More than one: a strip from the picture to theta.")
    ] = 1,
    model: common.Model = "unclip",
    device: common.OfDevice = "auto",
    seed: common.Seed = None,
    num_steps: common.Steps = None,
    guidance_scale: common.Guidance = None,
    size: common.Size = None,
    out: common.Out = Path("pictures"),
    format_: common.OfFormat = "png",
    as_json: common.AsJson = False,
) -> None:
    """Change PICTURE towards TEXT."""
    options = Options(model, device, seed, num_steps, guidance_scale, size, out, format_, as_json)

    def work(imagination: "Imagination", manner: dict[str, Any], on_step: OnStep) -> Made:
        made = imagination.edit(
            picture,
            text,
            from_text=from_text,
            theta=theta,
            num_images=num_images,
            on_step=on_step,
            **manner,
        )
        return Made(made, {"strip": common.strip(made)} if num_images > 1 else {}, {})

    common.run(options, f"{picture.stem} {text}", work)
