"""All families that ship, side by side: a table of scores, and one sheet of prompts painted by each.

    pictura evaluate stackgan attngan dalle unclip flow --reference GLYPHS --out DIR --json > FILE
    python -m benchmarks.families FILE... [--sheet docs/families/side-by-side.png]

The first command scores, as for any model (one at a time will do). Here its JSON becomes rows, and what it
does not know is added: weights, and seconds that one picture takes in a call of one, warm, as it comes from
the network (nothing enlarged). The sheet has one picture for each prompt and model, seed 0, nothing picked.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from safetensors import safe_open

from benchmarks.report import best_seconds, machine, table
from pictura.pipeline import Painter, load
from pictura.store.models import resolve
from pictura.store.student import student_of

PROMPTS = (
    "a red apple", "a smiling face", "a panda", "an octopus", "a rocket", "a birthday cake", "a purple car",
    "a blue heart", "a fox on a light blue background", "an owl in pixel art", "three stars", "two penguins",
    "a cat and a dog",
    "a star above a house", "a banana to the left of a key", "a red car and a blue ball",
)  # fmt: skip
"""Two of each task of GlyphBench and two of a style or a background, from the easiest to the hardest."""
HEAD = (
    "model", "weights", "GlyphBench (judge B)", "R-precision", "FD-local", "diversity", "ms a picture",
)  # fmt: skip
CELL, GAP, WORDS, HEAD_ROW = 96, 4, 250, 32
"""Pixels of the sheet."""


def native_size(painter: Painter) -> tuple[int, int]:
    """(width, height) that the network paints."""
    (h, w), factor = painter.model.grids[0], painter.model.factor
    return w * factor, h * factor


def num_weights(name: str) -> int:
    """Of all networks that painting needs."""
    with safe_open(str(resolve(name.partition("@")[0]).path / "weights.safetensors"), "np") as weights:
        return sum(int(np.prod(weights.get_slice(key).get_shape())) for key in weights.keys())  # noqa: SIM118


def row(scored: dict[str, Any], painter: Painter) -> list[str]:
    """Cells of one model."""
    judge = next(one for one in scored["judges"] if one["judge"] == "judge-b")["overall"]
    random_net = next(one for one in scored["likeness"] if one["net"] == "random")
    own = next(one for one in scored["likeness"] if one["net"] == "judge-b")
    precision = scored["clip"]["r_precision"]
    size = native_size(painter)
    seconds = best_seconds(lambda: painter.paint(PROMPTS[0], num_images=1, seed=1, size=size), budget_s=4)
    return [
        scored["name"],
        f"{num_weights(scored['name']) / 1e6:.1f} M",
        f"{judge['value']:.3f} [{judge['low']:.3f}, {judge['high']:.3f}]",
        f"{precision['value']:.3f} [{precision['low']:.3f}, {precision['high']:.3f}]",
        f"{random_net['fd']:.1f}",
        f"{own['diversity']['value']:.1f}",
        f"{1000 * seconds:.0f}",
    ]


def sheet(painters: dict[str, Painter]) -> Image.Image:
    """A row of each prompt, a column of each model, and of its student if it has one, on white."""
    columns: list[tuple[str, Painter, bool]] = []
    for name, painter in painters.items():
        columns.append((name, painter, False))
        if student_of(painter.model):
            columns.append((f"{name}, student", painter, True))
    step = CELL + GAP
    paper = Image.new("RGB", (WORDS + step * len(columns), HEAD_ROW + step * len(PROMPTS)), "white")
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(15)
    for y, prompt in enumerate(PROMPTS):
        draw.text((8, HEAD_ROW + y * step + CELL / 2), prompt, "black", font, anchor="lm")
    for x, (name, painter, student) in enumerate(columns):
        draw.text((WORDS + x * step + CELL / 2, HEAD_ROW / 2), name, "black", font, anchor="mm")
        for y, prompt in enumerate(PROMPTS):
            made = painter.paint(
                prompt, num_images=1, seed=0, size=native_size(painter), student=student or None
            )
            cell = on_white(made[0].image).resize((CELL, CELL), Image.Resampling.LANCZOS)
            paper.paste(cell, (WORDS + x * step, HEAD_ROW + y * step))
    return paper


def on_white(picture: Image.Image) -> Image.Image:
    """RGB of a picture that may be transparent."""
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def main() -> None:
    """Print the table; paint the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("scores", type=Path, nargs="+", help="what `pictura evaluate --json` printed")
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    rows = [row for file in args.scores for row in json.loads(file.read_text())["rows"]]
    scored = [one for one in rows if one["kind"] == "model"]
    painters = {one["name"]: load(one["name"]) for one in scored}
    print(table(HEAD, [row(one, painters[one["name"]]) for one in scored]))
    print(f"\n{machine()}.")
    if args.sheet:
        sheet(painters).save(args.sheet, optimize=True)


if __name__ == "__main__":
    main()
