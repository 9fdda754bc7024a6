"""Shape of the discrete VAE, and the named ones that recipes choose. No torch.

With each preset: parameters of encoder + decoder, and what they cost on one picture, multiply and add
counted as two. A training picture costs three times as much.
"""

from dataclasses import dataclass
from typing import Any

from pictura.core.errors import ConfigError, did_you_mean


@dataclass(frozen=True, kw_only=True, slots=True)
class DvaeConfig:
    """Shape of both halves."""

    image_channels: int = 4
    """C: 3 for RGB, 4 for RGBA with premultiplied alpha."""
    num_hidden: int = 32
    """n: channels at the full size; each group doubles them. A multiple of 4, for the bottlenecks."""
    num_groups: int = 4
    """Groups of blocks; between two of them the sides are halved."""
    blocks_per_group: int = 2
    vocab_size: int = 1024
    """V: codes that a place can have."""
    code_width: int = 128
    """Numbers that the decoder keeps of each code."""
    patch_paths: bool = False
    """Beside both halves, a linear map from each patch of pixels to the logits of its place, and from its
    code to a patch. They start from a clustering of real patches (`start.py`), which saves most of a short
    training; the paper has none."""
    gain: float = 0.0
    """What a block is multiplied by before it is added; 0 is the paper's 1 / `num_layers` squared."""

    def __post_init__(self) -> None:
        if self.image_channels not in (3, 4):
            raise ConfigError(f"DvaeConfig.image_channels must be 3 or 4; got {self.image_channels}.")
        if self.num_hidden < 4 or self.num_hidden % 4:
            raise ConfigError(f"DvaeConfig.num_hidden must be a multiple of 4; got {self.num_hidden}.")
        if not self.gain >= 0:
            raise ConfigError(f"DvaeConfig.gain must be at least 0; got {self.gain}.")
        for name, least in (("num_groups", 1), ("blocks_per_group", 1), ("vocab_size", 2), ("code_width", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"DvaeConfig.{name} must be at least {least}; got {getattr(self, name)}.")

    @property
    def factor(self) -> int:
        """Picture pixels per code, along one side."""
        return int(2 ** (self.num_groups - 1))

    @property
    def num_layers(self) -> int:
        """Blocks of one half; its square divides what a block adds."""
        return self.num_groups * self.blocks_per_group


QUICK: dict[str, Any] = {"patch_paths": True, "gain": 1.0}
"""What lets runs of minutes learn; docs/dvae.md says what each is worth."""
PRESETS: dict[str, dict[str, Any]] = {
    # 5.8 k + 5.3 k, for tests
    "micro": {"num_hidden": 4, "num_groups": 3, "vocab_size": 32, "code_width": 8, **QUICK},
    "smoke": {"num_hidden": 16, "vocab_size": 256, **QUICK},  # 0.25 M + 0.27 M, 0.10 + 0.06 GFLOP at 64 px
    "xs": {"num_hidden": 16, "vocab_size": 1024, **QUICK},  # 0.54 M + 0.56 M, 0.13 + 0.06 GFLOP at 64 px
    "small": {"num_hidden": 32, "vocab_size": 1024, **QUICK},  # 1.1 M + 1.1 M, 0.35 + 0.26 GFLOP at 64 px
    "medium": {"num_hidden": 64, "vocab_size": 2048, **QUICK},  # 3.9 M + 3.5 M, 4.9 + 4.1 GFLOP at 128 px
    # 53.8 M + 43.8 M, 272 + 257 GFLOP at 256 px
    "paper": {"image_channels": 3, "num_hidden": 256, "vocab_size": 8192},
}
"""Name to fields of `DvaeConfig`, smallest first."""


def get_preset(name: str, **more: Any) -> DvaeConfig:
    """The shape of a preset.

    Args:
        name: one of `PRESETS`.
        more: fields that replace the preset's.

    Raises:
        ConfigError: there is no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"No dVAE preset is named {name!r}. {did_you_mean(name, PRESETS)}")
    return DvaeConfig(**{**PRESETS[name], **more})
