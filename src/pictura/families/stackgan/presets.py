"""Named sizes of the StackGAN family. Imports no torch."""

from typing import Any

from pictura.core.errors import ConfigError, did_you_mean

_STAGES = {"version": 1, "width": 128, "num_residual": 4}
# Ours follow the code: its mean over the condition's numbers, 48 times weaker than the paper's sum, leaves
# the sentence its say.
_OURS = {"image_channels": 4, "fidelity": "code"}
_SMALL = {**_OURS, "text_width": 256, "noise_width": 32, "condition_width": 48}
_SMALL_TREE = {**_SMALL, "base_size": 32}
_SMALL_STAGES = {**_SMALL, "version": 1, "width": 24, "discriminator_width": 24, "widest": 128}

PRESETS: dict[str, dict[str, Any]] = {
    "micro": {
        **_OURS,
        "text_width": 16,
        "noise_width": 4,
        "condition_width": 6,
        "base_size": 8,
        "num_scales": 2,
        "width": 8,
        "discriminator_width": 8,
        "num_residual": 1,
    },
    "small": {**_SMALL_TREE, "num_scales": 2, "width": 24, "widest": 160, "discriminator_width": 32},
    "small-128": {**_SMALL_TREE, "num_scales": 3, "width": 32, "widest": 128, "discriminator_width": 24},
    "small-1": {**_SMALL_STAGES, "num_scales": 1},
    "small-2": {**_SMALL_STAGES, "num_scales": 2},
    "paper-1": {**_STAGES, "num_scales": 1},
    "paper-2": {**_STAGES, "num_scales": 3},
    "paper": {},
}
"""Name to fields of `StackGANConfig`. `*-1` and `*-2` are the stages of version 1, the others are trees."""


def get_preset(name: str) -> dict[str, Any]:
    """Fields of the config of the preset called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"The StackGAN family has no preset {name!r}. {did_you_mean(name, PRESETS)}")
    return dict(PRESETS[name])
