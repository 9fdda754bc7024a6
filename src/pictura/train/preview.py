"""Sample grids along the way: what the averaged weights paint, or give back, at this moment."""

import math
from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor

from pictura.core.images import on_background, to_pil
from pictura.train.autoencoder import AutoencoderTask
from pictura.train.flow import FlowTask
from pictura.train.materials import Materials, Task
from pictura.train.recipe import Recipe

NUM_PICTURES = 64
GUTTER = 2


@torch.no_grad()
def preview(task: Task, weights: Mapping[str, Tensor], recipe: Recipe, materials: Materials) -> Image.Image:
    """A grid of samples on white.

    Painters show their prompts in order; autoencoders show rows of pictures, each above its copy.
    """
    trained = {k: v.clone() for k, v in task.module.state_dict().items()}
    task.module.load_state_dict(dict(weights))
    try:
        if isinstance(task, AutoencoderTask):
            images = _copies(task, materials)
        else:
            images = _paintings(task, recipe, materials)
    finally:
        task.module.load_state_dict(trained)
    return tile(images)


def _copies(task: AutoencoderTask, materials: Materials) -> Tensor:
    images = torch.as_tensor(materials.validation.batch(0, NUM_PICTURES // 2).images).to(task.device)
    copies = task.module.autoencoder.decode_raw(task.module.autoencoder.posterior(images)[0]).clamp(0, 1)
    rows = [part for pair in zip(images.split(8), copies.split(8), strict=True) for part in pair]
    return torch.cat(rows)


def _paintings(task: FlowTask, recipe: Recipe, materials: Materials) -> Tensor:
    prompts = recipe.log.prompts or materials.validation.batch(0, NUM_PICTURES).captions
    factor = task.autoencoder.config.factor if task.autoencoder else 1
    side = recipe.data.size // factor
    return task.sample(prompts[:NUM_PICTURES], (side, side))


def tile(images: Tensor) -> Image.Image:
    """(B, 3 or 4, H, W) in [0, 1] to one near-square picture with a white gutter."""
    rows = to_pil(on_background(images.float().cpu(), 1.0).clamp(0, 1).numpy())
    columns = 8 if len(rows) == NUM_PICTURES else math.ceil(math.sqrt(len(rows)))
    width, height = rows[0].width + GUTTER, rows[0].height + GUTTER
    sheet = Image.new("RGB", (columns * width, math.ceil(len(rows) / columns) * height), "white")
    for i, row in enumerate(rows):
        sheet.paste(row, (i % columns * width, i // columns * height))
    return sheet
