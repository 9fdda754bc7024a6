"""Pictures treated badly, on purpose: what judges and CLIPs learn from beside clean ones.

`turn` and `spoil` leave a thing what it is, `shuffle` leaves its colours and nothing else. Stronger bends,
hidden spots, melted pictures and pictures painted anew were tried, and judges got worse (docs/log.md).

Letters B batch, M things in a picture at most.
Units   pictures (B, 3, H, W) float32 in [0, 1] on light grey; centres (B, M, 2) as fractions of the picture.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

PIECE = 8
"""Side in pixels of what `shuffle` cuts pictures into."""


def turn(images: Tensor, centres: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Turn, scale and slant pictures about their middle by a little, and the centres with them."""
    size = len(images)
    angle = np.clip(rng.standard_normal(size) * 0.08, -0.25, 0.25)
    scale = np.exp(rng.uniform(-0.12, 0.12, (size, 2)))
    slant = rng.standard_normal(size) * 0.05
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.stack(
        [
            np.stack([cos * scale[:, 0], (-sin + slant) * scale[:, 1]], axis=-1),
            np.stack([sin * scale[:, 0], cos * scale[:, 1]], axis=-1),
        ],
        axis=1,
    ).astype(np.float32)
    back = torch.from_numpy(matrix).to(images)
    theta = F.pad(back, (0, 1))
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    moved = (centres * 2 - 1) @ torch.linalg.inv(back).transpose(1, 2)
    return turned, (moved / 2 + 0.5).clamp(0, 0.999)


def spoil(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Change contrast, lightness and saturation; blur some pictures, put noise on some."""
    size = len(images)

    def draw(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (size, 1, 1, 1)).astype(np.float32)).to(images)

    def some(part: float) -> Tensor:
        return torch.from_numpy(rng.random((size, 1, 1, 1)) < part).to(images.device)

    grey = images.mean(dim=1, keepdim=True)
    out = grey + (images - grey) * draw(0.8, 1.15)
    out = (out - 0.8) * draw(0.85, 1.1) + 0.8 + draw(-0.04, 0.04)
    out = torch.where(some(0.25), F.avg_pool2d(F.pad(out, (1, 1, 1, 1), mode="replicate"), 3, 1), out)
    coarse = F.interpolate(F.avg_pool2d(out, 2), scale_factor=2, mode="bilinear", align_corners=False)
    out = torch.where(some(0.12), coarse, out)
    noise = torch.from_numpy(rng.standard_normal(out.shape, dtype=np.float32)).to(out)
    out = torch.where(some(0.4), out + noise * draw(0, 0.06), out)
    return out.clamp(0, 1)


def shuffle(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Cut pictures into 8 x 8 pixel pieces and mix them: what is in them is gone, its colours stay."""
    pieces = F.unfold(images, PIECE, stride=PIECE)
    order = torch.from_numpy(rng.permutation(pieces.shape[2])).to(images.device)
    height, width = images.shape[2:]
    return F.fold(pieces[:, :, order], (height, width), PIECE, stride=PIECE)
