"""The two towers: pictures or captions in, unit vectors out; alike where picture and caption agree.

Source  Radford et al. 2021, CLIP (arXiv:2103.00020): symmetric cross-entropy over the batch, a learnt
        temperature started at 0.07 and kept above 0.01. Differs: captions that are wrong in one respect
        stand beside the batch's own as further choices (Yuksekgonul et al. 2023, arXiv:2210.01936); pairs
        that are true by chance are left out; the text tower reads both ways and its tokens are averaged.
Letters B pictures, N captions (the B true ones first), T text tokens, L picture tokens, D width.
Units   pictures in [0, 1], RGB on light grey.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import SizeError
from pictura.encode.clip.config import SIZE, ClipConfig
from pictura.encode.judges.detector import STRIDE, trunk
from pictura.encode.text_encoder import TextBlock, TextEncoder, TextEncoderConfig

MAX_SCALE = math.log(100)
_PATCH = 4
_GROUPS = 8


class ConvBlock(nn.Module):
    """Two convolutions on the way past a shortcut, each after norm and SiLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.GroupNorm(_GROUPS, width), nn.GroupNorm(_GROUPS, width)
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv_2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, H, W) to the same."""
        h = self.conv_1(F.silu(self.norm_1(x)))
        return x + self.conv_2(F.silu(self.norm_2(h)))


class ResNet(nn.Module):
    """Convolutions at 16, 8 and 4 pixels a side. What is left keeps its place: counts and sides are seen."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, config.widths[0], _PATCH, stride=_PATCH)]
        before = config.widths[0]
        for stage, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            if stage:
                layers += [nn.GroupNorm(_GROUPS, before), nn.Conv2d(before, width, 2, stride=2)]
            layers += [ConvBlock(width) for _ in range(depth)]
            before = width
        self.layers = nn.Sequential(*layers, nn.GroupNorm(_GROUPS, before), nn.SiLU())
        side = SIZE // _PATCH // 4
        self.out = nn.Linear(before * side * side, config.dim, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, 64, 64) to (B, dim)."""
        return self.out(self.layers(images).flatten(1))


class _Tokens(nn.Module):
    """Blocks in which each of the tokens, one for each place, sees every other; then their mean."""

    def __init__(self, *, side: int, width: int, blocks: int, config: ClipConfig) -> None:
        super().__init__()
        self.places = nn.Parameter(0.1 * torch.randn(side * side, width))
        self.blocks = nn.ModuleList(TextBlock(width, config.num_heads) for _ in range(blocks))
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.out = nn.Linear(width, config.dim, bias=False)

    def read(self, x_BLD: Tensor) -> Tensor:
        """(B, L, D) to (B, dim)."""
        x_BLD = x_BLD + self.places
        mask_BL = torch.ones(x_BLD.shape[:2], dtype=torch.bool, device=x_BLD.device)
        for block in self.blocks:
            x_BLD = block(x_BLD, mask_BL)
        return self.out(self.norm(x_BLD).mean(dim=1))


class PictureTransformer(_Tokens):
    """Three convolutions to 4x4 tokens, then blocks in which each token sees every other."""

    def __init__(self, config: ClipConfig) -> None:
        first, second, width = config.widths
        super().__init__(side=SIZE // _PATCH // 4, width=width, blocks=config.depths[0], config=config)
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, _PATCH, stride=_PATCH),
            nn.GELU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(second, width, 3, stride=2, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, 64, 64) to (B, dim)."""
        return self.read(self.stem(images).flatten(2).transpose(1, 2))


