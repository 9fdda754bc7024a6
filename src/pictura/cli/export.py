"""`pictura export`: a training run in, a model folder out."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pictura.core.errors import ConfigError

if TYPE_CHECKING:
    from pictura.train.export.part import Provenance

Weights = Literal["ema_long", "ema_short", "model", "ema", "values"]


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of one checkpoint.")],
    name: Annotated[str, typer.Option(help="Name of the model.")],
    out: Annotated[
        Path | None, typer.Option(help="Model folder to write. [default: NAME among your own models]")
    ] = None,
    last: Annotated[
        bool, typer.Option("--last", help="The newest checkpoint, not the one that did best on what is kept.")
    ] = False,
    weights: Annotated[
        Weights | None,
        typer.Option(help="Which weights of the run. [default: ema_long; ema of a learnt one]"),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="TOML for the model card: licence, data, metrics, training.")
    ] = None,
    solver: Annotated[str | None, typer.Option(help="How it paints, in place of the recipe's.")] = None,
    num_steps: Annotated[int | None, typer.Option("--steps", min=1, help="The same.")] = None,
    guidance_scale: Annotated[float | None, typer.Option("--guidance", min=0, help="The same.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="The same.")] = None,
    top_k: Annotated[int | None, typer.Option(min=0, help="The same.")] = None,
    prior: Annotated[
        Path | None, typer.Option(help="Of unCLIP, whose decoder RUN is: the run of its prior.")
    ] = None,
    upsampler: Annotated[Path | None, typer.Option(help="The same: the run of its upsampler.")] = None,
    student: Annotated[
        bool,
        typer.Option(
            "--student", help="Of a run of learning: write its base, with RUN as what --draft paints by."
        ),
    ] = False,
) -> None:
    """Turn a run into a model folder that paints."""
    from pictura.learn.export import export_learnt, is_run_of_learning  # heavy: torch
    from pictura.learn.export_student import export_student
    from pictura.store.models import home
    from pictura.train.checkpoint import find_best
    from pictura.train.export.checkpoint import export_checkpoint

    best = None if last else find_best(run)
    folder = out or home() / "models" / name
    chosen = {
        "solver": solver,
        "num_steps": num_steps,
        "guidance_scale": guidance_scale,
        "temperature": temperature,
        "top_k": top_k,
    }
    sampling = {key: value for key, value in chosen.items() if value is not None}
    given = {"prior": prior, "upsampler": upsampler}
    parts = {key: (None if last else find_best(where)) or where for key, where in given.items() if where}
    provenance = read_card(card) if card else None
    by = "validation loss"
    if is_run_of_learning(run):
        if parts:
            raise ConfigError(
                f"{run} learnt from rewards on a model that has its parts: leave --prior and --upsampler out."
            )
        weights, by = weights or "ema", "held-out rise"
        if student and sampling:
            raise ConfigError(
                f"A student paints as it learnt to: leave {', '.join(map(_option, sampling))} out."
            )
        model = (
            export_student(run, folder, name=name, last=last, weights=weights, provenance=provenance)
            if student
            else export_learnt(
                run, folder, name=name, last=last, weights=weights, provenance=provenance, sampling=sampling
            )
        )
    elif student:
        raise ConfigError(f"{run} is no run of `pictura learn`, which makes students: leave --student out.")
    else:
        model = export_checkpoint(
            best or run,
            folder,
            name=name,
            weights=weights or "ema_long",
            provenance=provenance,
            sampling=sampling,
            parts=parts,
        )
    proven = "  torch and ONNX agree" if model.graphs else ""
    if best:
        typer.echo(_told(best, run, by))
    typer.echo(f"{model.path}  {model.size_mb} MB{proven}")
    if model.kind == "painter":
        typer.echo(f'Paint with it: pictura imagine "a red apple" --model {name if out is None else folder}')


def _option(name: str) -> str:
    """What a setting is typed as."""
    return {"num_steps": "--steps", "guidance_scale": "--guidance", "top_k": "--top-k"}.get(name, f"--{name}")


def _told(best: Path, run: Path, by: str) -> str:
    """Which checkpoint was taken, and which was not."""
    from pictura.train.checkpoint import find_latest, read_state

    state, newest = read_state(best), find_latest(run)
    line = f"Took its best checkpoint: step {state['step']}, {by} {state['validation']:.4g}."
    if newest is None or read_state(newest)["step"] == state["step"]:
        return line
    return f"{line} --last takes the newest, step {read_state(newest)['step']}."


def read_card(path: Path) -> "Provenance":
    """Read what a model card says beyond the run: licence, data, metrics, training.

    Raises:
        ConfigError: the file is missing, no TOML, or has an unknown key.
    """
    from pictura.train.export.part import Provenance
    from pictura.train.recipe import from_table

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The card {path} cannot be read as TOML ({error}).") from error
    return from_table(Provenance, table, str(path))
