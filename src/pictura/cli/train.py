"""`pictura train`: a recipe in, a run with checkpoints out."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a TOML file.")],
    max_minutes: Annotated[
        float,
        typer.Option(help="End this stretch after so many minutes, decay done; 0 = the recipe's.", min=0),
    ] = 0.0,
    runs: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("runs"),
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="What computes.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads of each process; 0 = torch's choice.", min=0)] = 0,
) -> None:
    """Train a model by RECIPE; run again to go on where it stopped."""
    from pictura.train.distributed import join
    from pictura.train.loop import Run
    from pictura.train.recipe import load_recipe

    settings = load_recipe(recipe)
    with join(device, threads=threads) as process:
        folder = runs / settings.name
        run = Run(settings, recipe.resolve().parent, folder, process)
        if process.leads and run.step:
            typer.echo(f"Going on from step {run.step}.", err=True)
        reason = run.train(max_minutes=max_minutes)
        if not process.leads:
            return
    options = {"--runs": runs if runs != Path("runs") else "", "--max-minutes": max_minutes or ""}
    chosen = [str(word) for name, value in options.items() if value for word in (name, value)]
    again = shlex.join(["pictura", "train", str(recipe), *chosen])
    end = {
        "steps": "All steps are done.",
        "minutes": f"The minutes are over. Go on with: {again}",
        "interrupt": f"Stopped and saved. Go on with: {again}",
    }[reason]
    typer.echo(f"{folder}: step {run.step}, {run.seconds / 60:.0f} min of training. {end}")
    if reason == "interrupt":
        raise typer.Exit(130)
