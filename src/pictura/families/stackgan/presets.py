"""Named sizes of the StackGAN family. Imports no torch.

Behind each: parameters of the generator and of its discriminators, the cost of a picture in forward GFLOP
of both (multiply and add counted as two), and of a training step of batch 16 in seconds of one thread's
processor time on 2 cores, Intel Xeon AVX-512. A generator and 1.4 M of text tower stay below 5 MB in 16 bits.
"""

from typing import Any

from pictura.core.errors import ConfigError, did_you_mean

_STAGES = {"version": 1, "width": 128, "num_residual": 4}
# Ours follow the code, whose KL is a mean over the condition's numbers: the paper's sum presses out much of
# the sentence (docs/families/stackgan.md has a toy that shows it).
_OURS = {"image_channels": 4, "fidelity": "code"}
_SMALL = {**_OURS, "text_width": 256, "noise_width": 32, "condition_width": 48}
_SMALL_TREE = {**_SMALL, "base_size": 32}
_SMALL_STAGES = {**_SMALL, "version": 1, "width": 24, "discriminator_width": 24, "widest": 128}

PRESETS: dict[str, dict[str, Any]] = {
    "micro": {  # 0.014 M and 0.008 M, 0.001 and 0.000 GFLOP, 0.02 s: tests, toy runs of seconds
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
    # 0.92 M and 0.37 + 1.40 M, 0.30 and 0.09 GFLOP, 0.46 s
    "small": {**_SMALL_TREE, "num_scales": 2, "width": 24, "widest": 160, "discriminator_width": 32},
    # 1.01 M and 0.22 + 0.81 + 2.65 M, 0.83 and 0.25 GFLOP, 1.10 s
    "small-128": {**_SMALL_TREE, "num_scales": 3, "width": 32, "widest": 128, "discriminator_width": 24},
    "small-1": {**_SMALL_STAGES, "num_scales": 1},  # 0.44 M and 0.56 M, 0.07 and 0.04 GFLOP, 0.17 s
    "small-2": {**_SMALL_STAGES, "num_scales": 2},  # 0.63 M and 1.82 M, 0.65 and 0.17 GFLOP, 0.81 s
    "paper-1": {**_STAGES, "num_scales": 1},  # 14.3 M and 4.0 M, 2.1 and 0.24 GFLOP
    "paper-2": {**_STAGES, "num_scales": 3},  # 26.3 M and 48.6 M, 25.2 and 5.6 GFLOP
    "paper": {},  # 21.2 M and 5.7 + 18.8 + 71.3 M, 15.8 and 8.0 GFLOP
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
