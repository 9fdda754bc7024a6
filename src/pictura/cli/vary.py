"""`pictura vary`: a picture in; the same, a little or rather different, out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictura.cli import acting
from pictura.cli import imagination as common
from pictura.cli.imagination import Made, OnStep, Options
from pictura.core.errors import ConfigError

if TYPE_CHECKING:
    from pictura.imagination import Imagination

_ETA = 0.5


def command(
    picture: common.PictureFile,
    num_images: acting.Num = 4,
    strength: Annotated[
        acting.Strength | None, typer.Option(help="How different they are. [default: strong]")
    ] = None,
    eta: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Of models that imagine: 0 paints the picture itself, 1 the freest. [default: 0.5]",
        ),
    ] = None,
    prompt: acting.Prompt = None,
    model: Annotated[
        str, typer.Option(help="Of the family unclip or flow: a name from `pictura models`, or its folder.")
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
    """Paint pictures of the same idea as PICTURE."""
    options = Options(model, device, seed, num_steps, guidance_scale, size, out, format_, as_json)
    if strength is not None and eta is not None:
        raise ConfigError("--strength and --eta both say how different pictures are; give one.")
    from pictura.store.models import resolve

    if not resolve(model).by_imagination:
        if eta is not None:
            raise ConfigError(f"--eta is of models that imagine; {model!r} takes --strength.")
        acting.act(
            options,
            f"vary {picture.stem}",
            {"action": "vary", "strength": strength or "strong"},
            {"image": picture},
            acting.words_of(picture, prompt),
            num_images=num_images,
            with_grid=not no_grid,
        )
        return
    if prompt is not None:
        raise ConfigError("--prompt is of models that paint by steps; take `pictura edit` for another text.")
    freedom = _freedom(strength, eta)

    def work(imagination: "Imagination", manner: dict[str, Any], on_step: OnStep) -> Made:
        from pictura.store.pictures import grid

        made = imagination.vary(picture, num_images=num_images, eta=freedom, on_step=on_step, **manner)
        return Made(made, {} if no_grid or num_images == 1 else {"grid": grid(made)}, {})

    common.run(options, f"vary {picture.stem}", work)


def _freedom(strength: acting.Strength | None, eta: float | None) -> float:
    from pictura.actions.strengths import ETA

    if strength is not None:
        return ETA[strength]
    return _ETA if eta is None else eta
