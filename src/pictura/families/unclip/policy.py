"""An unCLIP model as a policy to learn with: any weights of the decoder in, the velocity that they give out.

The prior imagines one vector for each prompt, always the same, without guidance; what learns is the decoder.
To whoever learns it is a flow: x_t / (a + s) has the velocity noise - x_0 (`sample/diffusion.py`). The vector
travels as the first tokens of the conditioning; where there is no prompt, the mask leaves them out.

Letters B pictures, C channels, h w size, D numbers of a vector, T text tokens, V tokens that hold a vector, E
        width of the text features.
"""

import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pictura.core.types import Conditioning, ImageConditioning, TextConditioning
from pictura.encode.clip.config import SIZE
from pictura.encode.tokenizer import Tokenizer
from pictura.families.unclip.backend import UnclipParts
from pictura.sample.diffusion import alpha_sigma, diffusion_time
from pictura.sample.diffusion_steps import follow, steps_down
from pictura.sample.embeddings import keep_better
from pictura.sample.schedules import time_grid
from pictura.store.models import AS_LEARNT, ModelInfo

_NETWORK = "decoder."
_CANDIDATES = 2
_LEAST_TIME = 1e-3
"""Below it a velocity would be a difference of nearly equal pictures, divided by nearly nothing."""


class UnclipPolicy:
    """The unCLIP family as a `learn.policy.VelocityPolicy`."""

    def __init__(
        self,
        parts: UnclipParts,
        tokenizer: Tokenizer,
        *,
        grid: tuple[int, int],
        prior_steps: int,
        device: torch.device,
    ) -> None:
        """Keep the parts.

        Args:
            parts: the networks with the weights to start from.
            tokenizer: of the prompts.
            grid: (h, w) of the decoder's pictures.
            prior_steps: calls of the prior for a vector.
            device: where it computes.
        """
        self._parts = parts.to(device).eval().requires_grad_(False)
        self._denoiser = _Denoiser(parts)
        self._tokenizer, self._prior_steps = tokenizer, prior_steps
        self.device = device
        config = parts.decoder.config
        self._width, self._dim = config.text_width, config.embed_dim
        self._num = -(-self._dim // self._width)
        self.latent_shape = (config.image_channels, *grid)
        self.learnable: Mapping[str, Tensor] = {
            f"{_NETWORK}{name}": value.detach() for name, value in parts.decoder.named_parameters()
        }

    @classmethod
    def from_model(
        cls, model: ModelInfo, device: torch.device, *, strength: float = AS_LEARNT
    ) -> "UnclipPolicy":
        """Load a painter of the unCLIP family; arguments and errors as for `FlowPolicy.from_model`."""
        return cls(
            UnclipParts.from_folder(model, strength=strength),
            Tokenizer.load(model.path / "tokenizer.json", max_tokens=model.max_tokens),
            grid=model.grids[0],
            prior_steps=model.sampling.prior_steps,
            device=device,
        )

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> Conditioning:
        """Understand and imagine: B prompts to (B, V + T, E), the vector's tokens first; "" has none."""
        ids, mask = self._tokenizer.batch(texts)
        ids_BT, mask_BT = torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)
        tokens_BTE, sentence_BD = self._parts.clip(ids_BT, mask_BT)
        vector_BD = self._imagine(texts, tokens_BTE, mask_BT, sentence_BD)
        room = self._num * self._width - self._dim
        vector_BVE = F.pad(vector_BD, (0, room)).unflatten(-1, (self._num, self._width))
        said_B = torch.tensor([bool(text) for text in texts], device=self.device)
        return Conditioning(
            tokens=torch.cat([vector_BVE, tokens_BTE], dim=1),
            mask=torch.cat([said_B[:, None].expand(-1, self._num), mask_BT], dim=1),
        )

    def velocity(self, weights: Mapping[str, Tensor], x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Velocity of `x_t` (B, C, h, w) at `t` (B,), both of the flow, under `weights`."""
        schedule = self._parts.decoder.config.schedule
        time_B = torch.tensor([diffusion_time(schedule, float(u)) for u in t], device=t.device, dtype=t.dtype)
        a_B, s_B = alpha_sigma(schedule, time_B)
        told = self._told(cond)
        noisy = x_t * (a_B + s_B)[:, None, None, None]
        x_0 = torch.func.functional_call(self._denoiser, dict(weights), (noisy, time_B, told))
        return (x_t - x_0) / t.clamp_min(_LEAST_TIME)[:, None, None, None]

    def decode(self, x_0: Tensor) -> Tensor:
        """Pictures as a CLIP or a judge sees them: (B, 3 or 4, 64, 64) in [0, 1]; gradients pass."""
        images = (x_0 / 2 + 0.5).clamp(0, 1)
        return F.interpolate(images, size=(SIZE, SIZE), mode="bilinear", antialias=True)

    def _told(self, cond: Conditioning) -> ImageConditioning:
        vector, tokens = cond.tokens[:, : self._num], cond.tokens[:, self._num :]
        said_B = cond.mask[:, 0]
        return ImageConditioning(
            embedding=vector.flatten(1)[:, : self._dim],
            tokens=tokens,
            mask=cond.mask[:, self._num :],
            keep_embedding=said_B,
            keep_text=said_B,
        )

    def _imagine(self, texts: Sequence[str], tokens: Tensor, mask: Tensor, sentence: Tensor) -> Tensor:
        """A unit vector (B, D) for each text, always the same: the better of two that the prior draws."""
        config = self._parts.prior.config
        noise = [
            torch.randn(
                _CANDIDATES, config.dim, generator=torch.Generator().manual_seed(zlib.crc32(text.encode()))
            )
            for text in texts
        ]
        each = [one.repeat_interleave(_CANDIDATES, dim=0) for one in (tokens, mask, sentence)]
        keep = torch.ones(len(each[0]), dtype=torch.bool, device=self.device)
        cond = TextConditioning(tokens=each[0], mask=each[1], sentence=each[2], keep=keep)
        path = steps_down(
            torch.cat(noise).to(self.device), time_grid(self._prior_steps), schedule=config.schedule
        )
        z = follow(path, lambda z_t, t: self._parts.prior(z_t, t, cond))
        unit_BKD = F.normalize(z, dim=-1).unflatten(0, (-1, _CANDIDATES))
        better: Tensor = keep_better(unit_BKD, sentence)
        return better


class _Denoiser(torch.nn.Module):
    """`Decoder.denoise` as a call, so that it can be made under any weights."""

    def __init__(self, parts: UnclipParts) -> None:
        super().__init__()
        self.decoder = parts.decoder

    def forward(self, x_t: Tensor, t: Tensor, cond: ImageConditioning) -> Tensor:
        return self.decoder.denoise(x_t, t, cond)
