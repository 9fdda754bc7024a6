"""Named sizes of the AttnGAN family. Imports no torch.

Behind each: parameters of the generator + its discriminators, and the cost of painting one picture, multiply
and add counted as two; pictures/s of the generator forward, and forward and backward, of one busy core.
"""

from typing import Any

from pictura.core.errors import ConfigError, did_you_mean

_PAPER = {"image_channels": 3, "base_size": 64, "num_scales": 3}
# Ours follow the code: its mean of the KL, K times weaker than the sum, leaves the sentence its say, and our
# DAMSM learns better with its scores.
_OURS = {"fidelity": "code"}
_SMALL = {
    **_OURS,
    "base_size": 32,
    "num_residual": 1,
    "noise_width": 32,
    "condition_width": 48,
    "discriminator_width": 24,
}

PRESETS: dict[str, dict[str, Any]] = {
    "micro": {  # 0.02 M + 0.01 M, 0.003 GFLOP: tests, toy runs of seconds
        **_OURS,
        "text_width": 16,
        "base_size": 8,
        "num_scales": 2,
        "width": 8,
        "num_residual": 1,
        "noise_width": 4,
        "condition_width": 6,
        "discriminator_width": 8,
    },
    # 0.94 M + 1.57 M, 0.43 GFLOP, 151 and 56/s
    "small": {**_SMALL, "num_scales": 2, "width": 24, "widest": 160},
    # 0.66 M + 4.6 M, 0.75 GFLOP, 57 and 23/s
    "small-128": {**_SMALL, "num_scales": 3, "width": 16},
    # 7.1 M + 97.6 M, 16.5 GFLOP, 6.3 and 1.7/s
    "paper": {**_PAPER, "width": 32, "num_residual": 2, "discriminator_width": 64},
    # 13.8 M + 216.9 M, 47.2 GFLOP, 2.3 and 0.7/s
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
