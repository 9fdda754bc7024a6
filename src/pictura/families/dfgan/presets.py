"""Named sizes of the DF-GAN family. Imports no torch."""

from typing import Any

from pictura.core.errors import ConfigError, did_you_mean

_SMALL = {"width": 16, "noise_width": 64, "fusion_width": 32, "discriminator_width": 16}

PRESETS: dict[str, dict[str, Any]] = {
    "micro": {
        "text_width": 16,
        "side": 16,
        "width": 4,
        "noise_width": 4,
        "fusion_width": 8,
        "discriminator_width": 4,
    },
    "small": {**_SMALL, "side": 64},
    "small-128": {**_SMALL, "side": 128},
    "paper": {"image_channels": 3, "side": 256},
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
