"""The networks of a DALL-E model folder on torch, CPU or CUDA: what the pipeline paints with on a GPU.

Pictures are computed in groups of a fixed number, so that one does not depend on what is painted beside it.

Letters B pictures, C channels, T text tokens, V codes to choose from, h w grid of codes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pictura.core.errors import ModelError
from pictura.encode.dvae.config import DvaeConfig
from pictura.encode.dvae.model import Dvae
from pictura.encode.tokenizer import pad
from pictura.families.dalle.cache import TokenCache
from pictura.families.dalle.model import DalleConfig, DalleTransformer
from pictura.nn.device import check_device
from pictura.store.models import AS_LEARNT, ModelInfo
from pictura.store.weights import read_weights

GROUP = 16
"""Pictures of one network call on CUDA."""
CPU_GROUP = 4


class DalleParts(nn.Module):
    """The two networks under the names that weights have in model folders."""

    def __init__(self, transformer: DalleTransformer, dvae: Dvae) -> None:
        super().__init__()
        self.transformer = transformer
        self.dvae = dvae

    @classmethod
    def from_folder(cls, model: ModelInfo, *, strength: float = AS_LEARNT) -> "DalleParts":
        """Build the networks of a model folder with its weights, in fp32 on the CPU.

        Raises:
            ModelError: the weights do not fit the configs.
        """
        configs = model.manifest
        parts = cls(
            DalleTransformer(DalleConfig(**configs["transformer"])), Dvae(DvaeConfig(**configs["dvae"]))
        )
        weights = read_weights(model.path, strength=strength)
        try:
            parts.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        except RuntimeError as error:
            raise ModelError(f"The weights in {model.path} do not fit its model.json: {error}") from error
        return parts.eval().requires_grad_(False)


class TorchBackend:
    """A loaded model (`core.types.TokenBackend`)."""

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
            compile: has no effect: a step is too short to gain by it.

        Raises:
            DeviceError: there is no such device.
            ModelError: the weights do not fit.
        """
        check_device(device)
        self.device, self.strength = device, strength
        self._parts = DalleParts.from_folder(model, strength=strength).to(device)
        config = self._parts.transformer.config
        self.grid = (config.rows, config.cols)
        self.num_codes = config.num_codes
        self.group = GROUP if device == "cuda" else CPU_GROUP

    @torch.no_grad()
    def start(self, token_ids: NDArray[np.int64], num: int) -> tuple[NDArray[np.float32], list[TokenCache]]:
        """Read one prompt, (T,) token ids without padding, for `num` pictures.

        Returns:
            (num, V) logits of code 0, and a cache for each group of pictures.
        """
        ids, mask = pad([token_ids.tolist()], self._parts.transformer.config.max_tokens)
        given = torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)
        caches = [
            TokenCache(self._parts.transformer, *given, num=self.group) for _ in range(-(-num // self.group))
        ]
        return _numpy(torch.cat([cache.logits for cache in caches])[:num]), caches

    @torch.no_grad()
    def step(self, codes: NDArray[np.int64], index: int, cache: list[TokenCache]) -> NDArray[np.float32]:
        """Go on by one token: (num,) codes number `index` of each picture.

        Returns:
            (num, V) logits of code `index` + 1.
        """
        full = np.zeros(len(cache) * self.group, dtype=np.int64)
        full[: len(codes)] = codes
        groups = torch.from_numpy(full).to(self.device).split(self.group)
        logits = [one.step(group, index) for one, group in zip(cache, groups, strict=True)]
        return _numpy(torch.cat(logits)[: len(codes)])

    @torch.no_grad()
    def decode(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Codes (B, h, w) to images (B, 3 or 4, h * factor, w * factor) in [0, 1], premultiplied."""
        rows = torch.from_numpy(codes).to(self.device).split(1)
        return _numpy(torch.cat([self._parts.dvae.decode(row) for row in rows]))

    @torch.no_grad()
    def encode(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Images (B, C, H, W) in [0, 1] to codes (B, h, w)."""
        rows = torch.from_numpy(images).to(self.device).split(1)
        return torch.cat([self._parts.dvae.encode(row) for row in rows]).cpu().numpy()


def _numpy(x: Tensor) -> NDArray[np.float32]:
    return x.float().cpu().numpy()
