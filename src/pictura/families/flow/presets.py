"""Named sizes of the flow family. Imports no torch.

Parameters count network and text tower, without the autoencoder (about 2 M). GFLOP is one call of the
network on 64 image and 16 text tokens, multiply and add counted as two; training costs three times that.
"""

from dataclasses import dataclass
from typing import Any

from pictura.core.errors import ConfigError, did_you_mean


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowPreset:
    """Settings of network and text tower, as keyword arguments of their configs."""

    network: dict[str, Any]
    text_encoder: dict[str, Any]


def _preset(
    width: int, num_blocks: int, num_heads: int, text_width: int, text_blocks: int, **more: int
) -> FlowPreset:
    return FlowPreset(
        network={
            "width": width,
            "num_blocks": num_blocks,
            "num_heads": num_heads,
            "text_width": text_width,
            **more,
        },
        text_encoder={"width": text_width, "num_blocks": text_blocks, "num_heads": max(1, text_width // 64)},
    )


PRESETS: dict[str, FlowPreset] = {
    "micro": _preset(64, 2, 2, 64, 1),  # tests, and toy runs of seconds
    "xxs": _preset(192, 6, 3, 192, 2),
    "xs": _preset(256, 8, 4, 256, 2),
    "s": _preset(384, 12, 6, 384, 2),
    "m": _preset(512, 12, 8, 512, 3),
    "l": _preset(640, 12, 10, 640, 4),
    "xs-pixels": _preset(256, 8, 4, 256, 2, latent_channels=4, patch_size=8),
}
"""Name to preset, smallest first; `*-pixels` paint in picture space, without an autoencoder."""


def get_preset(name: str) -> FlowPreset:
    """The preset called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"The flow family has no preset {name!r}. {did_you_mean(name, PRESETS)}")
    return PRESETS[name]
