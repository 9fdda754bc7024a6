"""The networks of an unCLIP model folder on torch, CPU or CUDA: what the pipeline paints with on a GPU.

On CUDA they run in bf16 in groups of a fixed number of rows, so that a picture does not depend on what is
painted beside it.

Letters B pictures, C channels, H W size, D numbers of a vector, T text tokens, E width of the text features.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ModelError
from pictura.core.types import Conditioning, ImageConditioning, TextConditioning
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.families.unclip.decoder import Decoder, DecoderConfig
from pictura.families.unclip.prior import DiffusionPrior, PriorConfig
from pictura.families.unclip.upsampler import Upsampler, UpsamplerConfig
from pictura.nn.device import check_device
from pictura.sample.probing import untrained_parts
from pictura.store.clips import reading_weights
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.store.weights import read_weights

GROUP = 4
"""Rows of one network call on CUDA."""


class ClipReader(nn.Module):
    """The half of a CLIP that reads, under the names that its weights have there."""

    def __init__(self, config: TextEncoderConfig, dim: int) -> None:
        super().__init__()
        self.text_encoder = TextEncoder(config)
        self.text_out = nn.Linear(config.width, dim, bias=False)

    def forward(self, token_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) token ids and mask to features (B, T, E) and unit vectors (B, D)."""
        tokens_BTE = self.text_encoder(token_ids, mask)
        weight_BT1 = mask[..., None].to(tokens_BTE.dtype)
        mean_BE = (tokens_BTE * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1)
        return tokens_BTE, F.normalize(self.text_out(mean_BE), dim=-1)


class UnclipParts(nn.Module):
    """The networks under the names that weights have in model folders; those of `clip` are its CLIP's."""

    def __init__(
        self, clip: ClipReader, prior: DiffusionPrior, decoder: Decoder, upsampler: Upsampler | None
    ) -> None:
        super().__init__()
        self.clip = clip
        self.prior = prior
        self.decoder = decoder
        self.upsampler = upsampler

    @classmethod
    def from_folder(cls, model: ModelInfo, *, strength: float = AS_LEARNT) -> "UnclipParts":
        """Build the networks of a model folder with its weights, in fp32 on the CPU.

        Raises:
            ModelError: the weights do not fit the configs, or the CLIP that reads is not here.
        """
        configs = model.manifest
        upsampler, decoder = configs["upsampler"], configs["decoder"]
        parts = cls(
            ClipReader(TextEncoderConfig(**configs["text_encoder"]), configs["clip"]["dim"]),
            DiffusionPrior(PriorConfig(**configs["prior"])),
            Decoder(DecoderConfig(**_tuples(decoder))),
            Upsampler(UpsamplerConfig(**_tuples(upsampler))) if upsampler else None,
        )
        weights = read_weights(model.path, strength=strength) | reading_weights(model)
        try:
            parts.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        except RuntimeError as error:
            raise ModelError(f"The weights in {model.path} do not fit its model.json: {error}") from error
        return parts.eval().requires_grad_(False)


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


