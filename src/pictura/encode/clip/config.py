"""Shapes of the towers, and the named ones that recipes choose. No torch."""

from dataclasses import dataclass
from typing import Any

from pictura.core.errors import ConfigError, did_you_mean

SIZE = 64
"""Side of the pictures that a tower reads, in pixels."""
TOWERS = ("resnet", "transformer", "detector")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConfig:
    """Shape of both towers."""

    tower: str = "resnet"
    """What reads pictures: `resnet` (convolutions), `transformer`, or `detector` (the convolutions of a judge
    that finds things, then a transformer)."""
    widths: tuple[int, ...] = (48, 96, 192)
    """Channels at 16, 8 and 4 pixels a side; the last are the width of a `transformer`'s tokens. `detector`:
    at 32, 16 and 8."""
    depths: tuple[int, ...] = (1, 2, 1)
    """`resnet`: blocks at each size; `transformer`: blocks; `detector`: convolutional ones at 16 and 8, then
    transformer blocks."""
    num_heads: int = 4
    """`transformer`, `detector`: heads of a block."""
    token_width: int = 192
    """`detector`: width of its tokens."""
    dim: int = 256
    """Of the vectors that both towers give."""
    vocab_size: int = 4096
    text_width: int = 192
    text_blocks: int = 2
    text_heads: int = 3

    def __post_init__(self) -> None:
        if self.tower not in TOWERS:
            raise ConfigError(
                f"ClipConfig.tower must be 'resnet' or 'transformer'; got {self.tower!r}. "
                f"{did_you_mean(self.tower, TOWERS)}"
            )
        sizes, wanted = (len(self.widths), len(self.depths)), (3, 1 if self.tower == "transformer" else 3)
        if sizes != wanted:
            raise ConfigError(
                f"ClipConfig needs {wanted[0]} widths and {wanted[1]} depths for a {self.tower}; "
                f"got {sizes[0]} and {sizes[1]}."
            )


PRESETS: dict[str, dict[str, Any]] = {
    "resnet": {"tower": "resnet", "widths": (64, 128, 160), "depths": (1, 2, 1)},
    "transformer": {"tower": "transformer", "widths": (64, 128, 192), "depths": (3,), "num_heads": 3},
    "detector": {"tower": "detector", "widths": (32, 64, 144), "depths": (2, 4, 2), "num_heads": 3},
    "micro": {
        "tower": "resnet",
        "widths": (32, 32, 32),
        "depths": (1, 1, 1),
        "dim": 16,
        "text_width": 16,
        "text_blocks": 1,
        "text_heads": 2,
    },
    "micro-transformer": {
        "tower": "transformer",
        "widths": (8, 8, 16),
        "depths": (1,),
        "num_heads": 2,
        "dim": 16,
        "text_width": 16,
        "text_blocks": 1,
        "text_heads": 2,
    },
    "micro-detector": {
        "tower": "detector",
        "widths": (8, 8, 16),
        "depths": (1, 1, 1),
        "num_heads": 2,
        "token_width": 16,
        "dim": 16,
        "text_width": 16,
        "text_blocks": 1,
        "text_heads": 2,
    },
}
"""Name to fields of `ClipConfig`; `micro*` are for tests."""


def get_preset(name: str, vocab_size: int) -> ClipConfig:
    """The shape of a preset, for a tokenizer of `vocab_size` tokens.

    Raises:
        ConfigError: there is no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"No CLIP preset is named {name!r}. {did_you_mean(name, PRESETS)}")
    return ClipConfig(**PRESETS[name], vocab_size=vocab_size)
