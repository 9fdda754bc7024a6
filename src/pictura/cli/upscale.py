"""`pictura upscale`: a picture in; the same, 2 or 4 times as large, out."""

from pathlib import Path
from typing import Annotated

import typer

from pictura.cli import acting
from pictura.cli import imagination as common
from pictura.cli.imagination import Options


def command(
    picture: common.PictureFile,
    factor: Annotated[int, typer.Option(min=2, max=4, help="2 or 4.")] = 2,
    model: Annotated[
        str, typer.Option(help="With an upsampler, such as those of the family unclip; else it is Lanczos.")
    ] = "unclip",
    device: common.OfDevice = "auto",
    seed: common.Seed = None,
    out: common.Out = Path("pictures"),
    format_: common.OfFormat = "png",
    as_json: common.AsJson = False,
) -> None:
    """Make PICTURE 2 or 4 times as large."""
    from pictura.actions.enlarging import LANCZOS, LEARNT, learner  # heavy: numpy
    from pictura.store.models import resolve

    said = acting.said_of(picture)
    by = LEARNT if learner([resolve(model)]) else LANCZOS
    options = Options(model, device, seed, None, None, None, out, format_, as_json)
    acting.act(
        options,
        f"upscale {picture.stem}",
        {"action": "upscale", "factor": factor},
        {"image": picture},
        str(said.get("prompt", "")),
        by=by,
        said=said,
    )
