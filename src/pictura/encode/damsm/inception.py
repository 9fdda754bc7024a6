"""Inception-v3 without its classifier, for those who have its weights: the picture encoder of the paper.

Source  Szegedy et al. 2016 (arXiv:1512.00567), in the layout of torchvision's `inception_v3`, whose names of
        weights are kept. Nothing is downloaded: the weights come from a file of the user's.
Letters B batch, C channels, S side, D width of words and regions.
Units   pictures in [0, 1]; the network itself reads [-1, 1] at 299 pixels.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ModelError
from pictura.nn.gan import BatchNorm2d

SIDE = 299
Conv = tuple[str, int, tuple[int, int], int]
"""Name, channels out, kernel, stride."""
Way = list[Conv | tuple[Conv, Conv]]
"""Convolutions one after another; two in a tuple stand side by side at the end."""


class BasicConv(nn.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, before: int, conv: Conv, *, padding: tuple[int, int] | None = None) -> None:
        super().__init__()
        _, after, kernel, stride = conv
        if padding is None:
            padding = (kernel[0] // 2, kernel[1] // 2) if stride == 1 else (0, 0)
        self.conv = nn.Conv2d(before, after, kernel, stride=stride, padding=padding, bias=False)
        self.bn = BatchNorm2d(after)
        self.bn.eps = 0.001

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) to its own channels."""
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Several ways side by side; the last one pools first."""

    def __init__(self, before: int, paths: list[Way], *, halves: bool = False) -> None:
        super().__init__()
        self._halves = halves
        self._paths: list[list[tuple[str, ...]]] = []
        self.channels = before if halves else 0  # of the pooled picture, which then passes as it is
        for path in paths:
            width, names = before, []
            for step in path:
                convs: Any = step if isinstance(step[0], tuple) else (step,)
                for conv in convs:
                    self.add_module(conv[0], BasicConv(width, conv))
                names.append(tuple(conv[0] for conv in convs))
                width = sum(conv[1] for conv in convs)
            self._paths.append(names)
            self.channels += width
        if halves:
            self._paths.append([])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) to (B, channels, S, S), or half the side."""
        ways = []
        for i, path in enumerate(self._paths):
            h = x
            if i == len(self._paths) - 1:
                h = F.max_pool2d(x, 3, 2) if self._halves else F.avg_pool2d(x, 3, 1, 1)
            for names in path:
                h = torch.cat([self.get_submodule(name)(h) for name in names], dim=1)
            ways.append(h)
        return torch.cat(ways, dim=1)


def _c(name: str, after: int, rows: int = 1, columns: int = 0, stride: int = 1) -> Conv:
    return (name, after, (rows, columns or rows), stride)


def _a(pooled: int) -> list[Way]:
    return [
        [_c("branch1x1", 64)],
        [_c("branch5x5_1", 48), _c("branch5x5_2", 64, 5)],
        [_c("branch3x3dbl_1", 64), _c("branch3x3dbl_2", 96, 3), _c("branch3x3dbl_3", 96, 3)],
        [_c("branch_pool", pooled)],
    ]


def _b() -> list[Way]:
    return [
        [_c("branch3x3", 384, 3, stride=2)],
        [_c("branch3x3dbl_1", 64), _c("branch3x3dbl_2", 96, 3), _c("branch3x3dbl_3", 96, 3, stride=2)],
    ]


def _c7(n: int) -> list[Way]:
    double: Way = [
        _c("branch7x7dbl_1", n),
        _c("branch7x7dbl_2", n, 7, 1),
        _c("branch7x7dbl_3", n, 1, 7),
        _c("branch7x7dbl_4", n, 7, 1),
        _c("branch7x7dbl_5", 192, 1, 7),
    ]
    single: Way = [_c("branch7x7_1", n), _c("branch7x7_2", n, 1, 7), _c("branch7x7_3", 192, 7, 1)]
    return [[_c("branch1x1", 192)], single, double, [_c("branch_pool", 192)]]


def _d() -> list[Way]:
    seven: Way = [
        _c("branch7x7x3_1", 192),
        _c("branch7x7x3_2", 192, 1, 7),
        _c("branch7x7x3_3", 192, 7, 1),
        _c("branch7x7x3_4", 192, 3, stride=2),
    ]
    return [[_c("branch3x3_1", 192), _c("branch3x3_2", 320, 3, stride=2)], seven]


def _e() -> list[Way]:
    def fork(name: str) -> tuple[Conv, Conv]:
        return (_c(f"{name}a", 384, 1, 3), _c(f"{name}b", 384, 3, 1))

    return [
        [_c("branch1x1", 320)],
        [_c("branch3x3_1", 384), fork("branch3x3_2")],
        [_c("branch3x3dbl_1", 448), _c("branch3x3dbl_2", 384, 3), fork("branch3x3dbl_3")],
        [_c("branch_pool", 192)],
    ]


class Inception(nn.Module):
    """21.8 M weights; the maps of `Mixed_6e` and the mean of those of `Mixed_7c`."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv(3, _c("", 32, 3, stride=2))
        self.Conv2d_2a_3x3 = BasicConv(32, _c("", 32, 3), padding=(0, 0))
        self.Conv2d_2b_3x3 = BasicConv(32, _c("", 64, 3))
        self.Conv2d_3b_1x1 = BasicConv(64, _c("", 80))
        self.Conv2d_4a_3x3 = BasicConv(80, _c("", 192, 3), padding=(0, 0))
        width = 192
        blocks = {"5b": _a(32), "5c": _a(64), "5d": _a(64), "6a": _b(), "6b": _c7(128), "6c": _c7(160)}
        blocks |= {"6d": _c7(160), "6e": _c7(192), "7a": _d(), "7b": _e(), "7c": _e()}
        for name, paths in blocks.items():
            block = Mixed(width, paths, halves=name in ("6a", "7a"))
            self.add_module(f"Mixed_{name}", block)
            width = block.channels
        self._blocks = tuple(f"Mixed_{name}" for name in blocks)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, 299, 299) in [-1, 1] to (B, 768, 17, 17) and (B, 2048)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        local = x
        for name in self._blocks:
            x = self.get_submodule(name)(x)
            if name == "Mixed_6e":
                local = x
        return local, x.mean(dim=(2, 3))

    def load(self, path: Path) -> None:
        """Take over torchvision's weights from a safetensors file; classifier and side branch are left out.

        Raises:
            ModelError: the file is missing, or does not hold them.
        """
        try:
            weights = load_file(path)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{path} should hold the weights of Inception-v3: {error}.") from error
        left_out = ("fc.", "AuxLogits.")
        kept = {
            name: value.float()
            for name, value in weights.items()
            if not name.startswith(left_out) and not name.endswith("num_batches_tracked")
        }
        try:
            self.load_state_dict(kept)
        except RuntimeError as error:
            raise ModelError(
                f"{path} does not hold the weights of torchvision's inception_v3. Save its state dict "
                f"with safetensors. {error}"
            ) from error
