"""A CLIP from its folder, on torch: pictures and captions in, unit vectors out, numpy on both sides."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pictura.core.errors import DeviceError, ModelError
from pictura.encode.clip.config import ClipConfig
from pictura.encode.clip.model import Clip
from pictura.encode.tokenizer import Tokenizer
from pictura.store.models import ModelInfo, read_model
from pictura.store.weights import read_weights

Floats = NDArray[np.float32]
_AT_ONCE = 256


def clip_of(model: ModelInfo) -> Clip:
    """The networks of a CLIP's folder with its weights, in fp32 on the CPU.

    Raises:
        ModelError: it is no CLIP, or the weights do not fit its config.
    """
    if model.family != "clip":
        raise ModelError(f"{model.path} should hold a CLIP, but is of the family {model.family!r}.")
    try:
        table = model.manifest["clip"]
        table = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
        clip = Clip(ClipConfig(**table))
        weights = read_weights(model.path)
        clip.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"The weights in {model.path} do not fit its model.json: {error}") from error
    return clip.eval().requires_grad_(False)


class ClipModel:
    """A loaded CLIP."""

    def __init__(self, clip: Clip, tokenizer: Tokenizer, *, name: str, hash: str, device: str) -> None:  # noqa: A002
        self._clip, self._tokenizer, self._device = clip.to(device).eval(), tokenizer, device
        self.name, self.hash = name, hash
        self.dim = clip.config.dim
        """Of the vectors."""

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> "ClipModel":
        """Read and check a CLIP's folder.

        Args:
            folder: as `pictura export` writes it.
            device: ``cpu`` or ``cuda``.

        Raises:
            ModelError: there is none, it is damaged, or it is something else.
            DeviceError: there is no such device.
        """
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise DeviceError(f"Device {device!r} was asked for, but torch finds none. Use device='cpu'.")
        model = read_model(Path(folder))
        model.verify()
        tokenizer = Tokenizer.load(model.path / "tokenizer.json", max_tokens=model.max_tokens)
        return cls(clip_of(model), tokenizer, name=model.name, hash=model.hash, device=device)

    @torch.no_grad()
    def embed_images(self, images: Floats) -> Floats:
        """See pictures: (N, 3, 64, 64) float32 in [0, 1], RGB on light grey, to (N, dim) of length 1.

        Raises:
            SizeError: pictures of another size.
        """
        starts = range(0, len(images), _AT_ONCE)
        rows = [
            self._clip.embed_images(torch.from_numpy(images[i : i + _AT_ONCE]).to(self._device)).cpu().numpy()
            for i in starts
        ]
        return np.concatenate([np.zeros((0, self.dim), dtype=np.float32), *rows])

    @torch.no_grad()
    def embed_text(self, captions: Sequence[str]) -> Floats:
        """Read captions: N of them to (N, dim) of length 1."""
        rows = []
        for start in range(0, len(captions), _AT_ONCE):
            ids, mask = self._tokenizer.batch(captions[start : start + _AT_ONCE])
            read = self._clip.embed_text(
                torch.from_numpy(ids).to(self._device), torch.from_numpy(mask).to(self._device)
            )
            rows.append(read.cpu().numpy())
        return np.concatenate([np.zeros((0, self.dim), dtype=np.float32), *rows])
