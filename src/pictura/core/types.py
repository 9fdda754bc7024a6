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
class ImageConditioning:
    """What a network that paints from a CLIP's vector is told: that vector, and words."""

    embedding: Array
    """(B, D) CLIP's vectors of pictures, each of length 1."""
    tokens: Array
    """(B, T, E) CLIP's features of the caption's tokens."""
    mask: Array
    """(B, T) bool, true where a token is."""
    keep_embedding: Array
    """(B,) bool; false paints as if there were no vector."""
    keep_text: Array
    """(B,) bool; false paints as if there were no caption."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConditioning:
    """What a prior is told about captions, all of it by a frozen CLIP."""

    tokens: Array
    """(B, T, E) features of the text's tokens."""
    mask: Array
    """(B, T) bool, true where a token is."""
    sentence: Array
    """(B, D) unit vectors of the captions."""
    keep: Array
    """(B,) bool, false where nothing is told: tokens and vector do not matter there."""


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

    def student_velocity(self, x_t: Array, t: Array, cond: Conditioning) -> Array:
        """The same by the model's student (`store/student.py`), which is loaded on its first use."""
        ...

    def encode(self, images: Array) -> Array:
        """Images (B, 3 or 4, H * factor, W * factor) in [0, 1], premultiplied, to latents (B, C, H, W)."""
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


class ImaginationBackend(Protocol):
    """A loaded model that imagines a CLIP's vector, and paints from that."""

    device: str
    strength: float
    """Of what was learnt on top of the base, in percent."""
    space: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    """Of vectors of pictures: mean (D,), principal components (D, D) in rows, and variances (D,)."""

    @property
    def untrained(self) -> tuple[str, ...]:
        """Names of its networks that learnt nothing."""
        ...

    def asarray(self, array: NDArray[np.float32]) -> Array:
        """Move a numpy array to where the networks compute."""
        ...

    def numpy(self, array: Array) -> NDArray[np.float32]:
        """Bring an array back."""
        ...

    def encode_text(self, token_ids: NDArray[np.int64]) -> Conditioning:
        """Read one prompt: (T,) token ids without padding, to features (1, T, E) and a unit vector (1, D)."""
        ...

    def prior(self, z_t: Array, t: Array, text: Conditioning, keep: bool) -> Array:
        """Noisy vectors (B, D) at times (B,) to clean ones, all scaled; `text` is of one prompt.

        Nothing is told of it if it is not kept.
        """
        ...

    def decoder(self, x_t: Array, t: Array, z: Array, text: Conditioning, keep: tuple[bool, bool]) -> Array:
        """Noisy pictures (B, C, h, w) at times (B,) to clean ones, in [-1, 1].

        `z` (B, D) are unit vectors, `text` is of one prompt; `keep` says of both whether they are told.
        """
        ...

    def upsampler(self, x_t: Array, t: Array, low: Array) -> Array:
        """Noisy pictures (B, C, H, W) at times (B,) to clean ones; `low` (B, C, h, w) is their small form."""
        ...

    def decode(self, x_0: Array) -> Array:
        """Pictures in [-1, 1] to [0, 1], clipped."""
        ...
