"""A flow model as a policy to learn with: any weights in, the velocity that they give out.

The networks stay as they are; a call says with which weights. So the policy that learns, the slow copy that
paints and the reference that holds it back are the same networks under other weights (`learn/actors.py`).

Letters B pictures, C channels, h w latent size, T text tokens, D width.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pictura.core.types import Conditioning
from pictura.encode.tokenizer import Tokenizer
from pictura.families.flow.backend import FlowParts
from pictura.store.models import AS_LEARNT, ModelInfo

_NETWORK = "network."


class FlowPolicy:
    """The flow family as a `learn.policy.Policy`. What is learnt is the painter; the text tower stays."""

    def __init__(
        self, parts: FlowParts, tokenizer: Tokenizer, *, grid: tuple[int, int], device: torch.device
    ) -> None:
        """Keep the parts.

        Args:
            parts: the networks with the weights to start from.
            tokenizer: of the prompts.
            grid: (h, w) of the latents.
            device: where it computes.
        """
        self._parts = parts.to(device).eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self.device = device
        self.latent_shape = (parts.network.config.latent_channels, *grid)
        self.learnable: Mapping[str, Tensor] = {
            f"{_NETWORK}{name}": value.detach() for name, value in parts.network.named_parameters()
        }

    @classmethod
    def from_model(
        cls, model: ModelInfo, device: torch.device, *, strength: float = AS_LEARNT
    ) -> "FlowPolicy":
        """Load a painter of the flow family.

        Args:
            model: whose files were verified.
            device: where it computes.
            strength: of the low-rank changes that the folder may hold, in percent.

        Raises:
            ModelError: the weights do not fit.
        """
        parts = FlowParts.from_folder(model, strength=strength)
        tokenizer = Tokenizer.load(model.path / "tokenizer.json", max_tokens=model.max_tokens)
        return cls(parts, tokenizer, grid=model.grids[0], device=device)

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> Conditioning:
        """Understand prompts: B of them to features (B, T, D), padded to a multiple of 8 tokens."""
        ids, mask = self._tokenizer.batch(texts)
        more = -ids.shape[1] % 8
        ids, mask = np.pad(ids, ((0, 0), (0, more))), np.pad(mask, ((0, 0), (0, more)))
        ids_BT, mask_BT = torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)
        return Conditioning(tokens=self._parts.text_encoder(ids_BT, mask_BT), mask=mask_BT)

    def velocity(self, weights: Mapping[str, Tensor], x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Velocity of `x_t` (B, C, h, w) at `t` (B,) under `weights`; what they lack stays the base's."""
        given = {name.removeprefix(_NETWORK): value for name, value in weights.items()}
        return torch.func.functional_call(self._parts.network, given, (x_t, t, cond))

    def decode(self, x_0: Tensor) -> Tensor:
        """Latents to pictures (B, 3 or 4, H, W) in [0, 1], premultiplied; gradients pass."""
        return self._parts.autoencoder.decode(x_0)
