"""The decoder: a noisy picture and a CLIP's vector, with words, in, the picture out.

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125), section 2.1: GLIDE's U-Net; the vector joins the time
        and gives extra tokens beside those of the caption. Differs: words are read by CLIP's own text tower,
        from whose features the text transformer goes on; the caption joins the time by the mean of its
        tokens, not by the last; small presets predict the picture, not the noise.
Letters B batch, C channels, H W size, D numbers of a vector, T text tokens, X extra tokens, E width of the
        text features, K width of the context, V width of the time vector.
Units   t in [0, 1], 1 = noise; pictures in [-1, 1]; x_t = a x_0 + s noise (`sample/diffusion.py`).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError, SizeError, did_you_mean
from pictura.core.types import ImageConditioning
from pictura.encode.text_encoder import TextBlock
from pictura.families.unclip.unet import Unet, attention_levels
from pictura.sample.diffusion import alpha_sigma, check_schedule

PREDICTIONS = ("x_0", "noise")
LEAST_VARIANCE = 1e-3
"""Of all variance of vectors; a component with less is not made as loud as the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """Shape of the network, what it predicts, and its path to noise."""

    image_channels: int = 4
    """C: 4 with premultiplied alpha, 3 without."""
    size: int = 32
    """Side of the pictures that it is made for."""
    width: int = 32
    """Channels of the first level."""
    depth: int = 1
    """Blocks of a level on the way down; one more on the way up."""
    multiples: tuple[int, ...] = (1, 2, 3)
    """Channels of each level, in widths."""
    patch_size: int = 2
    """Side of the square of pixels that is one place of the first level."""
    attention_sides: tuple[int, ...] = (8, 4)
    """Levels that attend, by their side in places."""
    head_width: int = 32
    embed_dim: int = 256
    """D: of CLIP's vectors."""
    text_width: int = 192
    """E: of CLIP's features of tokens."""
    plans: bool = True
    """Know places, and plan what lies where from the vector; false leaves both to the convolutions."""
    num_extra_tokens: int = 4
    """X: tokens of the context that the vector becomes."""
    context_width: int = 48
    """K: of the tokens that places look at."""
    context_blocks: int = 0
    """Blocks of a text transformer of its own; 0 reads CLIP's features as they are."""
    context_heads: int = 1
    prediction: str = "x_0"
    """`x_0`, the picture, or `noise`."""
    learned_variance: bool = False
    """Say a variance too, in as many channels more; DDIM does not use it."""
    schedule: str = "cosine"
    """See `sample.diffusion`."""

    def __post_init__(self) -> None:
        for name in ("image_channels", "size", "width", "depth", "patch_size", "embed_dim", "text_width"):
            if getattr(self, name) < 1:
                raise ConfigError(f"DecoderConfig.{name} must be at least 1; got {getattr(self, name)}.")
        if not self.attention_sides:
            raise ConfigError(
                "DecoderConfig.attention_sides must name a side: where nothing attends, words are not seen."
            )
        check_prediction("DecoderConfig", self.prediction)
        check_schedule(self.schedule)
        if self.size % self.step:
            raise ConfigError(
                f"DecoderConfig.size must be a multiple of {self.step}, to which the U-Net halves; "
                f"got {self.size}."
            )

    @property
    def step(self) -> int:
        """Pixels of a picture's side that are one place of the coarsest level."""
        return self.patch_size * 2 ** (len(self.multiples) - 1)


def check_prediction(where: str, prediction: str) -> None:
    """Refuse a prediction that does not exist.

    Raises:
        ConfigError: there is none of that name.
    """
    if prediction not in PREDICTIONS:
        raise ConfigError(
            f"{where}.prediction must be {' or '.join(map(repr, PREDICTIONS))}; got {prediction!r}. "
            f"{did_you_mean(prediction, PREDICTIONS)}"
        )


