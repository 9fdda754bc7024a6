"""DALL-E's transformer: a caption and the codes of a picture in, what each next token may be out.

Source  Ramesh et al. 2021 (arXiv:2102.12092), appendix B. Differs: smaller; no gradient scaling of single
        blocks, fp32; the end of a caption is not predicted. docs/families/dalle.md has the whole list.
Letters B pictures, T text positions, P = T + 1 prefix positions (text, then start-of-image), L = rows * cols
        codes, S = P + L, U text vocabulary, V codes to choose from, D width, N heads, K head width, M blocks,
        W slots and A = P + W positions of a block's memory.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.nn.layers import attend
from pictura.sample.token_masks import KINDS, full_mask
from pictura.sample.token_memory import MemoryPlan


@dataclass(frozen=True, kw_only=True, slots=True)
class DalleConfig:
    """Shape of the network."""

    vocab_size: int
    """U: of the tokenizer."""
    num_codes: int
    """V: of the dVAE."""
    max_tokens: int = 32
    """T: text positions; the first holds `<s>`."""
    rows: int = 8
    cols: int = 8
    width: int = 256
    num_blocks: int = 8
    num_heads: int = 4
    conv_kernel: int = 3
    """Side of the window that the last block sees, odd."""

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ConfigError(
                f"DalleConfig.width must be a multiple of num_heads; "
                f"got width={self.width}, num_heads={self.num_heads}."
            )
        for name in ("vocab_size", "num_codes", "max_tokens", "rows", "cols", "num_blocks", "num_heads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"DalleConfig.{name} must be at least 1; got {getattr(self, name)}.")
        if self.conv_kernel < 1 or self.conv_kernel % 2 == 0:
            raise ConfigError(f"DalleConfig.conv_kernel must be odd and positive; got {self.conv_kernel}.")

    @property
    def num_prefix(self) -> int:
        """P: text positions and start-of-image."""
        return self.max_tokens + 1

    @property
    def length(self) -> int:
        """L: codes of a picture."""
        return self.rows * self.cols

    def memory_plan(self) -> MemoryPlan:
        """What its blocks remember while codes are drawn."""
        return MemoryPlan(
            num_prefix=self.num_prefix,
            rows=self.rows,
            cols=self.cols,
            conv_kernel=self.conv_kernel,
            num_blocks=self.num_blocks,
        )


class Logits(NamedTuple):
    """What each next token may be."""

    text: Tensor
    """(B, T - 1, U): of the tokens at text positions 1 to T - 1."""
    image: Tensor
    """(B, L, V): of every code."""


class Attention(nn.Module):
    """Attention under a mask, over a whole stream or from one new token to a cache."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def project(self, x_BSD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values, each (B, N, S, K)."""
        q, k, v = self.qkv(x_BSD).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def forward(self, x_BSD: Tensor, mask_SS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix the tokens of a stream: (B, S, D), and its keys and values (B, N, S, K)."""
        q, k, v = self.project(x_BSD)
        mixed_BNSK = attend(q, k, v, mask_SS)
        return self.out(mixed_BNSK.transpose(1, 2).flatten(2)), k, v

    def step(
        self, x_BD: Tensor, bias_A: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mix one new token with those of a memory (B, N, A, K), whose scores get a bias, and with itself.

        Returns:
            (B, D), and the token's own key and value (B, N, 1, K).
        """
        width = x_BD.shape[-1]
        heads = self.qkv(x_BD).view(-1, 3 * self.num_heads, 1, width // self.num_heads)
        q, k, v = heads.split(self.num_heads, dim=1)
        # The memory is read where it lies: scores of the past and of the token itself meet in the softmax.
        # They are scaled there, since ONNX Runtime is slow at a product that is scaled on the way.
        past_BN1A = q @ keys.transpose(-1, -2) + bias_A
        scores = torch.cat([past_BN1A, (q * k).sum(dim=-1, keepdim=True)], dim=-1) * q.shape[-1] ** -0.5
        past_BN1A, own_BN11 = scores.softmax(dim=-1).split([keys.shape[-2], 1], dim=-1)
        mixed_BN1K = past_BN1A @ values + own_BN11 * v
        return self.out(mixed_BN1K.view(-1, width)), k, v


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(width)
        self.attention = Attention(width, num_heads)
        self.norm_2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x_BSD: Tensor, mask_SS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Attention.forward`."""
        mixed_BSD, keys, values = self.attention(self.norm_1(x_BSD), mask_SS)
        return self._mlp(x_BSD + mixed_BSD), keys, values

    def step(
        self, x_BD: Tensor, bias_A: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Attention.step`."""
        mixed_BD, key, value = self.attention.step(self.norm_1(x_BD), bias_A, keys, values)
        return self._mlp(x_BD + mixed_BD), key, value

    def _mlp(self, x_BSD: Tensor) -> Tensor:
        return x_BSD + self.down(gelu(self.up(self.norm_2(x_BSD))))


def gelu(x: Tensor) -> Tensor:
    """GELU; when exported, in the order of operations that ONNX Runtime makes one of."""
    if torch.compiler.is_exporting():
        return 0.5 * (x * (1 + torch.erf(x / math.sqrt(2))))
    return F.gelu(x)


class DalleTransformer(nn.Module):
    """Writes text and codes as one stream, each token in the light of those before it."""

    masks: Tensor
    """(3, S - 1, S - 1) bool: of each of `KINDS`, for training; the last code is never read."""

    def __init__(self, config: DalleConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.text_embedding = nn.Embedding(config.vocab_size, width)
        self.text_position = nn.Embedding(config.max_tokens, width)
        self.pad_embedding = nn.Embedding(config.max_tokens, width)
        self.image_start = nn.Parameter(torch.empty(width))
        self.code_embedding = nn.Embedding(config.num_codes, width)
        self.row_embedding = nn.Embedding(config.rows, width)
        self.column_embedding = nn.Embedding(config.cols, width)
        self.blocks = nn.ModuleList(Block(width, config.num_heads) for _ in range(config.num_blocks))
        self.norm_out = nn.LayerNorm(width)
        self.text_out = nn.Linear(width, config.vocab_size)
        self.code_out = nn.Linear(width, config.num_codes)
        self.kinds = list(config.memory_plan().kinds())
        grid = (config.num_prefix, config.rows, config.cols, config.conv_kernel)
        masks = torch.stack([torch.from_numpy(full_mask(kind, *grid)[:-1, :-1]) for kind in KINDS])
        self.register_buffer("masks", masks, persistent=False)
        self._init_weights()

    def _init_weights(self) -> None:
        """Normal weights of deviation 0.02, less for what adds to the stream; no biases."""
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            elif "norm" not in name:
                adds = name.endswith(("attention.out.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * self.config.num_blocks) if adds else 1))

    def forward(self, token_ids: Tensor, mask: Tensor, codes: Tensor) -> Logits:
        """Say of each text token and each code what it may be, given what stands before it.

        Args:
            token_ids: (B, T) int64; what stands where `mask` is false does not matter.
            mask: (B, T) bool, true where a token is.
            codes: (B, L) int64, raster order.

        Returns:
            (B, T - 1, U) of the text tokens after `<s>`, and (B, L, V) of the codes.

        Raises:
            ConfigError: there are more or fewer text positions or codes than the network has.
        """
        x_BSD = self.read(token_ids, mask, codes)
        text = self.text_out(x_BSD[:, : self.config.max_tokens - 1])
        return Logits(text=text, image=self.code_out(x_BSD[:, self.config.max_tokens :]))

    def read(self, token_ids: Tensor, mask: Tensor, codes: Tensor) -> Tensor:
        """The stream before the logits, (B, S - 1, D); arguments and errors as `forward`."""
        if codes.shape[1] != self.config.length:
            raise ConfigError(
                f"A picture must have {self.config.rows} x {self.config.cols} = {self.config.length} codes "
                f"for this network; got {codes.shape[1]}. Take pictures of the size that it was made for."
            )
        image_BLD = self.code_embedding(codes[:, :-1]) + self._places()[:-1]
        x_BSD = torch.cat([self._prefix(token_ids, mask), image_BLD], dim=1)
        for block, kind in zip(self.blocks, self.kinds, strict=True):
            x_BSD, _, _ = block(x_BSD, self.masks[kind])
        return self.norm_out(x_BSD)

    def prefill(
        self, token_ids: Tensor, mask: Tensor, causal: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read captions, before the first code.

        Args:
            token_ids: (B, T) int64.
            mask: (B, T) bool, true where a token is.
            causal: (P, P) bool, lower triangle: for exported graphs, which hold no large constants.

        Returns:
            (B, V) logits of code 0; keys and values of the prefix, each (M, B, N, P, K).
        """
        x_BPD = self._prefix(token_ids, mask)
        num_prefix, keys, values = self.config.num_prefix, [], []
        for block, kind in zip(self.blocks, self.kinds, strict=True):
            seen = self.masks[kind, :num_prefix, :num_prefix] if causal is None else causal
            x_BPD, key, value = block(x_BPD, seen)
            keys.append(key)
            values.append(value)
        logits = self.code_out(self.norm_out(x_BPD[:, -1]))
        return logits, torch.stack(keys), torch.stack(values)

    def step(
        self,
        codes: Tensor,
        index: Tensor | int,
        allowed: Sequence[Tensor],
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read one code of each picture, and say what the next may be.

        Args:
            codes: (B,) int64.
            index: which code that is, from 0 to L - 2: a number or a tensor of one int64.
            allowed: (P + W,) bool for each of `KINDS`: rows `index` of `MemoryPlan.allowed`.
            keys: of each block (B, N, P + W, K), as `TokenMemory` keeps them; what `allowed` leaves out must
                be finite.
            values: of the same shapes.

        Returns:
            (B, V) logits of code `index` + 1; the code's own keys and values, each (B, N, M, K), which the
            caller adds to the memory.
        """
        at = torch.as_tensor(index, device=codes.device).reshape(1)
        x_BD = self.code_embedding(codes) + self._places()[at]
        biases = [torch.zeros_like(one, dtype=x_BD.dtype).masked_fill(~one, -torch.inf) for one in allowed]
        new_keys, new_values = [], []
        for i, kind in enumerate(self.kinds):
            block: Any = self.blocks[i]
            x_BD, key, value = block.step(x_BD, biases[kind], keys[i], values[i])
            new_keys.append(key)
            new_values.append(value)
        logits = self.code_out(self.norm_out(x_BD))
        return logits, torch.cat(new_keys, dim=2), torch.cat(new_values, dim=2)

    def _prefix(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """Text and start-of-image: (B, P, D)."""
        if token_ids.shape[1] != self.config.max_tokens:
            raise ConfigError(
                f"This network has {self.config.max_tokens} text positions; got {token_ids.shape[1]}. "
                f"Pad shorter captions, and cut longer ones."
            )
        text_BTD = self.text_embedding(token_ids) + self.text_position.weight
        text_BTD = torch.where(mask[..., None], text_BTD, self.pad_embedding.weight)
        start_B1D = self.image_start.expand(len(token_ids), 1, -1)
        return torch.cat([text_BTD, start_B1D], dim=1)

    def _places(self) -> Tensor:
        """Row and column of every code: (L, D)."""
        return (self.row_embedding.weight[:, None] + self.column_embedding.weight).flatten(0, 1)