class TorchBackend:
    """A loaded model (`core.types.ImaginationBackend`)."""

    def __init__(
        self,
        model: ModelInfo,
        *,
        device: str = "cuda",
        strength: float = AS_LEARNT,
        compile: bool = False,  # noqa: A002
    ) -> None:
        """Load the networks of `model`.

        Args:
            model: whose files were verified.
            device: ``cuda`` or ``cpu``.
            strength: of the low-rank changes that the folder may hold, in percent.
            compile: let torch compile the decoder: half a minute once, then faster; for many pictures.

        Raises:
            DeviceError: there is no such device.
            ModelError: the weights do not fit.
        """
        check_device(device)
        self._model, self.device, self.strength = model, device, strength
        self._parts = UnclipParts.from_folder(model, strength=strength).to(device)
        mean, components, variances = (part.cpu().numpy() for part in self._parts.prior.space.pca())
        self.space = mean, components, variances
        denoise = self._parts.decoder.denoise
        self._decoder: Callable[..., Tensor] = torch.compile(denoise) if compile else denoise

    def asarray(self, array: NDArray[np.float32]) -> Tensor:
        """Move a numpy array to the device."""
        return torch.from_numpy(array).to(self.device)

    def numpy(self, array: Tensor) -> NDArray[np.float32]:
        """Bring a tensor back."""
        return array.float().cpu().numpy()

    @torch.no_grad()
    def encode_text(self, token_ids: NDArray[np.int64]) -> Conditioning:
        """Read one prompt: (T,) token ids without padding, to features (1, T, E) and a unit vector (1, D)."""
        ids = torch.from_numpy(token_ids)[None].to(self.device)
        mask = torch.ones_like(ids, dtype=torch.bool)
        tokens, sentence = self._parts.clip(ids, mask)
        return Conditioning(tokens=tokens, mask=mask, sentence=sentence)

    @torch.no_grad()
    def prior(self, z_t: Tensor, t: Tensor, text: Conditioning, keep: bool) -> Tensor:
        """Noisy vectors (B, D) at times (B,) to clean ones, all scaled; `text` is of one prompt."""

        def call(z_t: Tensor, t: Tensor) -> Tensor:
            tokens, mask, sentence = _told(text, len(t))
            cond = TextConditioning(
                tokens=tokens, mask=mask, sentence=sentence, keep=torch.full_like(t, keep, dtype=torch.bool)
            )
            return self._parts.prior(z_t, t, cond)

        return self._in_groups(call, z_t, t)

    @torch.no_grad()
    def decoder(
        self, x_t: Tensor, t: Tensor, z: Tensor, text: Conditioning, keep: tuple[bool, bool]
    ) -> Tensor:
        """Noisy pictures (B, C, H, W) at times (B,) to clean ones, in [-1, 1]; see `ImaginationBackend`."""

        def call(x_t: Tensor, t: Tensor, z: Tensor) -> Tensor:
            tokens, mask, _ = _told(text, len(t))
            keep_embedding, keep_text = (torch.full_like(t, one, dtype=torch.bool) for one in keep)
            cond = ImageConditioning(
                embedding=z, tokens=tokens, mask=mask, keep_embedding=keep_embedding, keep_text=keep_text
            )
            return self._decoder(x_t, t, cond)

        return self._in_groups(call, x_t, t, z)

    @torch.no_grad()
    def upsampler(self, x_t: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """Noisy pictures (B, C, H, W) at times (B,) to clean ones, whose small forms are `low`."""
        assert self._parts.upsampler is not None  # the folder says whether there is one
        return self._in_groups(self._parts.upsampler.denoise, x_t, t, low)

    @torch.no_grad()
    def decode(self, x_0: Tensor) -> Tensor:
        """Pictures in [-1, 1] to [0, 1], clipped."""
        return (x_0 / 2 + 0.5).clamp(0, 1)

    @cached_property
    def untrained(self) -> tuple[str, ...]:
        """Names of the networks that learnt nothing."""
        return untrained_parts(self._model, self, self.space)

    def _in_groups(self, call: Callable[..., Tensor], *rows: Tensor) -> Tensor:
        """Call a network with as many rows as always."""
        num, group = len(rows[0]), GROUP if self.device == "cuda" else 1
        full = [torch.cat([one, one[:1].expand(-num % group, *one.shape[1:])]) for one in rows]
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda"):
            out = [call(*parts) for parts in zip(*(one.split(group) for one in full), strict=True)]
        return torch.cat(out)[:num].float()


def _told(text: Conditioning, num: int) -> Sequence[Tensor]:
    """Features, mask and vector of one prompt for so many rows."""
    given: tuple[Any, ...] = (text.tokens, text.mask, text.sentence)
    return [one.expand(num, *one.shape[1:]).contiguous() for one in given]
