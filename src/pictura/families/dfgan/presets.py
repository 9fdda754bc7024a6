"""Named sizes of the DF-GAN family. Imports no torch.

Behind each: parameters of the generator + its discriminator, and the cost of painting one picture, multiply
and add counted as two; pictures/s of the generator forward, and forward and backward, of one busy core.
"""

from typing import Any

from pictura.core.errors import ConfigError, did_you_mean

_SMALL = {"noise_width": 64, "fusion_width": 32, "bounded": False}

PRESETS: dict[str, dict[str, Any]] = {
    "micro": {  # 0.01 M + 0.01 M, 0.001 GFLOP: tests, toy runs of seconds
        "text_width": 16,
        "side": 16,
        "width": 4,
        "noise_width": 4,
        "fusion_width": 8,
        "discriminator_width": 4,
        "bounded": False,
    },
    # 0.99 M + 0.90 M, 0.22 GFLOP, 230 and 89/s
    "small": {**_SMALL, "side": 64, "width": 16, "discriminator_width": 16},
    # 1.02 M + 0.75 M, 0.51 GFLOP, 69 and 27/s
    "small-128": {**_SMALL, "side": 128, "width": 12, "discriminator_width": 12},
    "paper": {"image_channels": 3, "side": 256},  # 9.74 M + 6.72 M, 14.4 GFLOP, 5.9 and 2.0/s
}
"""Name to fields of `DFGANConfig`, smallest first."""


def get_preset(name: str) -> dict[str, Any]:
    """Fields of the config of the preset called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"The DF-GAN family has no preset {name!r}. {did_you_mean(name, PRESETS)}")
    return dict(PRESETS[name])
