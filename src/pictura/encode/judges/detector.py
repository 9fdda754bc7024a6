"""Judge A, a convolutional detector: a picture in, maps of things and colours and their peaks out.

Source  Zhou et al. 2019, Objects as Points (arXiv:1904.07850): an object is the peak of a map at its centre.
        Differs: one map of presence for all things, whose thing and colour are read at the peak; He et al.
        2016 for the residual blocks.
Letters B batch, T things, K colours, h w map of one cell per 8 x 8 pixels, F width.
Units   pictures float32 in [0, 1] on light grey, 64 x 64; centres as fractions of the picture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorConfig:
    """Shape of the detector."""

    num_things: int
    num_colours: int
    widths: tuple[int, int, int] = (32, 64, 144)
    """Channels at strides 2, 4 and 8."""
    blocks: tuple[int, int] = (2, 4)
    """Residual blocks at strides 4 and 8."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Maps of a batch of pictures."""

    presence: Tensor
    """(B, h, w) logits: the centre of a thing lies in this cell."""
    things: Tensor
    """(B, T, h, w) logits of the thing there."""
    colours: Tensor
    """(B, K + 1, h, w) logits of its colour; the last stands for a look of its own."""
    offsets: Tensor
    """(B, 2, h, w) where in the cell the centre lies: x, y in [0, 1]."""
    features: Tensor
    """(B, F) mean over the map."""


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm_1 = nn.BatchNorm2d(width)
        self.conv_2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm_2 = nn.BatchNorm2d(width)

    def forward(self, x_BFhw: Tensor) -> Tensor:
        """(B, F, h, w) to the same."""
        y_BFhw = F.relu(self.norm_1(self.conv_1(x_BFhw)))
        return F.relu(x_BFhw + self.norm_2(self.conv_2(y_BFhw)))


def down(wide_in: int, wide_out: int) -> nn.Sequential:
    """Half the size: 3 x 3 convolution of stride 2, norm, ReLU."""
    conv = nn.Conv2d(wide_in, wide_out, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(wide_out), nn.ReLU())


def trunk(widths: tuple[int, int, int], blocks: tuple[int, int]) -> nn.Sequential:
    """Convolutions from (B, 3, H, W) in [-1, 1] to (B, F, H / 8, W / 8); arguments as in `DetectorConfig`."""
    thin, middle, wide = widths
    return nn.Sequential(
        down(3, thin),
        down(thin, middle),
        *(Residual(middle) for _ in range(blocks[0])),
        down(middle, wide),
        *(Residual(wide) for _ in range(blocks[1])),
    )


class Detector(nn.Module):
    """Finds things."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        wide = config.widths[-1]
        self.trunk = trunk(config.widths, config.blocks)
        self.presence = nn.Conv2d(wide, 1, 1)
        assert self.presence.bias is not None
        nn.init.constant_(self.presence.bias, -3.0)  # about two of 64 cells hold a centre
        self.things = nn.Conv2d(wide, config.num_things, 1)
        self.colours = nn.Conv2d(wide, config.num_colours + 1, 1)
        self.offsets = nn.Conv2d(wide, 2, 1)
        self.width = wide

    def forward(self, images: Tensor) -> Detections:
        """Read pictures (B, 3, H, W), H and W multiples of 8."""
        x_BFhw = self.trunk(images * 2 - 1)
        return Detections(
            presence=self.presence(x_BFhw)[:, 0],
            things=self.things(x_BFhw),
            colours=self.colours(x_BFhw),
            offsets=self.offsets(x_BFhw).sigmoid(),
            features=x_BFhw.mean(dim=(2, 3)),
        )


@dataclass(frozen=True, slots=True)
class Peaks:
    """The likeliest centres of each picture, P of them."""

    presence: Tensor
    """(B, P) probabilities."""
    things: Tensor
    """(B, P, T) probabilities."""
    colours: Tensor
    """(B, P, K + 1) probabilities."""
    centres: Tensor
    """(B, P, 2) x, y as fractions of the picture."""


def peaks(found: Detections, count: int = 8) -> Peaks:
    """Keep the `count` highest cells of presence that are highest among their neighbours."""
    probability = found.presence.sigmoid()
    highest = F.max_pool2d(probability[:, None], 3, stride=1, padding=1)[:, 0]
    kept = torch.where(probability == highest, probability, torch.zeros_like(probability))
    w = kept.shape[2]
    presence, cells = kept.flatten(1).topk(count, dim=1)

    def read(maps: Tensor) -> Tensor:
        """(B, C, h, w) at the cells: (B, P, C)."""
        flat = maps.flatten(2).transpose(1, 2)
        return flat.gather(1, cells[:, :, None].expand(-1, -1, flat.shape[2]))

    corner = torch.stack([cells % w, cells // w], dim=-1).float()
    size = torch.tensor([w, kept.shape[1]], dtype=torch.float32, device=corner.device)
    return Peaks(
        presence=presence,
        things=read(found.things).softmax(dim=-1),
        colours=read(found.colours).softmax(dim=-1),
        centres=(corner + read(found.offsets)) / size,
    )
