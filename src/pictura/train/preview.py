"""Sample grids along the way: what the averaged weights paint, or give back, at this moment."""

import math
from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor

from pictura.core.images import on_background, to_pil
from pictura.train.materials import Materials
from pictura.train.recipe import Recipe
from pictura.train.task import Task

NUM_PICTURES = 64
GUTTER = 2


@torch.no_grad()
def preview(
    task: Task, weights: Mapping[str, Tensor], recipe: Recipe, materials: Materials
) -> Image.Image | None:
    """A grid of what the task shows with these weights, on white; None if it shows nothing."""
    trained = {k: v.clone() for k, v in task.module.state_dict().items()}
    task.module.load_state_dict({**trained, **weights})
    try:
        images = task.preview(recipe, materials, NUM_PICTURES)
    finally:
        task.module.load_state_dict(trained)
    return None if images is None else tile(images)


def tile(images: Tensor) -> Image.Image:
    """(B, 3 or 4, H, W) in [0, 1] to one near-square picture with a white gutter."""
    rows = to_pil(on_background(images.float().cpu(), 1.0).clamp(0, 1).numpy())
    columns = _columns(len(rows))
    width, height = rows[0].width + GUTTER, rows[0].height + GUTTER
    sheet = Image.new("RGB", (columns * width, math.ceil(len(rows) / columns) * height), "white")
    for i, row in enumerate(rows):
        sheet.paste(row, (i % columns * width, i // columns * height))
    return sheet


def untile(sheet: Image.Image, number: int) -> list[Image.Image]:
    """The `number` pictures that `tile` put on a sheet."""
    columns = _columns(number)
    width, height = sheet.width // columns, sheet.height // math.ceil(number / columns)
    places = [(i % columns * width, i // columns * height) for i in range(number)]
    return [sheet.crop((x, y, x + width - GUTTER, y + height - GUTTER)) for x, y in places]


def _columns(number: int) -> int:
    return 8 if number == NUM_PICTURES else math.ceil(math.sqrt(number))
