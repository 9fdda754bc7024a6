"""`pictura pan`: a picture in; the picture, half as large again towards one side, out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pictura.cli import acting
from pictura.cli import imagination as common
from pictura.cli.imagination import Options


def command(
    picture: common.PictureFile,
    direction: Annotated[
        Literal["left", "right", "up", "down"], typer.Argument(help="Where the picture goes on.")
    ],
    prompt: acting.Prompt = None,
    num_images: acting.Num = 4,
    model: acting.Model = "flow",
    device: common.OfDevice = "auto",
    seed: common.Seed = None,
    num_steps: common.Steps = None,
    guidance_scale: common.Guidance = None,
    out: common.Out = Path("pictures"),
    format_: common.OfFormat = "png",
    as_json: common.AsJson = False,
    no_grid: acting.NoGrid = False,
) -> None:
    """Let PICTURE go on towards one side."""
    options = Options(model, device, seed, num_steps, guidance_scale, None, out, format_, as_json)
    acting.act(
        options,
        f"pan {picture.stem} {direction}",
        {"action": "pan", "direction": direction},
        {"image": picture},
        acting.words_of(picture, prompt),
        new_prompt=prompt is not None,
        num_images=num_images,
        with_grid=not no_grid,
    )
