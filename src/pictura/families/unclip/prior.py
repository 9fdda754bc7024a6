"""The diffusion prior: a caption and a noisy CLIP embedding in, the clean embedding of its picture out.

Source  Ramesh et al. 2022 (arXiv:2204.06125), section 2.2: a decoder-only transformer with a causal mask over
        [text, z_t, time, noisy z_i, query], whose last output is x_0. Differs: the text is CLIP's features
        of tokens, and the scale of embeddings is measured instead of 17.2.
Letters B captions, T text tokens, E width of the text features, D of the embeddings, W width.
Units   t in [0, 1], 1 = noise; x_0 = scale * z_i, where z_i is a unit vector.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pictura.core.types import TextConditioning
from pictura.families.unclip.causal import CausalTransformer, TextPrefix, check_scale, check_shape
from pictura.families.unclip.space import EmbeddingSpace
from pictura.nn.layers import sincos
from pictura.sample.diffusion import check_schedule

_TIME_FEATURES = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class PriorConfig:
    """Shape of the network, and its path to noise."""

    dim: int = 256
    """D: of CLIP's embeddings."""
    text_width: int = 192
    """E: of CLIP's text features."""
    max_tokens: int = 48
    width: int = 128
    num_blocks: int = 5
    num_heads: int = 4
    scale: float = 12.8
    """What unit vectors are multiplied by, so that their numbers deviate as those of pictures in [-1, 1]."""
    schedule: str = "cosine"
    """See `sample.diffusion`."""

    def __post_init__(self) -> None:
        check_shape(
            "PriorConfig",
            self.width,
            self.num_heads,
            dim=self.dim,
            text_width=self.text_width,
            max_tokens=self.max_tokens,
            num_blocks=self.num_blocks,
        )
        check_scale("PriorConfig", self.scale)
        check_schedule(self.schedule)


class DiffusionPrior(nn.Module):
    """Predicts x_0. Its last layer starts at zero, so at step 0 x_0 is 0."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        self.space = EmbeddingSpace(config.dim)
        width = config.width
        self.prefix = TextPrefix(config.text_width, config.max_tokens, config.dim, width, config.scale)
        self.time_in = nn.Sequential(nn.Linear(_TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.noisy_in = nn.Linear(config.dim, width)
        self.query = nn.Parameter(torch.empty(width))
        nn.init.normal_(self.query, std=1.0)
        self.transformer = CausalTransformer(width, config.num_blocks, config.num_heads)
        self.out = nn.Linear(width, config.dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def measure(self, embeddings: Tensor, sentences: Tensor) -> None:
        """Take the components of embeddings (N, D), which are kept for show; `sentences` are not needed."""
        self.space.measure(embeddings)

    def forward(self, z_t: Tensor, t: Tensor, cond: TextConditioning) -> Tensor:
        """Predict the clean embedding.

        Args:
            z_t: (B, D) a * scale * z_i + s * noise at time `t`.
            t: (B,) times in [0, 1].
            cond: what the caption says.

        Returns:
            (B, D) x_0: scale * z_i, of about that length.

        Raises:
            ConfigError: a text has more tokens than the network has places.
        """
        prefix_BPW, seen_BP = self.prefix(cond)
        time_BW = self.time_in(sincos(t * 1000, _TIME_FEATURES, 1e4).to(z_t.dtype))
        ends_B3W = torch.stack(
            [time_BW, self.noisy_in(z_t), self.query.to(time_BW.dtype).expand_as(time_BW)], dim=1
        )
        seen_BS = torch.cat([seen_BP, seen_BP.new_ones(seen_BP.shape[0], 3)], dim=1)
        x_BSW = self.transformer(torch.cat([prefix_BPW, ends_B3W], dim=1), seen_BS)
        return self.out(x_BSW[:, -1])
