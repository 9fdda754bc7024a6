"""How pictures look, whatever they show: what a policy that games its reward changes first.

Letters B pictures, G pictures of a prompt, C channels, h w latent size, H W picture size.
Units   pictures in [0, 1], RGB.
"""

import math
import sys
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from pictura.train.distributed import Process, largest, summed

_LUMINANCE = (0.2126, 0.7152, 0.0722)
_SMALL = 8


def looks(x_0: Tensor, images: Tensor) -> dict[str, Tensor]:
    """Numbers about each picture.

    Args:
        x_0: (B, C, h, w) latents, or codes, of which nothing is said.
        images: (B, 3, H, W).

    Returns:
        By name (B,): `x0_norm` (root mean square of the latent), `luminance`, `saturation` (largest less
        smallest channel) and `high_frequency` (mean absolute difference of neighbours).
    """
    weights = images.new_tensor(_LUMINANCE)[:, None, None]
    grey = (images * weights).sum(dim=1)
    across, down = grey.diff(dim=2).abs().mean(dim=(1, 2)), grey.diff(dim=1).abs().mean(dim=(1, 2))
    size = {"x0_norm": x_0.square().mean(dim=(1, 2, 3)).sqrt()} if x_0.is_floating_point() else {}
    return size | {
        "luminance": grey.mean(dim=(1, 2)),
        "saturation": (images.amax(dim=1) - images.amin(dim=1)).mean(dim=(1, 2)),
        "high_frequency": (across + down) / 2,
    }


def spread(images: Tensor, group_size: int) -> Tensor:
    """How different the pictures of a prompt are to the naked eye.

    Args:
        images: (B, 3, H, W), whole groups side by side.
        group_size: G.

    Returns:
        (B / G,) standard deviation within the group of pictures shrunk to 8x8, mean over their numbers.
    """
    small = F.adaptive_avg_pool2d(images, _SMALL).flatten(1)
    return small.unflatten(0, (-1, group_size)).std(dim=1, correction=0).mean(dim=1)


def distances(features: Tensor, group_size: int) -> Tensor:
    """How different the pictures of a prompt are to a network.

    Args:
        features: (B, D), whole groups side by side, each of length 1.
        group_size: G, at least 2.

    Returns:
        (B / G,) mean of 1 - cosine over all pairs of the group.
    """
    rows = features.unflatten(0, (-1, group_size))
    cosines = rows @ rows.transpose(1, 2)
    pairs = group_size * (group_size - 1)
    return 1 - (cosines.sum(dim=(1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(dim=1)) / pairs


def peak_memory_gb(device: torch.device) -> float:
    """The most memory that this process has held, on the device where it computes; NaN where unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if sys.platform == "win32":
        return math.nan
    import resource  # Windows has none

    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class Means:
    """Numbers of an update: means by weight, and the largest of those whose names end in ``_max``."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._largest: dict[str, float] = {}

    def add(self, numbers: Mapping[str, float], weight: float = 1.0) -> None:
        """Count some in."""
        for name, value in numbers.items():
            if name.endswith("_max"):
                self._largest[name] = max(value, self._largest.get(name, -math.inf))
            else:
                self._sums[name] = self._sums.get(name, 0.0) + weight * value
                self._weights[name] = self._weights.get(name, 0.0) + weight

    def alone(self) -> dict[str, float]:
        """What they are in this process."""
        return {n: self._sums[n] / self._weights[n] for n in self._sums} | self._largest

    def over(self, process: Process) -> dict[str, float]:
        """What they are over all processes, which all have the same names."""
        names, tops = sorted(self._sums), sorted(self._largest)
        table = torch.tensor([[self._sums[n], self._weights[n]] for n in names], dtype=torch.float64)
        sums = summed(table.reshape(-1, 2), process)
        means = {name: float(row[0] / row[1]) for name, row in zip(names, sums, strict=True)}
        most = largest([self._largest[name] for name in tops], process)
        return means | dict(zip(tops, most, strict=True))