class DetectorTower(_Tokens):
    """A judge's convolutions to 8x8 tokens, each of which sees what lies there; then blocks as above.

    A judge has learnt to tell things and colours where they are, which captions teach but slowly. To
    backgrounds it is blind, so that each token is told its mean colour too.
    """

    def __init__(self, config: ClipConfig) -> None:
        (thin, middle, wide), (before, after, blocks) = config.widths, config.depths
        super().__init__(side=SIZE // STRIDE, width=config.token_width, blocks=blocks, config=config)
        self.trunk = trunk((thin, middle, wide), (before, after)).eval()
        self.enter = nn.Linear(wide + 3, config.token_width)

    def train(self, mode: bool = True) -> "DetectorTower":
        """As ever, but the trunk's norms go on by the statistics that they were given."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, 64, 64) in [-2, 2], as every tower gets them, to (B, dim)."""
        seen_BFhw = torch.cat([self.trunk(images / 2), F.avg_pool2d(images, STRIDE)], dim=1)
        return self.read(self.enter(seen_BFhw.flatten(2).transpose(1, 2)))


_TOWERS = {"resnet": ResNet, "transformer": PictureTransformer, "detector": DetectorTower}


class Clip(nn.Module):
    """Both towers, and the scale at which their cosines are compared."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.image_tower = _TOWERS[config.tower](config)
        self.text_encoder = TextEncoder(
            TextEncoderConfig(
                vocab_size=config.vocab_size,
                width=config.text_width,
                num_blocks=config.text_blocks,
                num_heads=config.text_heads,
            )
        )
        self.text_out = nn.Linear(config.text_width, config.dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def embed_images(self, images: Tensor) -> Tensor:
        """See pictures.

        Args:
            images: (B, 3, 64, 64) in [0, 1], on light grey.

        Returns:
            (B, dim), each of length 1.

        Raises:
            SizeError: pictures of another size.
        """
        if images.shape[1:] != (3, SIZE, SIZE):
            raise SizeError(
                f"A CLIP reads pictures of shape (B, 3, {SIZE}, {SIZE}); got {tuple(images.shape)}."
            )
        return F.normalize(self.image_tower((images - 0.5) * 4), dim=-1)

    def embed_text(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """Read captions.

        Args:
            token_ids: (N, T) int64.
            mask: (N, T) bool, true where a token is.

        Returns:
            (N, dim), each of length 1; padding does not matter.
        """
        return self.sentence(self.text_encoder(token_ids, mask), mask)

    def sentence(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """From features of tokens (N, T, D), as `text_encoder` gives them, to what `embed_text` returns."""
        weight_NT1 = mask[..., None].to(tokens.dtype)
        mean_ND = (tokens * weight_NT1).sum(dim=1) / weight_NT1.sum(dim=1)
        return F.normalize(self.text_out(mean_ND), dim=-1)

    def scale(self) -> Tensor:
        """What cosines are multiplied by, at most 100."""
        return self.log_scale.clamp(max=MAX_SCALE).exp()


def contrastive_loss(image_BD: Tensor, text_ND: Tensor, scale: Tensor, rival_BN: Tensor) -> Tensor:
    """How badly pictures choose their captions among all, and true captions their pictures.

    Args:
        image_BD: unit vectors of B pictures.
        text_ND: of N >= B captions; the first B belong to the pictures, the others to none.
        scale: what cosines are multiplied by.
        rival_BN: true where a caption is a wrong one for a picture; elsewhere, but for the pairs that belong
            together, it may be true by chance and is left out.

    Returns:
        (B,) mean of the two cross-entropies of each pair; 0 is perfect.
    """
    size = len(image_BD)
    own_BN = torch.eye(size, len(text_ND), dtype=torch.bool, device=rival_BN.device)
    logits_BN = (scale * image_BD @ text_ND.T).float()
    logits_BN = logits_BN.masked_fill(~(rival_BN | own_BN), -torch.inf)
    answer_B = torch.arange(size, device=logits_BN.device)
    of_images = F.cross_entropy(logits_BN, answer_B, reduction="none")
    of_texts = F.cross_entropy(logits_BN[:, :size].T, answer_B, reduction="none")
    return (of_images + of_texts) / 2
