"""Pictures treated badly, on purpose: what judges learn from beside clean ones.

Some changes leave a thing what it is (`turn`, `spoil`, `Repainter` from little noise); others leave its
colours and nothing else (`shuffle`, `melt`, `Repainter` from nearly pure noise).

Source  Simard et al. 2003 for bending; Meng et al. 2022, SDEdit (arXiv:2108.01073), for repainting.
Letters B batch, C latent channels, h w latent size.
Units   pictures (B, 3, H, W) float32 in [0, 1] on light grey; centres as fractions of the picture.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pictura.core.images import on_background
from pictura.core.types import Conditioning
from pictura.encode.tokenizer import Tokenizer
from pictura.families.flow.backend import FlowParts
from pictura.sample.schedules import time_grid
from pictura.store.models import resolve

Floats = NDArray[np.float64]
PIECE = 8
"""Side in pixels of what `shuffle` cuts pictures into."""
_REPAINT_STEPS = 3
_SHIFT = 3.0


def turn(images: Tensor, centres: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Turn, scale, slant and bend pictures a little, and turn the centres (B, M, 2) with them."""
    size = len(images)
    angle = np.clip(rng.standard_normal(size) * 0.1, -0.3, 0.3)
    scale = np.exp(rng.uniform(-0.2, 0.2, (size, 2)))
    slant = rng.standard_normal(size) * 0.08
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.stack(
        [
            np.stack([cos * scale[:, 0], (-sin + slant) * scale[:, 1]], axis=-1),
            np.stack([sin * scale[:, 0], cos * scale[:, 1]], axis=-1),
        ],
        axis=1,
    ).astype(np.float32)
    back = torch.from_numpy(matrix).to(images)
    grid = F.affine_grid(F.pad(back, (0, 1)), list(images.shape), align_corners=False)
    grid = grid + _bends(images, rng, knots=5, strength=rng.uniform(0, 0.035, size))
    turned = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    moved = (centres * 2 - 1) @ torch.linalg.inv(back).transpose(1, 2)
    return turned, (moved / 2 + 0.5).clamp(0, 0.999)


def _bends(images: Tensor, rng: np.random.Generator, *, knots: int, strength: Floats) -> Tensor:
    """Smooth random displacements (B, H, W, 2); `strength` (B,) is their size, 2 = the width."""
    drawn = rng.standard_normal((len(images), 2, knots, knots)) * strength[:, None, None, None]
    coarse = torch.from_numpy(drawn.astype(np.float32)).to(images)
    smooth = F.interpolate(coarse, images.shape[2:], mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)


