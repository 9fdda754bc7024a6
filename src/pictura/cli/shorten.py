"""`pictura shorten`: a prompt in; how much each word matters, and shorter prompts, out."""

import json
from typing import Annotated

import typer

from pictura.cli import imagination as common


def command(
    prompt: Annotated[str, typer.Argument(help="In plain words.")],
    num: Annotated[int, typer.Option("--n", min=1, max=50, help="How many shorter prompts.")] = 5,
    model: Annotated[str, typer.Option(help="A CLIP: a name, or its folder.")] = "clip-guide",
    as_json: common.AsJson = False,
) -> None:
    """Weigh the words of PROMPT, and leave the lightest out."""
    from pictura.actions.shortening import shorten  # heavy: numpy, onnxruntime

    found = shorten(prompt, num=num, model=model)
    if as_json:
        tokens = [word._asdict() for word in found.words]
        typer.echo(json.dumps({"prompt": prompt, "model": model, "tokens": tokens, "prompts": found.prompts}))
        return
    typer.echo("  ".join(f"{word.word} {word.weight:.2f}" for word in found.words))
    for text in found.prompts:
        typer.echo(text)
