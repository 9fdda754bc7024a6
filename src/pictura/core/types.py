"""The values and protocols by which the layers meet.

Letters B batch, C channels, H W size, h w token grid, T text tokens, D width, V image tokens.
Units   images float32 in [0, 1], C = 3 (RGB) or 4 (RGBA, alpha premultiplied); t in [0, 1], 1 = noise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Array = Any
"""Any array of the Python array API standard: numpy here, torch there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditioning:
    """What a network is told about the prompt."""

    tokens: Array
    """(B, T, D) text features."""
    mask: Array
    """(B, T) bool, true where a token is."""
    sentence: Array | None = None
    """(B, D) one vector of the whole prompt; None where the family reads tokens alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One training batch."""

    images: Array
    """(B, C, H, W) float32 in [0, 1], premultiplied if C is 4."""
    captions: tuple[str, ...]
    """B captions, in image order."""
    scenes: tuple[Any, ...] = ()
    """B `data.scenes.Scene`, the truth in image order; empty where nobody knows it."""
    classes: tuple[str, ...] = ()
    """B names of what pictures show, such as a kind of bird; empty where the set has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """One thing that a sentence asks for."""

    thing: str
    """Its phrase in the world list."""
    count: int | None = None
    """Exactly so many; None is at least one."""
    colour: str | None = None
    """A key of `data.colours.COLOURS`; None is any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What a picture must show to be right, as far as it can be checked."""

    objects: tuple[Demand, ...]
    relation: str | None = None
    """Of the first thing to the second: "left of", "right of", "above", "below"; None is any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A sentence to paint, with what of it can be checked."""

    text: str
    claim: Claim | None = None
    """None where nobody can say by rule whether a picture is right."""
    kind: str = ""
    """What it is about, for tables: "count", "binding" …"""


class BatchSource(Protocol):
    """Where training batches come from: a pure function of the position, so that resuming is exact."""

    def batch(self, position: int, size: int) -> Batch:
        """Make batch number `position`; the same position always gives the same batch."""
        ...


Velocity = Callable[[Array, Array], Array]
"""(x_t (B, C, H, W), t (B,)) to velocity (B, C, H, W): what an ODE sampler integrates."""


class Backend(Protocol):
    """A loaded velocity model, whatever runs it (ONNX Runtime on numpy arrays, torch on tensors)."""

    latent_channels: int
    device: str
    strength: float
    """Of what was learnt on top of the base, in percent."""

    def asarray(self, array: NDArray[np.float32]) -> Array:
        """Move a numpy array to where the network computes."""
        ...

    def numpy(self, array: Array) -> NDArray[np.float32]:
        """Bring an array back."""
        ...

    def encode_text(self, token_ids: NDArray[np.int64]) -> Conditioning:
        """Read one prompt: (T,) token ids without padding, to features (1, T, D)."""
        ...

    def velocity(self, x_t: Array, t: Array, cond: Conditioning) -> Array:
        """Velocity of latents `x_t` (B, C, H, W) at times `t` (B,); `cond` is of one prompt (1, T, D)."""
        ...

    def decode(self, x_0: Array) -> Array:
        """Latents (B, C, H, W) to images (B, 3 or 4, H * factor, W * factor) in [0, 1], premultiplied."""
        ...


class OnePass(NamedTuple):
    """What a network paints in one call."""

    images: Array
    """(B, 3 or 4, H, W) in [0, 1], premultiplied."""
    attention: Array | None = None
    """(B, T, h, w) how much each place looks at each token, where a family attends to words."""


class OnePassBackend(Protocol):
    """A loaded model that paints in one call, without steps."""

    noise_size: int
    """Numbers of noise that one picture is made of."""
    device: str
    strength: float
    """Of what was learnt on top of the base, in percent."""

    def encode_text(self, token_ids: NDArray[np.int64]) -> Conditioning:
        """Read one prompt: (T,) token ids without padding, to features (1, T, D) and a sentence (1, D)."""
        ...

    def paint(self, noise: NDArray[np.float32], cond: Conditioning) -> OnePass:
        """Paint from noise (B, N); `cond` is of one prompt. Numpy arrays come back."""
        ...


class TokenBackend(Protocol):
    """A loaded model that paints by drawing one token after another."""

    grid: tuple[int, int]
    """(h, w) of a picture's tokens; L = h * w of them, row by row."""
    num_codes: int
    """V: how many different image tokens there are."""
    group: int
    """Pictures of one network call, at most."""
    device: str
    strength: float
    """Of what was learnt on top of the base, in percent."""

    def start(self, token_ids: NDArray[np.int64], num: int) -> tuple[NDArray[np.float32], Any]:
        """Read one prompt, (T,) token ids without padding, for `num` pictures.

        Returns:
            (num, V) logits of code 0, and what `step` remembers the pictures by.
        """
        ...

    def step(self, codes: NDArray[np.int64], index: int, cache: Any) -> NDArray[np.float32]:
        """Go on by one token: (num,) codes number `index` of each picture, written into `cache`.

        Returns:
            (num, V) logits of code `index` + 1.
        """
        ...

    def decode(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Codes (B, h, w) to images (B, 3 or 4, h * factor, w * factor) in [0, 1], premultiplied."""
        ...

    def encode(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """The inverse of `decode`, as far as codes can tell."""
        ...
