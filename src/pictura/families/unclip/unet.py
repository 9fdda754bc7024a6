"""The U-Net of decoder and upsamplers: a noisy picture and a time in, a picture out.

Source  Dhariwal & Nichol 2021, ADM (arXiv:2105.05233): time scales and shifts the norms, blocks resample;
        Nichol et al. 2021, GLIDE (arXiv:2112.10741): text joins as further keys and values of attention.
        Differs: a network may read and write squares of `patch_size` pixels as one place, and blocks that
        enlarge also narrow, so that small ones are quick; no dropout; attention has no bias.
Letters B batch, C channels, H W size, h w places, L = h w, S context tokens, D channels of a level,
        N heads, K head width, V width of the time vector.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError, SizeError
from pictura.nn.layers import attend, sincos

LEAST_IN_GROUP = 4
"""Channels that a group norm takes together, at least."""
_PLACE_FEATURES, _PLACE_PERIOD, _PLAN_WIDTH = 16, 100.0, 24


def group_norm(channels: int) -> nn.GroupNorm:
    """A norm of 32 groups, as in ADM, or of fewer where these would be too small."""
    most = max(1, min(32, channels // LEAST_IN_GROUP))
    groups = next(g for g in range(most, 0, -1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


class ResBlock(nn.Module):
    """Two convolutions past a shortcut, the second's norm set by the time. Starts as the shortcut alone."""

    def __init__(self, channels: int, out: int, time_width: int, *, resample: str = "") -> None:
        """Make the layers.

        Args:
            channels: D that come in.
            out: D that go out.
            time_width: V.
            resample: `down` halves the sides, `up` doubles them; empty keeps them.
        """
        super().__init__()
        self.resample = resample
        self.norm_1 = group_norm(channels)
        self.conv_1 = nn.Conv2d(channels, out, 3, padding=1)
        self.time_in = nn.Linear(time_width, 2 * out)
        self.norm_2 = group_norm(out)
        self.conv_2 = nn.Conv2d(out, out, 3, padding=1)
        self.shortcut = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)
        nn.init.zeros_(self.conv_2.weight)
        nn.init.zeros_(self.conv_2.bias)  # type: ignore[arg-type]  # there is one

    def forward(self, x: Tensor, time_BV: Tensor) -> Tensor:
        """(B, D, h, w) to (B, out, h, w), halved or doubled."""
        h = self._resampled(F.silu(self.norm_1(x)))
        scale, shift = self.time_in(time_BV)[:, :, None, None].chunk(2, dim=1)
        h = self.norm_2(self.conv_1(h)) * (1 + scale) + shift
        return self.shortcut(self._resampled(x)) + self.conv_2(F.silu(h))

    def _resampled(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2.0, mode="nearest") if self.resample == "up" else x


class ContextAttention(nn.Module):
    """Places look at all places and at the tokens of a context. Starts as nothing."""

    def __init__(self, channels: int, head_width: int, context_width: int) -> None:
        super().__init__()
        if channels % head_width:
            raise ConfigError(
                f"Where the U-Net attends, its channels must be a multiple of head_width; got {channels} "
                f"channels and head_width={head_width}."
            )
        self.num_heads = channels // head_width
        self.norm = group_norm(channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.context = nn.Linear(context_width, 2 * channels, bias=False)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, context_BSE: Tensor, mask_BS: Tensor) -> Tensor:
        """(B, D, h, w) to the same; a token whose mask is false is not seen."""
        _, _, h, w = x.shape
        q_BLD, k_BLD, v_BLD = self.qkv(self.norm(x).flatten(2).transpose(1, 2)).chunk(3, dim=-1)
        k_BSD, v_BSD = self.context(context_BSE).chunk(2, dim=-1)
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (q_BLD, torch.cat([k_BSD, k_BLD], dim=1), torch.cat([v_BSD, v_BLD], dim=1))
        )
        seen = F.pad(mask_BS, (0, h * w), value=True)[:, None, None, :]
        mixed_BLD = attend(q, k, v, seen).transpose(1, 2).flatten(2)
        return x + self.out(mixed_BLD).transpose(1, 2).unflatten(2, (h, w))


class Layer(nn.Module):
    """One block, and attention behind it where a level attends."""

    def __init__(self, block: ResBlock, attention: ContextAttention | None = None) -> None:
        super().__init__()
        self.block, self.attention = block, attention

    def forward(self, x: Tensor, time_BV: Tensor, context: tuple[Tensor, Tensor] | None) -> Tensor:
        """(B, D, h, w) to (B, out, h, w); `context` is tokens (B, S, E) and mask (B, S)."""
        x = self.block(x, time_BV)
        if self.attention is None or context is None:
            return x
        return self.attention(x, *context)


