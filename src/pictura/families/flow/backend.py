"""The networks of a flow model folder on torch, CPU or CUDA: what the pipeline paints with on a GPU.

On CUDA the network runs in bf16 in groups of a fixed number of rows, so that a picture does not depend
on what is painted beside it.

Letters B batch, C channels, T text tokens, D width.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ModelError
from pictura.core.types import Conditioning
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.families.flow.model import FlowConfig, FlowTransformer
from pictura.nn.device import check_device
from pictura.sample.calls import Call, answer
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.store.weights import read_weights

GROUP = 16
"""Rows of one network call on CUDA; a call that has fewer is filled up."""


class PixelSpace(nn.Module):
    """Stands for the autoencoder of a model that paints pixels: pictures in [-1, 1] are its latents."""

    def encode(self, images: Tensor) -> Tensor:
        """[0, 1] to [-1, 1]."""
        return images * 2 - 1

    def decode(self, latent: Tensor) -> Tensor:
        """[-1, 1] to [0, 1], clipped."""
        return (latent / 2 + 0.5).clamp(0, 1)


class FlowParts(nn.Module):
    """The three networks under the names that weights have in model folders."""

    def __init__(
        self, network: FlowTransformer, text_encoder: TextEncoder, autoencoder: Autoencoder | PixelSpace
    ) -> None:
        super().__init__()
        self.network = network
        self.text_encoder = text_encoder
        self.autoencoder = autoencoder

    @classmethod
    def from_folder(
        cls, model: ModelInfo, *, strength: float = AS_LEARNT, student: bool = False
    ) -> "FlowParts":
        """Build the networks of a model folder with its weights, in fp32 on the CPU; or of its student.

        Raises:
            ModelError: the weights do not fit the configs.
        """
        configs = model.manifest
        autoencoder = configs["autoencoder"]
        parts = cls(
            FlowTransformer(FlowConfig(**configs["network"])),
            TextEncoder(TextEncoderConfig(**configs["text_encoder"])),
            Autoencoder(AutoencoderConfig(**autoencoder)) if autoencoder else PixelSpace(),
        )
        weights = read_weights(model.path, strength=strength, student=student)
        try:
            parts.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        except RuntimeError as error:
            raise ModelError(f"The weights in {model.path} do not fit its model.json: {error}") from error
        return parts.eval().requires_grad_(False)


class TorchBackend:
    """A loaded model (`core.types.Backend`)."""

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
            compile: let torch compile the network: half a minute once, then faster; for many pictures.

        Raises:
            DeviceError: there is no such device.
            ModelError: the weights do not fit.
        """
        check_device(device)
        self.device, self.strength = device, strength
        parts = FlowParts.from_folder(model, strength=strength).to(device)
        self._model, self._parts = model, parts
        self._network = torch.compile(parts.network) if compile else parts.network
        self.latent_channels = parts.network.config.latent_channels
        self._max_tokens = model.max_tokens

    def asarray(self, array: NDArray[np.float32]) -> Tensor:
        """Move a numpy array to the device."""
        return torch.from_numpy(array).to(self.device)

    def numpy(self, array: Tensor) -> NDArray[np.float32]:
        """Bring a tensor back."""
        return array.float().cpu().numpy()

    @torch.no_grad()
    def encode_text(self, token_ids: NDArray[np.int64]) -> Conditioning:
        """Read one prompt: (T,) token ids without padding, to features (1, T, D)."""
        ids = torch.from_numpy(token_ids)[None].to(self.device)
        mask = torch.ones_like(ids, dtype=torch.bool)
        return Conditioning(tokens=self._parts.text_encoder(ids, mask), mask=mask)

    def velocity(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Velocity of latents `x_t` (B, C, H, W) at times `t` (B,); `cond` is of one prompt (1, T, D)."""
        return self._velocities(self._network, [(x_t, t, cond)])[0]

    def student_velocity(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """The same by the model's student."""
        return self._velocities(self._student, [(x_t, t, cond)])[0]

    @cached_property
    def _student(self) -> nn.Module:
        """Loaded on its first use: most pictures are no drafts. A few calls do not pay for compiling it."""
        parts = FlowParts.from_folder(self._model, strength=self.strength, student=True)
        return parts.network.to(self.device)

    def answer_all(self, calls: Sequence[Call]) -> list[Any]:
        """Answer calls of many pictures, the velocities of equal shape in common calls of the network."""
        found: list[Any] = [None] * len(calls)
        alike: dict[tuple[str, torch.Size], list[int]] = {}
        for i, call in enumerate(calls):
            if call.method in ("velocity", "student_velocity"):
                alike.setdefault((call.method, call.args[0].shape[1:]), []).append(i)
            else:
                found[i] = answer(self, call)
        for (method, _), numbers in alike.items():
            network = self._network if method == "velocity" else self._student
            velocities = self._velocities(network, [calls[i].args for i in numbers])
            for i, velocity in zip(numbers, velocities, strict=True):
                found[i] = velocity
        return found

    @torch.no_grad()
    def _velocities(
        self, network: Any, asked: Sequence[tuple[Tensor, Tensor, Conditioning]]
    ) -> Sequence[Tensor]:
        """One velocity for each (x_t, t, cond). Prompts are padded to one length, whoever is beside them."""
        group = GROUP if self.device == "cuda" else 1
        sizes = [len(x_t) for x_t, _, _ in asked]
        columns = [
            torch.cat([x_t for x_t, _, _ in asked]),
            torch.cat([t for _, t, _ in asked]),
            torch.cat([self._padded(cond.tokens).expand(len(x), -1, -1) for x, _, cond in asked]),
            torch.cat([self._padded(cond.mask).expand(len(x), -1) for x, _, cond in asked]),
        ]
        more = -sum(sizes) % group
        full = [torch.cat([column, column[:1].expand(more, *column.shape[1:])]) for column in columns]
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda"):
            rows = [
                network(x_t, t, Conditioning(tokens=tokens, mask=mask))
                for x_t, t, tokens, mask in zip(*(column.split(group) for column in full), strict=True)
            ]
        return torch.cat(rows)[: sum(sizes)].float().split(sizes)

    def _padded(self, text: Tensor) -> Tensor:
        """(1, T, ...) to (1, max_tokens, ...)."""
        return F.pad(text, (0, 0) * (text.ndim - 2) + (0, self._max_tokens - text.shape[1]))

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3 or 4, H * factor, W * factor) in [0, 1], premultiplied, to latents (B, C, H, W)."""
        return torch.cat([self._parts.autoencoder.encode(row) for row in images.split(1)])

    @torch.no_grad()
    def decode(self, x_0: Tensor) -> Tensor:
        """Latents (B, C, H, W) to images (B, 3 or 4, H * factor, W * factor) in [0, 1], premultiplied."""
        return torch.cat([self._parts.autoencoder.decode(row) for row in x_0.split(1)])
