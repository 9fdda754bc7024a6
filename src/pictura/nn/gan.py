"""What the adversarial families share: how painters and discriminators meet, and their layers.

Letters B batch, C channels, S side, N noise numbers, K condition numbers, T text tokens.
Units   pictures in [-1, 1] here, as tanh gives them; `core/images.py` holds [0, 1].
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from pictura.core.types import Conditioning


class Painted(NamedTuple):
    """What a generator gives."""

    images: tuple[Tensor, ...]
    """Coarse to fine, each (B, C, S, S) in [-1, 1], premultiplied if C is 4."""
    told: Tensor
    """(B, K) what discriminators are told of the sentence; no gradient passes through it."""
    mean: Tensor | None = None
    """(B, K) of the conditioning augmentation; None where a family has none."""
    log_std: Tensor | None = None
    """(B, K), logarithm of its standard deviation."""
    attention: tuple[Tensor, ...] = ()
    """Coarse to fine, each (B, T, h, w): weights over the tokens at each place, which sum to 1."""


class Verdict(NamedTuple):
    """What a discriminator says of pictures, as logits: above 0 is real."""

    conditional: Tensor
    """(B,) of picture and sentence together."""
    unconditional: Tensor | None = None
    """(B,) of the picture alone; None where a family does not ask."""


class Generator(Protocol):
    """A network that paints in one call; an `nn.Module`."""

    config: Any
    noise_size: int
    """N: all random numbers of one picture, those of conditioning augmentation included."""
    sizes: tuple[int, ...]
    """Sides of what it paints, coarse to fine."""

    def __call__(self, noise: Tensor, cond: Conditioning) -> Painted:
        """Paint from standard normal noise (B, N) what `cond` (B rows) says."""
        ...


class Discriminator(Protocol):
    """A network that tells real pictures from painted ones; an `nn.Module`."""

    def features(self, images: Tensor) -> Tensor:
        """What it sees in pictures (B, C, S, S): looked at once, judged with right and wrong sentences."""
        ...

    def judge(self, features: Tensor, told: Tensor) -> Verdict:
        """Whether pictures of these features are real and of the sentences that `told` (B, K) tells."""
        ...


class GanFamily(NamedTuple):
    """How the networks of an adversarial family are made."""

    config: type
    """Its frozen dataclass, with `image_channels`, `text_width`, `fidelity` and the property `loss`."""
    preset: Callable[[str], dict[str, Any]]
    """Name to fields of that."""
    generator: Callable[[Any], nn.Module]
    """Config to `Generator`."""
    discriminators: Callable[[Any], nn.ModuleList]
    """Config to one `Discriminator` for each size."""


class BatchNorm1d(nn.BatchNorm1d):
    """Without the counter of batches: whole numbers do not fit the fp16 files of weights."""

    def __init__(self, num_features: int, **more: Any) -> None:
        super().__init__(num_features, **more)
        self.num_batches_tracked = None


class BatchNorm2d(nn.BatchNorm2d):
    """As `BatchNorm1d`."""

    def __init__(self, num_features: int, **more: Any) -> None:
        super().__init__(num_features, **more)
        self.num_batches_tracked = None
