"""The autoregressive prior: a caption in, the CLIP embedding of its picture out, one component after another.

Source  Ramesh et al. 2022 (arXiv:2204.06125), section 2.2: principal components by falling variance, each
        quantised; before them the text and a token for the dot product of both embeddings, which is drawn
        from the top half in use. Differs: the text is CLIP's features of tokens; the paper does not say where
        buckets end: here those of a component are equally wide, those of the dot equally full.
Letters B captions, D width of the embeddings, K components, V buckets of each, U buckets of the dot, W width.
Units   components and dots of unit vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.types import TextConditioning
from pictura.families.unclip.causal import CausalTransformer, TextPrefix, check_scale, check_shape
from pictura.families.unclip.space import EmbeddingSpace

Pick = Callable[[Tensor, int], Tensor]
"""Logits (B, V) of component number k to codes (B,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArPriorConfig:
    """Shape of the network, and of the codes."""

    dim: int = 256
    """D: of CLIP's embeddings."""
    text_width: int = 192
    """Of CLIP's text features."""
    max_tokens: int = 48
    num_components: int = 32
    """K."""
    num_buckets: int = 64
    """V: of a component."""
    num_dots: int = 32
    """U: of the dot product; even, for its top half is drawn from."""
    width: int = 128
    num_blocks: int = 5
    num_heads: int = 4
    scale: float = 12.8
    """What unit vectors are multiplied by before they are read."""

    def __post_init__(self) -> None:
        check_shape(
            "ArPriorConfig",
            self.width,
            self.num_heads,
            dim=self.dim,
            text_width=self.text_width,
            max_tokens=self.max_tokens,
            num_components=self.num_components,
            num_buckets=self.num_buckets,
            num_blocks=self.num_blocks,
        )
        check_scale("ArPriorConfig", self.scale)
        if self.num_components > self.dim:
            raise ConfigError(
                f"ArPriorConfig.num_components must be at most dim; "
                f"got num_components={self.num_components}, dim={self.dim}."
            )
        if self.num_dots < 2 or self.num_dots % 2:
            raise ConfigError(f"ArPriorConfig.num_dots must be even and positive; got {self.num_dots}.")


class ArPrior(nn.Module):
    """Says of each component in which bucket it may be, given text, dot and the components before it."""

    edges: Tensor
    """(K, V + 1) where the buckets of each component begin and end."""
    dot_edges: Tensor
    """(U + 1,) the same of the dot product."""

    def __init__(self, config: ArPriorConfig) -> None:
        super().__init__()
        self.config = config
        width, num_codes = config.width, config.num_components
        self.space = EmbeddingSpace(config.dim)
        even = torch.linspace(-1, 1, config.num_buckets + 1)
        self.register_buffer("edges", even.repeat(num_codes, 1))
        self.register_buffer("dot_edges", torch.linspace(-1, 1, config.num_dots + 1))
        self.prefix = TextPrefix(config.text_width, config.max_tokens, config.dim, width, config.scale)
        self.dot_embedding = nn.Embedding(config.num_dots, width)
        self.code_embedding = nn.Embedding(config.num_buckets, width)
        self.component_embedding = nn.Embedding(num_codes, width)
        self.transformer = CausalTransformer(width, config.num_blocks, config.num_heads)
        self.out = nn.Linear(width, config.num_buckets)
        for layer in (self.dot_embedding, self.code_embedding, self.component_embedding):
            nn.init.normal_(layer.weight, std=0.5)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def measure(self, embeddings: Tensor, sentences: Tensor) -> None:
        """Take components and buckets from unit vectors of pictures and captions, each (N, D)."""
        self.space.measure(embeddings)
        numbers_NK = self.space.project(embeddings, self.config.num_components)
        low, high = numbers_NK.aminmax(dim=0)
        share_V1 = torch.linspace(0, 1, self.config.num_buckets + 1, device=embeddings.device)
        self.edges.copy_(low[:, None] + (high - low)[:, None] * share_V1)
        share_U1 = torch.linspace(0, 1, self.config.num_dots + 1, device=embeddings.device)
        self.dot_edges.copy_(torch.quantile((embeddings * sentences).sum(dim=1), share_U1))

    def codes(self, embeddings: Tensor) -> Tensor:
        """Unit vectors (B, D) to the buckets of their components (B, K); beyond the ends, the last ones."""
        numbers_KB = self.space.project(embeddings, self.config.num_components).T.contiguous()
        inner = self.edges[:, 1:-1].contiguous()
        return torch.searchsorted(inner, numbers_KB, right=True).T

    def decode(self, codes: Tensor) -> Tensor:
        """The inverse of `codes` as far as buckets can tell: (B, K) to unit vectors (B, D)."""
        middles_KV = (self.edges[:, 1:] + self.edges[:, :-1]) / 2
        return F.normalize(self.space.rebuild(middles_KV.gather(1, codes.T).T), dim=1)

    def dots(self, embeddings: Tensor, sentences: Tensor) -> Tensor:
        """The buckets (B,) of the dot products of pictures and captions, each (B, D)."""
        return torch.searchsorted(
            self.dot_edges[1:-1].contiguous(), (embeddings * sentences).sum(dim=1), right=True
        )

    def high_dots(self, randoms: Tensor) -> Tensor:
        """Dots of the top half: a uniform number (B,) in [0, 1) picks one of its buckets, all as likely."""
        half = self.config.num_dots // 2
        return half + (randoms * half).long().clamp_max(half - 1)

    def forward(self, codes: Tensor, dots: Tensor, cond: TextConditioning) -> Tensor:
        """Say of each code what it may be, given those before it.

        Args:
            codes: (B, k) int64, the first k of K; the last of all is not read.
            dots: (B,) int64.
            cond: what the captions say.

        Returns:
            (B, k + 1, V) logits of the codes given and of the next; (B, K, V) if all are given.

        Raises:
            ConfigError: a text has more tokens than the network has places.
        """
        read_Bk = codes[:, : self.config.num_components - 1]
        prefix_BPW, seen_BP = self.prefix(cond)
        dot_B1W = self.dot_embedding(dots)[:, None]
        codes_BkW = self.code_embedding(read_Bk) + self.component_embedding.weight[: read_Bk.shape[1]]
        x_BSW = torch.cat([prefix_BPW, dot_B1W, codes_BkW], dim=1)
        length = 1 + read_Bk.shape[1]
        seen_BS = torch.cat([seen_BP, seen_BP.new_ones(len(seen_BP), length)], dim=1)
        return self.out(self.transformer(x_BSW, seen_BS)[:, -length:])

    @torch.no_grad()
    def draw(self, dots: Tensor, cond: TextConditioning, pick: Pick) -> Tensor:
        """Draw all codes, one after another.

        Args:
            dots: (B,) int64, such as `high_dots` gives.
            cond: what the captions say.
            pick: how a code is chosen.

        Returns:
            (B, K) codes; `decode` makes embeddings of them.
        """
        codes = dots.new_empty((len(dots), 0))
        for k in range(self.config.num_components):
            codes = torch.cat([codes, pick(self(codes, dots, cond)[:, -1], k)[:, None]], dim=1)
        return codes
