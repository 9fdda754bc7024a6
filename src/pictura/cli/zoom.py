"""`pictura zoom`: a picture in; what one would see of it from further away out."""

from pathlib import Path
from typing import Annotated

import typer

from pictura.cli import acting
from pictura.cli import imagination as common
from pictura.cli.imagination import Options


def command(
    picture: common.PictureFile,
    factor: Annotated[
        float, typer.Option(min=1, max=2, help="How many times as far, above 1 and at most 2.")
    ] = 2.0,
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
    """Paint what is around PICTURE, which stays in the middle."""
    options = Options(model, device, seed, num_steps, guidance_scale, None, out, format_, as_json)
    acting.act(
        options,
        f"zoom {picture.stem}",
        {"action": "zoom", "factor": factor},
        {"image": picture},
        acting.words_of(picture, prompt),
        new_prompt=prompt is not None,
        num_images=num_images,
        with_grid=not no_grid,
    )
