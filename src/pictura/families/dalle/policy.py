"""A DALL-E as a policy to learn with: any weights in, the law of every token that they give out.

The network stays as it is; a call says with which weights, see `families/flow/policy.py`.

Letters B pictures, T text positions, L = h * w codes of a picture in raster order, V codes to choose from.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pictura.core.types import Conditioning
from pictura.encode.tokenizer import Tokenizer, pad
from pictura.families.dalle.backend import DalleParts
from pictura.families.dalle.cache import TokenCache
from pictura.families.dalle.model import DalleTransformer
from pictura.store.models import AS_LEARNT, ModelInfo

_TEXT_OUT = "transformer.text_out."
"""Weights that guess words, which no picture needs."""


class DallePolicy:
    """The dalle family as a `learn.policy.TokenPolicy`. What is learnt is the transformer; the dVAE stays."""

    def __init__(self, parts: DalleParts, tokenizer: Tokenizer, *, device: torch.device) -> None:
        """Keep the parts.

        Args:
            parts: the networks with the weights to start from.
            tokenizer: of the prompts.
            device: where it computes.
        """
        self._dvae = parts.to(device).eval().requires_grad_(False).dvae
        self._asked = _Asked(parts.transformer)
        self._tokenizer = tokenizer
        self._config = parts.transformer.config
        self.device = device
        self.num_tokens = self._config.length
        self.learnable: Mapping[str, Tensor] = {
            name: value.detach()
            for name, value in self._asked.named_parameters()
            if not name.startswith(_TEXT_OUT)
        }

    @classmethod
    def from_model(
        cls, model: ModelInfo, device: torch.device, *, strength: float = AS_LEARNT
    ) -> "DallePolicy":
        """Load a painter of the dalle family.

        Args:
            model: whose files were verified.
            device: where it computes.
            strength: of the low-rank changes that the folder may hold, in percent.

        Raises:
            ModelError: the weights do not fit.
        """
        parts = DalleParts.from_folder(model, strength=strength)
        tokenizer = Tokenizer.load(model.path / "tokenizer.json", max_tokens=model.max_tokens)
        return cls(parts, tokenizer, device=device)

    def read(self, texts: Sequence[str]) -> Conditioning:
        """Token ids (B, T) of prompts and where they are; the transformer reads them with the picture."""
        ids, mask = pad([self._tokenizer.encode(text) for text in texts], self._config.max_tokens)
        ids_BT, mask_BT = torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)
        return Conditioning(tokens=ids_BT, mask=mask_BT)

    def logits(self, weights: Mapping[str, Tensor], codes: Tensor, cond: Conditioning) -> Tensor:
        """(B, L, V) of each code under `weights`, told those before it; what they lack stays the base's."""
        return self._ask(weights, _scored, cond, codes)

    def draw(
        self, weights: Mapping[str, Tensor], cond: Conditioning, uniform: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Codes (B, L) drawn one after another by numbers (B, L) in [0, 1), and their log-probabilities."""
        return self._ask(weights, _drawn, cond, uniform)

    def decode(self, x_0: Tensor) -> Tensor:
        """Codes (B, L) to pictures (B, 3 or 4, H, W) in [0, 1], premultiplied."""
        return self._dvae.decode(x_0.unflatten(1, (self._config.rows, self._config.cols)))

    def _ask(
        self, weights: Mapping[str, Tensor], how: Callable[..., Any], cond: Conditioning, given: Tensor
    ) -> Any:
        return torch.func.functional_call(self._asked, dict(weights), (how, cond.tokens, cond.mask, given))


class _Asked(nn.Module):
    """The transformer under the name that its weights have, to be asked in any way under any weights."""

    def __init__(self, transformer: DalleTransformer) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, how: Callable[..., Any], *given: Tensor) -> Any:
        """What `how` makes of the transformer."""
        return how(self.transformer, *given)


def _scored(transformer: DalleTransformer, token_ids: Tensor, mask: Tensor, codes: Tensor) -> Tensor:
    """All codes at once: (B, L, V). The logits of the text are left out."""
    x_BSD = transformer.read(token_ids, mask, codes)
    return transformer.code_out(x_BSD[:, transformer.config.max_tokens :])


def _drawn(
    transformer: DalleTransformer, token_ids: Tensor, mask: Tensor, uniform: Tensor
) -> tuple[Tensor, Tensor]:
    """One code after another, each where the running sum of probabilities passes its number."""
    cache = TokenCache(transformer, token_ids, mask)
    logits_BV, codes, log_probs = cache.logits, [], []
    for k in range(transformer.config.length):
        law_BV = logits_BV.float().log_softmax(-1)
        codes.append(_pick(law_BV, uniform[:, k]))
        log_probs.append(law_BV.gather(1, codes[k][:, None])[:, 0])
        if k + 1 < transformer.config.length:
            logits_BV = cache.step(codes[k], k)
    return torch.stack(codes, dim=1), torch.stack(log_probs, dim=1)


def _pick(law: Tensor, uniform: Tensor) -> Tensor:
    """`sample.autoregressive.pick` on tensors: log-probabilities (B, V) and numbers (B,) to codes (B,)."""
    sums_BV = law.double().exp().cumsum(-1)
    total_B = sums_BV[:, -1]  # 1 but for rounding
    passed_B = (uniform * total_B).minimum(total_B.nextafter(torch.zeros_like(total_B)))
    return (sums_BV <= passed_B[:, None]).sum(-1)
