"""Named sizes of the flow family. Imports no torch.

Behind each: parameters of the network + the text tower (2048 words of vocabulary; the autoencoder of the
default has 1.7 M more), and the cost of one network call on 64 image and 16 text tokens, multiply and add
counted as two. A training picture costs three calls. No preset has a score yet: GlyphBench will give it.
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
    "micro": _preset(64, 2, 2, 64, 1),  # 0.17 M + 0.18 M, 0.02 GFLOP: tests, toy runs of seconds
    "xxs": _preset(192, 6, 3, 192, 2),  # 3.1 M + 1.3 M, 0.43 GFLOP
    "xs": _preset(256, 8, 4, 256, 2),  # 7.2 M + 2.1 M, 1.03 GFLOP
    "s": _preset(384, 12, 6, 384, 2),  # 23.0 M + 4.3 M, 3.41 GFLOP
    "m": _preset(512, 12, 8, 512, 3),  # 41.0 M + 10.5 M, 6.09 GFLOP
    "l": _preset(640, 12, 10, 640, 4),  # 64.2 M + 21.1 M, 9.54 GFLOP
    "micro-pixels": _preset(64, 2, 2, 64, 1, latent_channels=4, patch_size=4),
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
