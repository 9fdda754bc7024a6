"""A CLIP that a painter listens to and never changes: pictures and captions in, what it makes of them out.

Letters B pictures, T text tokens, E width of the text features, D of the embeddings.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.encode.clip.config import SIZE
from pictura.encode.clip.load import clip_of
from pictura.encode.clip.model import Clip
from pictura.encode.tokenizer import Tokenizer
from pictura.store.models import resolve

TEXT_PARTS = ("text_encoder.", "text_out.")
"""Its weights that a painter's folder holds, for prompts are read without the CLIP's folder."""


class FrozenClip:
    """A loaded CLIP, in fp32 and without gradients."""

    def __init__(
        self,
        clip: Clip,
        tokenizer: Tokenizer,
        *,
        name: str,
        hash: str,  # noqa: A002
        device: torch.device,
    ) -> None:
        """Keep the parts.

        Args:
            clip: with its weights.
            tokenizer: of its captions.
            name: of its model.
            hash: of its model: another CLIP has other embeddings.
            device: where it computes.
        """
        self.clip, self.tokenizer = clip.to(device).eval().requires_grad_(False), tokenizer
        self.name, self.hash, self.device = name, hash, device

    @classmethod
    def load(cls, where: str, root: Path, device: torch.device) -> "FrozenClip":
        """Read and check a CLIP.

        Args:
            where: name or folder of the model.
            root: folder that relative paths start from.
            device: where it computes.

        Raises:
            ModelNotFoundError: nothing is there.
            ModelError: it is damaged or no CLIP.
        """
        model = resolve(str(root / where) if (root / where).exists() else where)
        model.verify()
        tokenizer = Tokenizer.load(model.path / "tokenizer.json", max_tokens=model.max_tokens)
        return cls(clip_of(model), tokenizer, name=model.name, hash=model.hash, device=device)

    @torch.no_grad()
    def see(self, images: Tensor) -> Tensor:
        """Look at pictures on light grey, averaged down to its size.

        Args:
            images: (B, 3 or 4, H, W) in [0, 1].

        Returns:
            (B, D) unit vectors.

        Raises:
            ConfigError: they are smaller than what it sees, or no square.
        """
        height, width = images.shape[2:]
        if height != width or width < SIZE:
            raise ConfigError(
                f"The CLIP {self.name!r} sees squares of {SIZE} pixels; got pictures of {width} x {height}. "
                f"Set data.size to {SIZE} or more."
            )
        images = on_background(images.to(self.device))
        return self.clip.embed_images(images if width == SIZE else F.interpolate(images, SIZE, mode="area"))

    @torch.no_grad()
    def read(self, captions: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Captions to the features of their tokens (B, T, E), a mask (B, T) and unit vectors (B, D)."""
        ids, mask = (torch.from_numpy(array).to(self.device) for array in self.tokenizer.batch(captions))
        tokens = self.clip.text_encoder(ids, mask)
        return tokens, mask, self.clip.sentence(tokens, mask)

    def table(self) -> dict[str, Any]:
        """Which CLIP it is, for checkpoints and model.json."""
        config = self.clip.config
        return {
            "name": self.name,
            "hash": self.hash,
            "dim": config.dim,
            "text_width": config.text_width,
            "max_tokens": self.tokenizer.max_tokens,
        }

    def text_weights(self) -> dict[str, Tensor]:
        """The weights that read prompts, named `clip.text_encoder.*` and `clip.text_out.*`."""
        weights = self.clip.state_dict().items()
        return {f"clip.{name}": value for name, value in weights if name.startswith(TEXT_PARTS)}

    def check(self, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Refuse a run that learnt with another CLIP.

        Raises:
            ConfigError: it did.
        """
        for name, value in self.text_weights().items():
            if name not in frozen or not torch.equal(value, frozen[name]):
                raise ConfigError(
                    f"{where} was trained on embeddings of another CLIP than {self.name!r}. "
                    f"Bring that CLIP back, or give the recipe another name."
                )