class Decoder(nn.Module):
    """Paints from a vector. Its last layer starts at zero, so that an untrained one knows no picture."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        width, dim = config.context_width, config.embed_dim
        self.unet = Unet(
            config.image_channels,
            config.image_channels * (1 + config.learned_variance),
            width=config.width,
            depth=config.depth,
            multiples=config.multiples,
            patch_size=config.patch_size,
            attention_levels=attention_levels(
                config.size, config.patch_size, len(config.multiples), config.attention_sides
            ),
            head_width=config.head_width,
            context_width=width,
            coarsest=config.size // config.step if config.plans else 0,
        )
        self.embedding_time = nn.Linear(dim, self.unet.time_width)
        self.embedding_tokens = nn.Linear(dim, config.num_extra_tokens * width)
        self.text_in = nn.Linear(config.text_width, width)
        self.blocks = nn.ModuleList(
            TextBlock(width, config.context_heads) for _ in range(config.context_blocks)
        )
        self.text_time = nn.Linear(width, self.unet.time_width)
        self.null_embedding = nn.Parameter(torch.zeros(dim))
        """Stands for a vector that is not to be known."""
        self.null_text = nn.Parameter(torch.zeros(width))
        """The only token of a caption that is not to be known."""
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("turn", torch.eye(dim) * math.sqrt(dim))

    centre: Tensor
    """(D,) mean of the vectors of training pictures."""
    turn: Tensor
    """(D, D) from a deviation from it to its components, each of about unit variance but the weakest."""

    @torch.no_grad()
    def measure(self, embedding: Tensor) -> None:
        """Take `centre` and `turn` from vectors of training pictures (N, D).

        These are much alike, and a few components hold nearly all that they differ by.
        """
        self.centre.copy_(embedding.mean(dim=0))
        away_ND = (embedding - self.centre).double()
        variances_D, components_DD = torch.linalg.eigh(away_ND.T @ away_ND / len(embedding))
        least = LEAST_VARIANCE * variances_D.sum()
        self.turn.copy_(components_DD.T / (variances_D.clamp_min(0) + least).sqrt()[:, None])

    def forward(self, x_t: Tensor, t: Tensor, cond: ImageConditioning) -> Tensor:
        """Predict what `config.prediction` says.

        Args:
            x_t: (B, C, H, W) noisy pictures; H and W multiples of what the U-Net halves to.
            t: (B,) times in [0, 1].
            cond: vectors (B, D), CLIP's features of words (B, T, E), and what of both is to be known.

        Returns:
            (B, C, H, W), or (B, 2 C, H, W) with a learned variance.

        Raises:
            SizeError: pictures, vectors or features have another shape than the network reads.
        """
        self._check(x_t, cond)
        vector_BD = torch.where(
            cond.keep_embedding[:, None], (cond.embedding - self.centre) @ self.turn.T, self.null_embedding
        )
        text_BTK, mask_BT = self._read(cond)
        weight_BT1 = mask_BT[..., None].to(text_BTK.dtype)
        mean_BK = (text_BTK * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1).clamp_min(1)
        time_BV = self.unet.embed_time(t) + self.embedding_time(vector_BD) + self.text_time(mean_BK)

        extra_BXK = self.embedding_tokens(vector_BD).unflatten(-1, (self.config.num_extra_tokens, -1))
        context_BSK = torch.cat([extra_BXK, text_BTK], dim=1)
        seen_BS = F.pad(mask_BT, (self.config.num_extra_tokens, 0), value=True)
        return self.unet(x_t, time_BV, (context_BSK, seen_BS))

    def _read(self, cond: ImageConditioning) -> tuple[Tensor, Tensor]:
        """The caption's tokens (B, T, K) and which of them are seen; of an unknown caption, `null_text`."""
        text_BTK = self.text_in(cond.tokens)
        for block in self.blocks:
            text_BTK = block(text_BTK, cond.mask)
        first_T = torch.arange(cond.mask.shape[1], device=cond.mask.device) == 0
        known_B1 = cond.keep_text[:, None]
        mask_BT = (cond.mask & known_B1) | (first_T & ~known_B1)
        return torch.where(known_B1[..., None], text_BTK, self.null_text.to(text_BTK.dtype)), mask_BT

    def denoise(self, x_t: Tensor, t: Tensor, cond: ImageConditioning) -> Tensor:
        """Predict the picture x_0, (B, C, H, W) in about [-1, 1]; arguments as of `forward`."""
        out = self(x_t, t, cond)[:, : self.config.image_channels]
        return out if self.config.prediction == "x_0" else picture_of(x_t, t, out, self.config.schedule)

    def _check(self, x_t: Tensor, cond: ImageConditioning) -> None:
        config = self.config
        if x_t.ndim != 4 or x_t.shape[1] != config.image_channels:
            raise SizeError(
                f"The decoder reads pictures of shape (B, {config.image_channels}, H, W); "
                f"got {tuple(x_t.shape)}."
            )
        for name, given, width in (
            ("vectors", cond.embedding, config.embed_dim),
            ("features of words", cond.tokens, config.text_width),
        ):
            if given.shape[-1] != width:
                raise SizeError(
                    f"The decoder reads {name} of {width} numbers; got {given.shape[-1]}. "
                    f"Take the CLIP that it was trained with."
                )


def picture_of(x_t: Tensor, t: Tensor, noise: Tensor, schedule: str) -> Tensor:
    """The picture that x_t is made of, if this is its noise: (B, C, H, W)."""
    a_B, s_B = alpha_sigma(schedule, t)
    return (x_t - s_B[:, None, None, None] * noise) / a_B[:, None, None, None]
