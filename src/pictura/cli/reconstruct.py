"""`pictura reconstruct`: a picture in; what is left of it, by the model's own eyes, out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictura.cli import imagination as common
from pictura.cli.imagination import Made, OnStep, Options
from pictura.core.errors import ConfigError

if TYPE_CHECKING:
    from pictura.imagination import Imagination


def command(
    picture: common.PictureFile,
    components: Annotated[
        str | None,
        typer.Option(
            help="Instead: from so many principal components of its vector, such as 5,20,256; 'some' chooses."
        ),
    ] = None,
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
    """Paint PICTURE again, and say how near it comes.

    Once from its vector and its noise, and once from its vector alone.
    """
    counts = None if components is None else parse_counts(components)
    options = Options(model, device, seed, num_steps, guidance_scale, size, out, format_, as_json)

    def work(imagination: "Imagination", manner: dict[str, Any], on_step: OnStep) -> Made:
        if counts is not None:
            made = imagination.components(picture, counts, on_step=on_step, **manner)
            kept = made[0].settings["made_by"]["components"]
            words = (f"{', '.join(map(str, kept))} components",)
            return Made(made, {"strip": common.strip(made)}, {"components": kept}, words)
        trip = imagination.round_trip(picture, on_step=on_step, **manner)
        both = [trip.again, trip.imagined]
        facts = {"psnr_db": round(trip.psnr, 2), "psnr_small_db": round(trip.psnr_small, 2)}
        words = (f"PSNR {trip.psnr:.1f} dB, {trip.psnr_small:.1f} dB before it was enlarged",)
        return Made(both, {"strip": common.strip([trip.original, *both])}, facts, words)

    common.run(options, f"again {picture.stem}", work)


def parse_counts(text: str) -> list[int]:
    """Read ``5,20,256``; ``some`` is an empty list.

    Raises:
        ConfigError: `text` is neither.
    """
    if text.strip() == "some":
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"--components are whole numbers with commas between them, such as 5,20, or 'some'; got {text!r}."
        ) from error
