"""`pictura vary`: a picture in; pictures that a CLIP would see alike out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictura.cli import imagination as common
from pictura.cli.imagination import Made, OnStep, Options

if TYPE_CHECKING:
    from pictura.imagination import Imagination


def command(
    picture: common.PictureFile,
    num_images: Annotated[int, typer.Option("--n", min=1, max=64, help="How many pictures.")] = 4,
    eta: Annotated[
        float, typer.Option(min=0, max=1, help="0 paints the picture itself; the more, the freer they are.")
    ] = 0.5,
    model: common.Model = "unclip",
    device: common.OfDevice = "auto",
    seed: common.Seed = None,
    num_steps: common.Steps = None,
    guidance_scale: common.Guidance = None,
    size: common.Size = None,
    out: common.Out = Path("pictures"),
    format_: common.OfFormat = "png",
    as_json: common.AsJson = False,
    no_grid: Annotated[bool, typer.Option("--no-grid", help="Write no grid.")] = False,
) -> None:
    """Paint pictures of the same idea as PICTURE."""
    options = Options(model, device, seed, num_steps, guidance_scale, size, out, format_, as_json)

    def work(imagination: "Imagination", manner: dict[str, Any], on_step: OnStep) -> Made:
        from pictura.store.pictures import grid

        made = imagination.vary(picture, num_images=num_images, eta=eta, on_step=on_step, **manner)
        return Made(made, {} if no_grid or num_images == 1 else {"grid": grid(made)}, {})

    common.run(options, f"vary {picture.stem}", work)
