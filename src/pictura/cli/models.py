"""`pictura models`: what can paint here, with size, licence and scores."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictura.core.errors import ModelError

if TYPE_CHECKING:
    from pictura.store.models import ModelInfo


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    rollback: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What 'default' shall be again: a version, the base, or `default` for one step back.",
        ),
    ] = None,
) -> None:
    """List the models that can be used, or take a promotion back."""
    from pictura.store.models import default_name, find_models, hidden_models, home

    if rollback is not None:
        _roll_back(rollback)
        return

    def tell(error: ModelError) -> None:
        typer.echo(f"Left out: {error}", err=True)

    models = find_models(on_broken=tell)
    if as_json:
        typer.echo(json.dumps([describe(model) for model in models], indent=2))
        return
    head = ("name", "family", "kind", "MB", "learnt MB", "student", "licence", "scores", "path")
    rows = [head, *(_row(model) for model in models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
    for sentence in hidden_models():
        typer.echo(f"Note: {sentence}")
    typer.echo(f"'default' is {default_name()!r}. Your own models live in {home() / 'models'}.")


def _roll_back(name: str) -> None:
    """Let `default` stand again for what it stood for before."""
    from pictura.store.models import ALIASES, default_name, resolve
    from pictura.store.promoted import roll_back

    before = default_name()
    roll_back(None if name == "default" else name, base=ALIASES["default"])
    resolve("default")  # it is there and can be read
    typer.echo(f"'default' was {before!r} and is {default_name()!r} now. Running workers paint with it next.")


def describe(model: "ModelInfo") -> dict[str, Any]:
    """One model as it stands in the JSON list."""
    return {
        "name": model.name,
        "family": model.family,
        "kind": model.kind,
        "size_mb": model.size_mb,
        "delta_mb": model.delta_mb,
        "student": _student(model),
        "licence": model.licence,
        "metrics": dict(model.metrics),
        "path": str(model.path),
    }


def _row(model: "ModelInfo") -> tuple[str, ...]:
    said = ((name, _headline(value)) for name, value in model.metrics.items())
    scores = " ".join(f"{name}={value:.4g}" for name, value in said if value is not None)
    learnt = f"{model.delta_mb:.1f}" if model.deltas else "-"
    drafts = _student(model)
    student = f"{drafts['num_steps']} steps" if drafts else "-"
    sizes = f"{model.size_mb:.1f}", learnt, student
    return model.name, model.family, model.kind, *sizes, model.licence, scores or "-", str(model.path)


def _student(model: "ModelInfo") -> dict[str, Any] | None:
    """What `--draft` paints with; None where the model itself does."""
    from pictura.store.student import student_of

    student = student_of(model)
    if student is None:
        return None
    return {
        "num_steps": student.sampling.num_steps,
        "size_mb": student.size_mb,
        "hash": student.hash,
        "metrics": dict(model.manifest["student"].get("metrics", {})),
    }


def _headline(value: Any) -> float | None:
    """The number that stands for a metric: itself, or what its table calls overall."""
    number = value.get("overall") if isinstance(value, dict) else value
    return number if isinstance(number, int | float) else None