def spoil(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Change contrast, lightness and saturation; blur some, put noise on some, hide a spot of some."""
    size = len(images)

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        drawn = rng.uniform(low, high, (size, channels, 1, 1))
        return torch.from_numpy(drawn.astype(np.float32)).to(images)

    def some(part: float) -> Tensor:
        return torch.from_numpy(rng.random((size, 1, 1, 1)) < part).to(images.device)

    grey = images.mean(dim=1, keepdim=True)
    out = grey + (images - grey) * draw(0.75, 1.2)
    out = (out - 0.8) * draw(0.8, 1.15) * draw(0.94, 1.06, 3) + 0.8 + draw(-0.05, 0.05)
    out = torch.where(some(0.25), F.avg_pool2d(F.pad(out, (1, 1, 1, 1), mode="replicate"), 3, 1), out)
    coarse = F.interpolate(F.avg_pool2d(out, 2), scale_factor=2, mode="bilinear", align_corners=False)
    out = torch.where(some(0.12), coarse, out)
    out = torch.where(some(0.25) & _spots(out, rng), draw(0, 1, 3), out)
    noise = torch.from_numpy(rng.standard_normal(out.shape, dtype=np.float32)).to(out)
    out = torch.where(some(0.4), out + noise * draw(0, 0.06), out)
    return out.clamp(0, 1)


def _spots(images: Tensor, rng: np.random.Generator) -> Tensor:
    """One rectangle for each picture, a twelfth to a fifth of it wide and high: (B, 1, H, W), true there."""
    size = len(images)
    inside = []
    for axis, length in ((2, images.shape[2]), (3, images.shape[3])):
        side = rng.uniform(length / 12, length / 5, size)
        start = rng.uniform(0, length - side)
        at = np.arange(length)
        row = (at >= start[:, None]) & (at < (start + side)[:, None])
        inside.append(row.reshape((size, 1, length, 1) if axis == 2 else (size, 1, 1, length)))
    return torch.from_numpy(inside[0] & inside[1]).to(images.device)


def shuffle(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Cut pictures into 8 x 8 pixel pieces and mix them: what is in them is gone, its colours stay."""
    pieces = F.unfold(images, PIECE, stride=PIECE)
    order = torch.from_numpy(rng.permutation(pieces.shape[2])).to(images.device)
    height, width = images.shape[2:]
    return F.fold(pieces[:, :, order], (height, width), PIECE, stride=PIECE)


def melt(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Bend pictures until outlines and faces are gone; colours and about where they are stay."""
    unmoved = torch.eye(2, 3).to(images).expand(len(images), 2, 3)
    grid = F.affine_grid(unmoved, list(images.shape), align_corners=False)
    grid = grid + _bends(images, rng, knots=11, strength=rng.uniform(0.12, 0.3, len(images)))
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


class Repainter:
    """A painter that takes pictures back to some noise and paints them anew from their captions."""

    def __init__(self, parts: FlowParts, tokenizer: Tokenizer, device: torch.device) -> None:
        self._parts, self._tokenizer, self._device = parts.to(device), tokenizer, device

    @classmethod
    def of(cls, model: str, device: torch.device) -> "Repainter":
        """That of a model of the flow family.

        Raises:
            ModelNotFoundError: there is none of that name.
            ModelError: it is damaged.
        """
        folder = resolve(model)
        folder.verify()
        tokenizer = Tokenizer.load(folder.path / "tokenizer.json", max_tokens=folder.max_tokens)
        return cls(FlowParts.from_folder(folder), tokenizer, device)

    @torch.no_grad()
    def __call__(
        self,
        images: Tensor,
        captions: Sequence[str],
        start_B: Tensor,
        guidance_B: Tensor,
        rng: np.random.Generator,
    ) -> Tensor:
        """Repaint pictures.

        Args:
            images: (B, 3, H, W).
            captions: B of them.
            start_B: the times that painting starts from; 1 keeps nothing of a picture.
            guidance_B: guidance scales.
            rng: of the noise.

        Returns:
            (B, 3, H, W).
        """
        ids, mask = self._tokenizer.batch([*captions, *[""] * len(captions)])
        ids_2BT, mask_2BT = (torch.from_numpy(a).to(self._device) for a in (ids, mask))
        cond = Conditioning(tokens=self._parts.text_encoder(ids_2BT, mask_2BT), mask=mask_2BT)
        x_0 = self._parts.autoencoder.encode(torch.cat([images, torch.ones_like(images[:, :1])], dim=1))
        noise = torch.from_numpy(rng.standard_normal(x_0.shape, dtype=np.float32)).to(x_0)
        start, guidance = start_B[:, None, None, None], guidance_B[:, None, None, None]
        x_t = (1 - start) * x_0 + start * noise
        times = time_grid(_REPAINT_STEPS, shift=_SHIFT)
        for t, t_next in pairwise(times):
            both = self._parts.network(x_t.repeat(2, 1, 1, 1), (start_B * t).repeat(2), cond)
            with_prompt, without = both.chunk(2)
            x_t = x_t + (t_next - t) * start * (without + guidance * (with_prompt - without))
        return on_background(self._parts.autoencoder.decode(x_t))
