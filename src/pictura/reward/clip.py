"""How well picture and sentence go together by `clip-guide`.

Source  Hessel et al. 2021, CLIPScore (arXiv:2104.08718): cosine of the two vectors. Differs: not rescaled and
        not cut at 0. `choice` is R-precision's question (Xu et al. 2018, arXiv:1711.10485) as a probability.
Letters B pictures, N different sentences among their prompts, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pictura.core.errors import ConfigError, did_you_mean
from pictura.core.types import Prompt
from pictura.encode.clip.load import clip_of
from pictura.encode.clip.model import Clip
from pictura.encode.tokenizer import Tokenizer
from pictura.reward.types import Scores
from pictura.store.models import resolve

MEASURES = ("cosine", "choice")
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipSettings:
    """What is asked of which CLIP."""

    model: str = "clip-guide"
    """Name or folder of a CLIP."""
    measure: str = "cosine"
    """`cosine` of picture and sentence, or `choice`: the probability that the picture chooses its sentence
    among all sentences of the call."""

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise ConfigError(
                f"clip: measure must be 'cosine' or 'choice'; got {self.measure!r}. "
                f"{did_you_mean(self.measure, MEASURES)}"
            )

    def build(self, device: str) -> "ClipReward":
        """The reward."""
        clip, tokenizer = open_clip(self.model, device)
        return ClipReward(clip, tokenizer, measure=self.measure)


class ClipReward:
    """Agreement of picture and sentence."""

    name = "clip"
    differentiable = True

    def __init__(self, clip: Clip, tokenizer: Tokenizer, *, measure: str = "cosine") -> None:
        self._clip, self._tokenizer, self._choice = clip, tokenizer, measure == "choice"
        self.value_range = (0.0, 1.0) if self._choice else (-1.0, 1.0)

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, see `Reward`.

        Raises:
            SizeError: pictures of another size than 64 x 64.
        """
        texts = list(dict.fromkeys(prompt.text for prompt in prompts))
        own_B = torch.tensor([texts.index(prompt.text) for prompt in prompts], device=images.device)
        image_BD, text_ND = embed_images(self._clip, images), embed_text(self._clip, self._tokenizer, texts)
        cosine_BN = image_BD @ text_ND.T
        choice_BN = (self._clip.scale() * cosine_BN).softmax(dim=1)
        cosine, choice = (x.gather(1, own_B[:, None])[:, 0] for x in (cosine_BN, choice_BN))
        total = choice if self._choice else cosine
        return Scores(total=total, valid=total.isfinite(), parts={"cosine": cosine, "choice": choice})


def open_clip(name: str, device: str) -> tuple[Clip, Tokenizer]:
    """Both towers of a model folder, and the tokenizer.

    Raises:
        ModelNotFoundError: there is no such model.
        ModelError: its folder is damaged, or holds something else.
    """
    model = resolve(name)
    model.verify()
    clip = clip_of(model).to(device)
    return clip, Tokenizer.load(model.path / "tokenizer.json", max_tokens=model.max_tokens)


def embed_images(clip: Clip, images: Tensor) -> Tensor:
    """Pictures (B, 3, 64, 64) on light grey to unit vectors (B, D), with their gradient."""
    return torch.cat([clip.embed_images(chunk) for chunk in images.split(_AT_ONCE)])


@torch.no_grad()
def embed_text(clip: Clip, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Sentences to unit vectors (N, D)."""
    ids, mask = (torch.from_numpy(array).to(clip.log_scale.device) for array in tokenizer.batch(texts))
    return clip.embed_text(ids, mask)
