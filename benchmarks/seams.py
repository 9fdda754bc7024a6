"""Seams between the places of a latent: how much stronger pixels change there than inside a place.

    python -m benchmarks.seams [--model flow] [--model FOLDER] [--pictures 256] [--write]

Of each model: GlyphBench's prompts in a drawn order, one picture each, seed 0, as large as the network
paints; the mean absolute difference of neighbouring pixels across the borders of latent places, over that
inside of them. Scenes of the training pack beside it, which know no places: about 1.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.families import native_size
from benchmarks.report import machine, table, write_section
from pictura import load
from pictura.core.images import from_pil
from pictura.evaluate.glyphbench import load_glyphbench
from pictura.train.materials import load_materials
from pictura.train.recipe import load_recipe

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "decoder.toml"


def seams(images: NDArray[np.float32], factor: int) -> float:
    """Change across the borders of places, over that inside of them.

    Args:
        images: (B, C, H, W), premultiplied.
        factor: pixels of a place, along one side.
    """
    across, inside = [], []
    for axis in (2, 3):
        change = np.abs(np.diff(images, axis=axis)).mean(axis=(0, 1, 5 - axis))
        border = np.arange(len(change)) % factor == factor - 1
        across.append(change[border].mean())
        inside.append(change[~border].mean())
    return float(np.mean(across) / np.mean(inside))


def painted(name: str, count: int) -> tuple[NDArray[np.float32], int]:
    """Pictures (B, 4, H, W) of a model, and its factor."""
    painter = load(name)
    size = native_size(painter)
    prompts = [prompt.prompt for prompt in load_glyphbench()]
    order = np.random.default_rng(0).permutation(len(prompts))[:count]
    pictures = [painter.paint(prompts[i], num_images=1, seed=0, size=size)[0].image for i in order]
    return np.asarray(from_pil(pictures)), painter.model.factor


def real(count: int) -> NDArray[np.float32]:
    """Scenes (B, 4, H, W) that are never trained on."""
    recipe = load_recipe(RECIPE)
    materials = load_materials(recipe, RECIPE.parent, torch.device("cpu"), learnt="")
    return np.asarray(materials.validation.batch(0, count).images)


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    asked = parser.parse_args()
    started, rows = time.monotonic(), []
    for name in asked.model or ["flow"]:
        images, factor = painted(name, asked.pictures)
        rows.append((name, f"{seams(images, factor):.3f}"))
    rows.append(("scenes", f"{seams(real(asked.pictures), factor):.3f}"))
    text = table(("pictures of", "seams"), rows)
    print(text)
    if asked.write:
        about = (
            f"`python -m benchmarks.seams`, {time.monotonic() - started:.0f} s. {asked.pictures} pictures a "
            f"row, as the networks paint them. Machine: {machine()}."
        )
        write_section("Seams of the latent", f"{about}\n\n{text}")


if __name__ == "__main__":
    main()
