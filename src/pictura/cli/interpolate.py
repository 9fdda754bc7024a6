"""`pictura interpolate`: two pictures in; a strip of those between them out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictura.cli import imagination as common
from pictura.cli.imagination import Made, OnStep, Options

if TYPE_CHECKING:
    from pictura.imagination import Imagination


def command(
    picture: common.PictureFile,
    other: Annotated[Path, typer.Argument(help="Where the strip ends.")],
    num_images: Annotated[
        int, typer.Option("--n", min=2, max=64, help="How many pictures, both ends included.")
    ] = 7,
    same_noise: Annotated[
        bool,
        typer.Option("--same-noise", help="Change the idea alone: all of one fresh noise, the ends too."),
    ] = False,
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
    """Paint a strip that goes from PICTURE to OTHER."""
    options = Options(model, device, seed, num_steps, guidance_scale, size, out, format_, as_json)

    def work(imagination: "Imagination", manner: dict[str, Any], on_step: OnStep) -> Made:
        made = imagination.interpolate(
            picture, other, num_images=num_images, same_noise=same_noise, on_step=on_step, **manner
        )
        return Made(made, {"strip": common.strip(made)}, {})

    common.run(options, f"from {picture.stem} to {other.stem}", work)
