"""Rectified-flow transformer: noisy latent, time and caption in, velocity out.

Source  Liu et al. 2022, Rectified Flow (arXiv:2209.03003); Esser et al. 2024, SD3 (arXiv:2403.03206);
        Li & He 2025, JiT (arXiv:2511.13720) for predicting the clean image; Chen et al. 2023, PixArt
        (arXiv:2310.00426) for one modulation shared by all blocks.
        Differs: text and image tokens share one stream and all block weights; time is 1 at noise.
Letters B batch, C latent channels, H W latent size, P patch numbers, L image tokens, T text tokens,
        S = T + L, D width, K head width.
Units   t in [0, 1], 0 = image, 1 = noise; x_t = (1 - t) x_0 + t noise; velocity = noise - x_0.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.nn.layers import Attention, SwiGLU, centred_grid, rope_2d, sincos

MIN_T = 0.05
"""Velocity is (x_t - x_0) / t; below this t it is divided by this instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowConfig:
    """Shape of the network."""

    latent_channels: int = 24
    """C: channels of the latent (of the picture itself for the pixel presets)."""
    patch_size: int = 1
    """Side of the square of latent pixels that makes one token."""
    text_width: int = 256
    """Width of the text features."""
    width: int = 256
    num_blocks: int = 8
    num_heads: int = 4
    rope_theta: float = 100.0
    """Longest period of the rotary positions, in tokens, over 2 pi."""

    def __post_init__(self) -> None:
        if self.width % (4 * self.num_heads):
            raise ConfigError(
                f"FlowConfig.width must be a multiple of 4 * num_heads; "
                f"got width={self.width}, num_heads={self.num_heads}."
            )
        for name in ("latent_channels", "patch_size", "text_width", "num_blocks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"FlowConfig.{name} must be at least 1; got {getattr(self, name)}.")


class Block(nn.Module):
    """One transformer block over text and image tokens, modulated by time."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm_1 = nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
        self.attention = Attention(width, num_heads)
        self.norm_2 = nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
        self.mlp = SwiGLU(width)
        self.modulation = nn.Parameter(torch.zeros(6, width))

    def forward(
        self, x_BSD: Tensor, mask_BS: Tensor, rotation: tuple[Tensor, Tensor], time_B6D: Tensor
    ) -> Tensor:
        """(B, S, D) to (B, S, D)."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = (time_B6D + self.modulation).split(1, dim=1)
        h_BSD = self.norm_1(x_BSD) * (1 + scale_1) + shift_1
        x_BSD = x_BSD + gate_1 * self.attention(h_BSD, mask_BS, rotation)
        h_BSD = self.norm_2(x_BSD) * (1 + scale_2) + shift_2
        return x_BSD + gate_2 * self.mlp(h_BSD)


class FlowTransformer(nn.Module):
    """Predicts the clean latent and returns it as a velocity. At step 0 its x_0 is 0 everywhere."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        width, patch_numbers = config.width, config.latent_channels * config.patch_size**2
        self.patch_in = nn.Linear(patch_numbers, width)
        self.text_in = nn.Linear(config.text_width, width)
        self.time_in = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.pooled_in = nn.Linear(config.text_width, width)
        self.modulation = nn.Linear(width, 8 * width)
        self.blocks = nn.ModuleList(Block(width, config.num_heads) for _ in range(config.num_blocks))
        self.norm_out = nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
        self.patch_out = nn.Linear(width, patch_numbers)
        for layer in (self.modulation, self.patch_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Predict the velocity of `x_t` at time `t`.

        Args:
            x_t: (B, C, H, W) latent of roughly unit variance; H and W multiples of `patch_size`.
            t: (B,) time in [0, 1].
            cond: caption features (B, T, text_width) and their mask.

        Returns:
            (B, C, H, W) velocity.
        """
        x_0 = self.predict_clean(x_t, t, cond)
        return (x_t - x_0) / t.clamp_min(MIN_T)[:, None, None, None]

    def predict_clean(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Predict the clean latent x_0; arguments and shape as `forward`.

        Raises:
            ConfigError: H or W is not a multiple of `patch_size`.
        """
        h, w = self._grid(x_t)
        image_BLD = self.patch_in(to_patches(x_t, self.config.patch_size))
        rows_L, cols_L = centred_grid(h, w, x_t)
        half = self.config.width // 2
        image_BLD = image_BLD + torch.cat([sincos(rows_L, half, 100.0), sincos(cols_L, half, 100.0)], dim=-1)
        x_BSD = torch.cat([self.text_in(cond.tokens), image_BLD], dim=1)
        num_text = cond.tokens.shape[1]
        mask_BS = F.pad(cond.mask, (0, h * w), value=True)

        time_BD = self.time_in(sincos(t * 1000, 256, 1e4)) + self.pooled_in(masked_mean(cond))
        time_B8D = self.modulation(F.silu(time_BD)).unflatten(-1, (8, -1))
        # Text has no place in the picture: it sits at the centre, where nothing is turned.
        rotation = rope_2d(
            F.pad(rows_L, (num_text, 0)),
            F.pad(cols_L, (num_text, 0)),
            self.config.width // self.config.num_heads,
            self.config.rope_theta,
        )
        for block in self.blocks:
            x_BSD = block(x_BSD, mask_BS, rotation, time_B8D[:, :6])
        shift, scale = time_B8D[:, 6:].split(1, dim=1)
        image_BLD = self.norm_out(x_BSD[:, num_text:]) * (1 + scale) + shift
        return from_patches(self.patch_out(image_BLD), h, w, self.config.patch_size)

    def _grid(self, x_t: Tensor) -> tuple[int, int]:
        p = self.config.patch_size
        if x_t.shape[2] % p or x_t.shape[3] % p:
            raise ConfigError(
                f"Latent height and width must be multiples of patch_size={p}; got {tuple(x_t.shape[2:])}."
            )
        return x_t.shape[2] // p, x_t.shape[3] // p


def to_patches(x: Tensor, p: int) -> Tensor:
    """(B, C, h * p, w * p) to (B, h * w, C * p * p)."""
    return F.pixel_unshuffle(x, p).flatten(2).transpose(1, 2)


def from_patches(patches: Tensor, h: int, w: int, p: int) -> Tensor:
    """(B, h * w, C * p * p) to (B, C, h * p, w * p)."""
    return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, (h, w)), p)


def masked_mean(cond: Conditioning) -> Tensor:
    """Mean text feature over real tokens: (B, D)."""
    weight_BT1 = cond.mask[..., None].to(cond.tokens.dtype)
    return (cond.tokens * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1).clamp_min(1)
