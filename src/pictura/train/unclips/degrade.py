"""Small pictures made worse, as an upsampler may find them: by a blur, or by what happens to files.

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125), section 2.1: a Gaussian blur for the first upsampler,
        the degradation of BSR for the second; Zhang et al. 2021, BSR (arXiv:2103.14006): blur, resizing,
        noise and JPEG in an order that is drawn. Differs: the blur's strength is drawn from 0 to the paper's;
        BSR runs on the small picture, whose size it keeps, with blurs of 3 x 3 places and alpha as a picture
        of its own.
Letters B pictures, C channels, h w size.
Units   pictures in [-1, 1].
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pictura.train.unclips.settings import DEGRADATIONS

MOST_SIGMA = 0.6
"""Of the first upsampler's blur, in pixels of the small picture."""
_BSR_SIGMA, _BSR_SCALE, _BSR_NOISE, _BSR_QUALITY = 1.0, (0.6, 1.4), 0.1, (40, 96)
_KERNELS = ("area", "bilinear", "bicubic")

Degrade = Callable[[Tensor, np.random.Generator], Tensor]
"""(B, C, h, w) to the same; every draw comes from the generator."""


def blur(low: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur each picture by a Gaussian of 3 x 3 places and a width of its own."""
    return blurred(low, torch.from_numpy(rng.uniform(0, MOST_SIGMA, (len(low), 2))))


def blurred(low: Tensor, sigma_B2: Tensor) -> Tensor:
    """Blur by Gaussians of 3 x 3 places with widths (B, 2) along height and width, in pixels."""
    side_B2 = torch.exp(-0.5 / sigma_B2.clamp_min(1e-3) ** 2).to(low)
    for axis in range(2):
        dim, side_B111 = axis + 2, side_B2[:, axis, None, None, None]
        padded = F.pad(low, (0, 0, 1, 1) if axis == 0 else (1, 1, 0, 0), mode="replicate")
        before, after = (padded.narrow(dim, start, low.shape[dim]) for start in (0, 2))
        low = (low + side_B111 * (before + after)) / (1 + 2 * side_B111)
    return low


def bsr(low: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur, resize, add noise to and compress each picture, in an order of its own."""
    return torch.cat([_bsr_one(row, rng) for row in low.split(1)])


def _bsr_one(low: Tensor, rng: np.random.Generator) -> Tensor:
    for step in rng.permutation(4):
        low = (_soften, _resize, _add_noise, _compress)[step](low, rng)
    return low.clamp(-1, 1)


def _soften(low: Tensor, rng: np.random.Generator) -> Tensor:
    return blurred(low, torch.from_numpy(rng.uniform(0, _BSR_SIGMA, (1, 2))))


def _resize(low: Tensor, rng: np.random.Generator) -> Tensor:
    """There and back, by kernels of their own."""
    scale, there, back = rng.uniform(*_BSR_SCALE), rng.choice(_KERNELS), rng.choice(_KERNELS)
    size = [max(1, round(side * scale)) for side in low.shape[2:]]
    return F.interpolate(F.interpolate(low, size, mode=there), low.shape[2:], mode=back)


def _add_noise(low: Tensor, rng: np.random.Generator) -> Tensor:
    noise = torch.from_numpy(rng.standard_normal(low.shape, dtype=np.float32)).to(low.device)
    return low + rng.uniform(0, _BSR_NOISE) * noise


def _compress(low: Tensor, rng: np.random.Generator) -> Tensor:
    """By JPEG, which has no place for alpha: it becomes a grey picture of its own."""
    quality = int(rng.integers(*_BSR_QUALITY))
    bytes_HWC = ((low[0].clamp(-1, 1) / 2 + 0.5) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    colour = _through_jpeg(Image.fromarray(np.ascontiguousarray(bytes_HWC[..., :3])), quality)
    planes = [colour]
    if bytes_HWC.shape[2] == 4:
        planes.append(_through_jpeg(Image.fromarray(bytes_HWC[..., 3].copy()), quality)[..., None])
    array = np.concatenate(planes, axis=2).transpose(2, 0, 1)[None].astype(np.float32)
    return torch.from_numpy(array / 127.5 - 1).to(low)


def _through_jpeg(picture: Image.Image, quality: int) -> np.ndarray:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


DEGRADE: dict[str, Degrade] = dict(zip(DEGRADATIONS, (blur, bsr), strict=True))
"""By what recipes call them."""
