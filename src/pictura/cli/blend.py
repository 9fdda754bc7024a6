"""`pictura blend`: two to five pictures in; pictures of what is between them out."""

from pathlib import Path
from typing import Annotated

import typer

from pictura.cli import acting
from pictura.cli import imagination as common
from pictura.cli.imagination import Options
from pictura.core.errors import ConfigError

_MOST = 5


def command(
    pictures: Annotated[list[Path], typer.Argument(help="Two to five pictures.")],
    prompt: Annotated[
        str | None, typer.Option(help="One voice more beside the pictures, in plain words.")
    ] = None,
    num_images: acting.Num = 4,
    model: Annotated[
        str, typer.Option(help="Of the family unclip, which blends what a CLIP sees; or flow.")
    ] = "unclip",
    device: common.OfDevice = "auto",
    seed: common.Seed = None,
    num_steps: common.Steps = None,
    guidance_scale: common.Guidance = None,
    size: common.Size = None,
    out: common.Out = Path("pictures"),
    format_: common.OfFormat = "png",
    as_json: common.AsJson = False,
    no_grid: acting.NoGrid = False,
) -> None:
    """Paint what is between two to five PICTURES."""
    if not 2 <= len(pictures) <= _MOST:
        raise ConfigError(f"`pictura blend` takes 2 to {_MOST} pictures; got {len(pictures)}.")
    words = [acting.said_of(path).get("prompt") for path in pictures]
    found = prompt or ", ".join(dict.fromkeys(str(one) for one in words if one)) or "picture"
    options = Options(model, device, seed, num_steps, guidance_scale, size, out, format_, as_json)
    acting.act(
        options,
        f"blend {acting.listed(pictures)}",
        {"action": "blend", "prompted": prompt is not None},
        {f"image_{i}": path for i, path in enumerate(pictures)},
        found,
        num_images=num_images,
        with_grid=not no_grid,
    )
