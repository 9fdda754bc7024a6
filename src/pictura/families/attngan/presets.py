"""Named sizes of the AttnGAN family. Imports no torch."""

from typing import Any

from pictura.core.errors import ConfigError, did_you_mean

_PAPER = {"image_channels": 3, "base_size": 64, "num_scales": 3}
_SMALL = {
    "base_size": 32,
    "num_residual": 1,
    "noise_width": 32,
    "condition_width": 48,
    "discriminator_width": 24,
}

PRESETS: dict[str, dict[str, Any]] = {
    "micro": {
        "text_width": 16,
        "base_size": 8,
        "num_scales": 2,
        "width": 8,
        "num_residual": 1,
        "noise_width": 4,
        "condition_width": 6,
        "discriminator_width": 8,
    },
    "small": {**_SMALL, "num_scales": 2, "width": 24, "widest": 160},
    "small-128": {**_SMALL, "num_scales": 3, "width": 16},
    "paper": {**_PAPER, "width": 32, "num_residual": 2, "discriminator_width": 64},
    "paper-coco": {**_PAPER, "width": 48, "num_residual": 3, "discriminator_width": 96},
}
"""Name to fields of `AttnGANConfig`, smallest first; `paper` is for CUB."""


def get_preset(name: str) -> dict[str, Any]:
    """Fields of the config of the preset called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"The AttnGAN family has no preset {name!r}. {did_you_mean(name, PRESETS)}")
    return dict(PRESETS[name])
