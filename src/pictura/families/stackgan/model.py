"""What a StackGAN is made of, for both versions, and how its noise is shared out.

Source  Zhang et al. 2017, StackGAN (arXiv:1612.03242): version 1, two stages, each trained by itself.
        Zhang et al. 2018, StackGAN++ (arXiv:1710.10916): version 2, one tree, all sides trained together.
        Where the authors' code does something else than their paper, `fidelity` says whom to follow.
Letters B batch, N noise numbers, D text width.
Units   noise standard normal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.nn.tree import num_doublings


@dataclass(frozen=True, kw_only=True, slots=True)
class StackGANConfig:
    """Shape of the networks."""

    version: int = 2
    """1: two stages. 2: a tree."""
    image_channels: int = 3
    """C: 3, or 4 for premultiplied RGBA."""
    text_width: int = 1024
    """D: width of the sentence."""
    fidelity: str = "paper"
    """Whom to follow where they differ: "paper" or "code"; the family's page lists each place."""
    base_size: int = 64
    """Side of the smallest picture."""
    num_scales: int = 3
    """Sides, each twice the one before. Version 2 paints all of them. Version 1 paints one: the smallest with
    1 side (its first stage), else the largest (its second stage, above a first one of `base_size`)."""
    noise_width: int = 100
    """Numbers of noise beside those that draw the condition."""
    condition_width: int = 128
    """Numbers to which the sentence is brought before it joins the picture."""
    sentence_scale: float = 1.0
    """What sentences are multiplied by first: small numbers drown in the noise that draws the condition."""
    width: int = 64
    """Generator's channels: version 2 at `base_size`, version 1 at half of it."""
    widest: int = 1024
    """Channels double at each smaller side, but no first map has more than this; the paper's have 1024."""
    discriminator_width: int = 64
    """Channels after a discriminator's first filters."""
    num_residual: int = 2
    """Residual blocks: version 2 at each side but the smallest, version 1 in the second stage."""

    def __post_init__(self) -> None:
        for name, allowed in {
            "version": (1, 2),
            "image_channels": (3, 4),
            "fidelity": ("paper", "code"),
        }.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"StackGANConfig.{name} must be {' or '.join(map(repr, allowed))}; "
                    f"got {getattr(self, name)!r}."
                )
        counts = ("text_width", "num_scales", "noise_width", "condition_width", "num_residual")
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"StackGANConfig.{name} must be at least 1; got {getattr(self, name)}.")
        if not self.sentence_scale > 0:
            raise ConfigError(f"StackGANConfig.sentence_scale must be above 0; got {self.sentence_scale}.")
        num_doublings(self.base_size)
        if self.version == 1 and self.base_size < 16:
            raise ConfigError(
                f"StackGANConfig.base_size must be at least 16 for version 1; got {self.base_size}."
            )
        self._check_widths()

    def _check_widths(self) -> None:
        # Version 2 halves its channels at each side; version 1 also has bottlenecks of a quarter.
        quarters = 4 if self.version == 1 else 1
        parts = max(2 ** (self.num_scales - 1), quarters)
        for name, multiple in (("width", parts), ("widest", quarters), ("discriminator_width", quarters)):
            got = getattr(self, name)
            if got < 1 or got % multiple:
                raise ConfigError(
                    f"StackGANConfig.{name} must be a multiple of {multiple} for version {self.version} "
                    f"with num_scales={self.num_scales}; got {got}."
                )

    @property
    def loss(self) -> str:
        """By what name the adversarial loss goes."""
        return "matching" if self.version == 1 else "joint"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the pictures that are painted, coarse to fine."""
        sides = tuple(self.base_size << i for i in range(self.num_scales))
        return sides if self.version == 2 else sides[-1:]

    @property
    def noise_parts(self) -> tuple[int, ...]:
        """How noise is shared out: z, then what draws the condition; once more for the second stage's."""
        more = self.version == 1 and self.num_scales > 1
        return (self.noise_width, self.condition_width) + (self.condition_width,) * more


def cut(noise: Tensor, parts: Sequence[int]) -> tuple[Tensor, ...]:
    """Noise (B, N) to its parts, each (B, part).

    Raises:
        ConfigError: N is not their sum.
    """
    if noise.shape[1] != sum(parts):
        raise ConfigError(
            f"StackGAN paints from {' + '.join(map(str, parts))} = {sum(parts)} numbers of noise; "
            f"got {noise.shape[1]}."
        )
    return noise.split(list(parts), dim=1)


def sentence_of(cond: Conditioning, config: StackGANConfig) -> Tensor:
    """The sentence (B, D), scaled.

    Raises:
        ConfigError: there is none.
    """
    if cond.sentence is None:
        raise ConfigError("StackGAN reads the whole sentence (B, D); got token features alone.")
    sentence: Tensor = cond.sentence
    return sentence * config.sentence_scale
