"""`pictura learn`: a recipe or people's ratings in, a painter that earns more of its reward out."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from pictura.core.errors import ConfigError, PicturaError, TrainingError
from pictura.store.models import home


def command(
    recipe: Annotated[
        Path | None, typer.Argument(help="The recipe, a TOML file; --from-ratings has one of its own.")
    ] = None,
    max_minutes: Annotated[
        float, typer.Option(help="End this stretch after so many minutes; 0 = the recipe's.", min=0)
    ] = 0.0,
    runs: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("runs"),
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="What computes.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads of each process; 0 = torch's choice.", min=0)] = 0,
    reward: Annotated[
        list[str] | None,
        typer.Option(help="A reward of your own, my_module:score, instead of the recipe's; may be repeated."),
    ] = None,
    export: Annotated[bool, typer.Option(help="Write the report and the learnt model at the end.")] = True,
    from_ratings: Annotated[
        bool,
        typer.Option("--from-ratings", help="Learn from a studio's ratings; promote what passes the gate."),
    ] = False,
    database: Annotated[
        str | None, typer.Option(help="Of the studio: sqlite:///FILE or postgresql://…")
    ] = None,
    files: Annotated[str | None, typer.Option(help="Folder or URL of the studio's pictures.")] = None,
    parquet: Annotated[
        Path | None, typer.Option(help="Exported ratings with their pictures, instead of a studio's.")
    ] = None,
    model: Annotated[str, typer.Option(help="Who learns from ratings.")] = "default",
    name: Annotated[
        str | None, typer.Option(help="Of the versions, which get a number. [default: MODEL-rated]")
    ] = None,
    bench_prompts: Annotated[
        int, typer.Option(min=0, help="Ask so many prompts of GlyphBench in the gate; 0 = all.")
    ] = 0,
    bench_images: Annotated[int, typer.Option(min=1, help="Pictures of each in the gate.")] = 2,
) -> None:
    """Let a model learn from rewards by RECIPE, or from ratings."""
    if from_ratings:
        from pictura.cli.from_ratings import Asked, learn_from_ratings

        if reward:
            raise ConfigError("--reward goes with a RECIPE alone: --from-ratings learns from people.")
        learn_from_ratings(
            Asked(
                recipe=recipe,
                model=model,
                name=name,
                database=database,
                files=files,
                parquet=parquet,
                runs=runs,
                device=device,
                threads=threads,
                max_minutes=max_minutes,
                bench_prompts=bench_prompts,
                bench_images=bench_images,
            )
        )
        return
    if recipe is None:
        raise ConfigError("`pictura learn` needs a RECIPE, or --from-ratings; it got neither.")
    from pictura.learn.loop import Run
    from pictura.learn.recipe import load_learn_recipe
    from pictura.train.distributed import join

    settings = load_learn_recipe(recipe, rewards=tuple({"name": name} for name in reward or ()))
    with join(device, threads=threads) as process:
        folder = runs / settings.name
        run = Run(settings, recipe.resolve().parent, folder, process)
        if process.leads:
            if run.held_out.scores.note:
                typer.echo(run.held_out.scores.note, err=True)
            if run.step:
                typer.echo(f"Going on from update {run.step}.", err=True)
        end = run.learn(max_minutes=max_minutes)
        if not process.leads:
            return
    again = _again(recipe, runs, max_minutes, reward)
    told = {
        "updates": "All updates are done.",
        "minutes": f"The minutes are over. Go on with: {again}",
        "interrupt": f"Stopped and saved. Go on with: {again}",
        "guard": f"A guard stopped it: {end.reason}.",
    }[end.kind]
    typer.echo(f"{folder}: update {run.step}, {run.seconds / 60:.0f} min of learning. {told}")
    if end.kind == "interrupt":
        raise typer.Exit(130)
    if export:
        _export(folder, settings.name)
    if end.kind == "guard":
        raise typer.Exit(TrainingError.exit_code)


def _export(run: Path, name: str) -> None:
    """Write the report and the model; the run is safe whatever fails."""
    from pictura.learn.export import export_learnt
    from pictura.learn.report import write_report

    typer.echo(f"Report: {write_report(run)}")
    try:
        model = export_learnt(run, home() / "models" / name, name=name)
    except PicturaError as error:
        typer.echo(f"No model was exported: {error}", err=True)
    else:
        typer.echo(f"Model: {model.path}. Paint with: pictura imagine 'a red apple' --model {name}")


def _again(recipe: Path, runs: Path, max_minutes: float, rewards: list[str] | None) -> str:
    """The command that goes on."""
    options = [("--runs", runs if runs != Path("runs") else ""), ("--max-minutes", max_minutes or "")]
    options += [("--reward", name) for name in rewards or ()]
    chosen = [str(word) for name, value in options if value for word in (name, value)]
    return shlex.join(["pictura", "learn", str(recipe), *chosen])
