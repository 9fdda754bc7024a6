"""The networks of unCLIP to ONNX graphs without weights.

    text_encoder   token_ids (1, T) -> tokens (1, T, E), sentence (1, D)
    prior          z_t (1, D), t (1,), tokens (1, T, E), mask (1, T), sentence (1, D), keep (1,) -> z_0 (1, D)
    decoder        x_t (1, C, h, w), t (1,), embedding (1, D), tokens (1, T, E), mask (1, T),
                   keep_embedding (1,), keep_text (1,) -> x_0 (1, C, h, w)
    upsampler      x_t (1, C, H, W), t (1,), low (1, C, h, w) -> x_0 (1, C, H, W)

All lengths but T are fixed: networks run a row at a time, on pictures of the size that they were made for.

Letters C channels, h w small size, H W large size, D numbers of a vector, T text tokens,
        E width of the text features.
"""

import torch
from torch import Tensor, nn
from torch.export import Dim

from pictura.core.types import ImageConditioning, TextConditioning
from pictura.families.unclip.backend import UnclipParts
from pictura.families.unclip.upsampler import Upsampler
from pictura.train.export.graphs import Graph, Tracing, trace, with_distinct_weights


class ReaderGraph(nn.Module):
    """One prompt without padding to features and a vector."""

    def __init__(self, parts: UnclipParts) -> None:
        super().__init__()
        self.clip = parts.clip

    def forward(self, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Read."""
        return self.clip(token_ids, torch.ones_like(token_ids, dtype=torch.bool))


class PriorGraph(nn.Module):
    """Noisy vectors to clean ones."""

    def __init__(self, parts: UnclipParts) -> None:
        super().__init__()
        self.prior = parts.prior

    def forward(
        self, z_t: Tensor, t: Tensor, tokens: Tensor, mask: Tensor, sentence: Tensor, keep: Tensor
    ) -> Tensor:
        """Imagine."""
        return self.prior(z_t, t, TextConditioning(tokens=tokens, mask=mask, sentence=sentence, keep=keep))


class PainterGraph(nn.Module):
    """Noisy small pictures to clean ones."""

    def __init__(self, parts: UnclipParts) -> None:
        super().__init__()
        self.decoder = parts.decoder

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        embedding: Tensor,
        tokens: Tensor,
        mask: Tensor,
        keep_embedding: Tensor,
        keep_text: Tensor,
    ) -> Tensor:
        """Paint."""
        cond = ImageConditioning(
            embedding=embedding,
            tokens=tokens,
            mask=mask,
            keep_embedding=keep_embedding,
            keep_text=keep_text,
        )
        return self.decoder.denoise(x_t, t, cond)


class EnlargerGraph(nn.Module):
    """Noisy large pictures to clean ones, given the small ones."""

    def __init__(self, upsampler: Upsampler) -> None:
        super().__init__()
        self.upsampler = upsampler

    def forward(self, x_t: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """Enlarge."""
        return self.upsampler.denoise(x_t, t, low)


def unclip_graphs(parts: UnclipParts) -> dict[str, Graph]:
    """`text_encoder`, `prior`, `decoder` and, if there is one, `upsampler`, without weights."""
    copy = with_distinct_weights(parts)
    config = copy.decoder.config
    small = (1, config.image_channels, config.size, config.size)
    examples: dict[str, Tensor] = {  # each a tensor of its own, for equal ones would become one input
        "token_ids": torch.ones(1, 3, dtype=torch.int64),
        "z_t": torch.zeros(1, config.embed_dim),
        "x_t": torch.zeros(small),
        "t": torch.ones(1),
        "embedding": torch.zeros(1, config.embed_dim),
        "tokens": torch.zeros(1, 3, config.text_width),
        "mask": torch.ones(1, 3, dtype=torch.bool),
        "sentence": torch.zeros(1, config.embed_dim),
        **{name: torch.ones(1, dtype=torch.bool) for name in ("keep", "keep_embedding", "keep_text")},
        "low": torch.zeros(small),
    }
    length = {1: Dim("T", max=4096)}

    def tracing(module: nn.Module, *names: str) -> Tracing:
        given = {name: examples[name] for name in names}
        texts = ("token_ids", "tokens", "mask")
        return Tracing(module, given, {name: length if name in texts else {} for name in given})

    text = ("tokens", "mask")
    tracings = {
        "text_encoder": tracing(ReaderGraph(copy), "token_ids"),
        "prior": tracing(PriorGraph(copy), "z_t", "t", *text, "sentence", "keep"),
        "decoder": tracing(PainterGraph(copy), "x_t", "t", "embedding", *text, "keep_embedding", "keep_text"),
    }
    if copy.upsampler:
        side = config.size * copy.upsampler.config.factor
        examples["x_t"] = torch.zeros(1, config.image_channels, side, side)
        tracings["upsampler"] = tracing(EnlargerGraph(copy.upsampler), "x_t", "t", "low")
    spare = {name for name in copy.state_dict() if name.startswith("prior.space.")}
    return trace(tracings, set(copy.state_dict()), spare=spare)