class Unet(nn.Module):
    """Down over the levels, through the middle, and up again past what was seen on the way down.

    Its last convolution starts at zero, and so does what it gives.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        *,
        width: int,
        depth: int,
        multiples: Sequence[int],
        patch_size: int = 1,
        attention_levels: Sequence[int] = (),
        head_width: int = 64,
        context_width: int = 0,
        coarsest: int = 0,
    ) -> None:
        """Make the layers.

        Args:
            channels: C that come in.
            out: C that go out.
            width: D of the first level.
            depth: blocks of a level on the way down; one more on the way up.
            multiples: D of each level in widths.
            patch_size: side of the square of pixels that is one place of the first level.
            attention_levels: those that attend, from 0; if there are any, the middle does too.
            head_width: K.
            context_width: E of the context's tokens.
            coarsest: side of the last level where a picture has a plan: what is told to every block also says
                what is where. 0 has no plan and does not know places.
        """
        super().__init__()
        self.width, self.time_width, self.patch_size = width, 4 * width, patch_size
        self.step = patch_size * 2 ** (len(multiples) - 1)
        """Height and width must be multiples of this."""
        self._attention = (tuple(attention_levels), head_width, context_width)
        widths = [width * m for m in multiples]
        self.time_in = nn.Sequential(
            nn.Linear(width, self.time_width), nn.SiLU(), nn.Linear(self.time_width, self.time_width)
        )
        self.conv_in = nn.Conv2d(channels, width, patch_size + 2, stride=patch_size, padding=1)
        self.coarsest = coarsest
        if coarsest:
            self.places = nn.Linear(2 * _PLACE_FEATURES, width, bias=False)
            self.plan = nn.Linear(self.time_width, _PLAN_WIDTH * coarsest**2)
            self.plan_in = nn.Conv2d(_PLAN_WIDTH, widths[-1], 1)
        self.down, skips = nn.ModuleList(), [width]
        for level, then in enumerate(widths):
            for _ in range(depth):
                self.down.append(self._layer(skips[-1], then, level))
                skips.append(then)
            if level + 1 < len(widths):
                self.down.append(self._layer(then, then, None, "down"))
                skips.append(then)
        last = widths[-1]
        middle = attention_levels[0] if attention_levels else None
        self.middle = nn.ModuleList([self._layer(last, last, middle), self._layer(last, last, None)])
        self.up, self.merges = nn.ModuleList(), list[bool]()
        """The way up, and which of its layers read what was seen on the way down; the others enlarge."""
        now = last
        for level, then in reversed(list(enumerate(widths))):
            for _ in range(depth + 1):
                self.up.append(self._layer(now + skips.pop(), then, level))
                now = then
            if level:
                now = widths[level - 1]
                self.up.append(self._layer(then, now, None, "up"))
            self.merges += [True] * (depth + 1) + [False] * (level > 0)
        self.norm_out = group_norm(now)
        self.conv_out = nn.Conv2d(now, out * patch_size**2, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]  # there is one

    def _layer(self, now: int, then: int, level: int | None, resample: str = "") -> Layer:
        """A block of `level`, with attention if that level attends; None never does."""
        levels, head_width, context_width = self._attention
        attention = ContextAttention(then, head_width, context_width) if level in levels else None
        return Layer(ResBlock(now, then, self.time_width, resample=resample), attention)

    def embed_time(self, t: Tensor) -> Tensor:
        """Times (B,) in [0, 1] to (B, V)."""
        return self.time_in(sincos(t * 1000, self.width, 1e4))

    def forward(self, x: Tensor, time_BV: Tensor, context: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Run the network.

        Args:
            x: (B, C, H, W).
            time_BV: what `embed_time` gives, and whatever else is told to every block.
            context: tokens (B, S, E) and mask (B, S), true where a place may look; None where none attends.

        Returns:
            (B, out, H, W).

        Raises:
            SizeError: H or W is not a multiple of `step`.
        """
        if x.shape[2] % self.step or x.shape[3] % self.step:
            raise SizeError(
                f"The U-Net halves pictures to multiples of {self.step} pixels; got {x.shape[2]} x "
                f"{x.shape[3]} (height x width). Give it a height and a width that {self.step} divides."
            )
        time_BV = F.silu(time_BV)
        x = self.conv_in(x)
        if self.coarsest:
            x = x + self._places(x)
        seen = [x]
        for layer in self.down:
            x = layer(x, time_BV, context)
            seen.append(x)
        if self.coarsest:
            x = x + self._plan(time_BV, x.shape[2:])
        for layer in self.middle:
            x = layer(x, time_BV, context)
        for layer, merges in zip(self.up, self.merges, strict=True):
            if merges:
                x = torch.cat([x, seen.pop()], dim=1)
            x = layer(x, time_BV, context)
        x = self.conv_out(F.silu(self.norm_out(x)))
        return F.pixel_shuffle(x, self.patch_size) if self.patch_size > 1 else x

    def _places(self, x: Tensor) -> Tensor:
        """What each place is told of where it lies, measured from the centre: (1, D, h, w)."""
        of_row, of_column = self.places.weight.split(_PLACE_FEATURES, dim=1)
        rows_hD, columns_wD = (
            sincos(torch.arange(side, device=x.device) - (side - 1) / 2, _PLACE_FEATURES, _PLACE_PERIOD).to(x)
            @ weight.T
            for side, weight in zip(x.shape[2:], (of_row, of_column), strict=True)
        )
        return rows_hD.T[None, :, :, None] + columns_wD.T[None, :, None, :]

    def _plan(self, time_BV: Tensor, sides: Sequence[int]) -> Tensor:
        """What lies where, roughly: (B, D, *sides)."""
        plan = self.plan(time_BV).unflatten(1, (_PLAN_WIDTH, self.coarsest, self.coarsest))
        if tuple(sides) != (self.coarsest, self.coarsest):
            plan = F.interpolate(plan, tuple(sides), mode="bilinear", align_corners=False)
        return self.plan_in(plan)


def attention_levels(size: int, patch_size: int, num_levels: int, sides: Sequence[int]) -> tuple[int, ...]:
    """The levels that attend: those at which a picture of `size` has one of the `sides` in places.

    Raises:
        ConfigError: the picture never has such a side.
    """
    at = [size / (patch_size * 2**level) for level in range(num_levels)]
    for side in sides:
        if side not in at:
            raise ConfigError(
                f"attention_sides must be among the sides of the levels, {', '.join(f'{a:g}' for a in at)}; "
                f"got {side}."
            )
    return tuple(level for level, side in enumerate(at) if side in sides)
