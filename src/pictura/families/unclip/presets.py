"""Named sizes of unCLIP's networks. Imports no torch. Parameters and cost: docs/families/unclip.md."""

from typing import Any

from pictura.core.errors import ConfigError, did_you_mean

_Presets = dict[str, dict[str, Any]]

DECODER: _Presets = {
    "micro": {  # 8 px: tests
        "size": 8,
        "width": 8,
        "multiples": (1, 2),
        "patch_size": 1,
        "attention_sides": (4,),
        "head_width": 8,
        "context_width": 8,
        "num_extra_tokens": 2,
    },
    "small": {  # 32 px, the embedded one
        "size": 32,
        "width": 32,
        "multiples": (1, 2, 3),
        "patch_size": 2,
        "attention_sides": (8, 4),
        "head_width": 32,
        "context_width": 48,
    },
    "medium": {  # 64 px
        "size": 64,
        "width": 64,
        "depth": 2,
        "multiples": (1, 2, 3),
        "patch_size": 2,
        "attention_sides": (16, 8),
        "head_width": 64,
        "context_width": 192,
        "context_blocks": 2,
        "context_heads": 3,
    },
    "paper": {  # 64 px, a CLIP of 1024 numbers
        "image_channels": 3,
        "size": 64,
        "width": 512,
        "depth": 3,
        "multiples": (1, 2, 3, 4),
        "patch_size": 1,
        "attention_sides": (32, 16, 8),
        "plans": False,
        "head_width": 64,
        "embed_dim": 1024,
        "text_width": 1024,
        "context_width": 2048,
        "context_blocks": 24,
        "context_heads": 32,
        "prediction": "noise",
        "learned_variance": True,
    },
}
"""Name to fields of `DecoderConfig`, smallest first."""

UPSAMPLER: _Presets = {
    "micro": {"size": 32, "factor": 4, "width": 8, "multiples": (1, 2), "patch_size": 2},  # tests
    "small": {"size": 128, "factor": 4, "width": 32, "multiples": (1, 1), "patch_size": 4},
    "medium": {"size": 256, "factor": 4, "width": 64, "depth": 2, "multiples": (1, 1, 2), "patch_size": 4},
    "paper": {  # 64 to 256 px
        "image_channels": 3,
        "size": 256,
        "factor": 4,
        "width": 320,
        "depth": 3,
        "multiples": (1, 2, 3, 4),
        "patch_size": 1,
        "prediction": "noise",
        "learned_variance": True,
    },
    "paper-1024": {  # 256 to 1024 px
        "image_channels": 3,
        "size": 1024,
        "factor": 4,
        "width": 192,
        "depth": 2,
        "multiples": (1, 1, 2, 2, 4, 4),
        "patch_size": 1,
        "prediction": "noise",
        "learned_variance": True,
        "schedule": "linear",
    },
}
"""Name to fields of `UpsamplerConfig`."""

_PAPERS_CLIP = {"dim": 1024, "text_width": 1024, "max_tokens": 256, "scale": 17.2}
"""What other presets take from the CLIP that they listen to."""

PRIOR: _Presets = {
    "micro": {"width": 16, "num_blocks": 1, "num_heads": 2},  # tests
    "small": {"width": 128, "num_blocks": 5, "num_heads": 4},  # the embedded one
    "medium": {"width": 384, "num_blocks": 8, "num_heads": 6},
    "paper": {"width": 2048, "num_blocks": 24, "num_heads": 32, **_PAPERS_CLIP},
}
"""Name to fields of `PriorConfig`, smallest first."""

_CODES = ("num_components", "num_buckets", "num_dots")
AR_PRIOR: _Presets = {
    "micro": {**PRIOR["micro"], **dict(zip(_CODES, (4, 8, 6), strict=True))},
    "small": {**PRIOR["small"], **dict(zip(_CODES, (32, 64, 32), strict=True))},
    "medium": {**PRIOR["medium"], **dict(zip(_CODES, (48, 128, 64), strict=True))},
    "paper": {
        "width": 1664,
        "num_blocks": 24,
        "num_heads": 26,
        **dict(zip(_CODES, (319, 1024, 1024), strict=True)),
        **_PAPERS_CLIP,
    },
}
"""Name to fields of `ArPriorConfig`, smallest first."""

PRESETS: dict[str, _Presets] = {
    "decoder": DECODER,
    "upsampler": UPSAMPLER,
    "prior": PRIOR,
    "ar_prior": AR_PRIOR,
}
"""Part of the family to its presets."""


def get_preset(part: str, name: str) -> dict[str, Any]:
    """The preset called `name` of a part of the family.

    Raises:
        ConfigError: there is none.
    """
    if part not in PRESETS:
        raise ConfigError(f"The unclip family has no part {part!r}. {did_you_mean(part, PRESETS)}")
    if name not in PRESETS[part]:
        raise ConfigError(f"unclip's {part} has no preset {name!r}. {did_you_mean(name, PRESETS[part])}")
    return dict(PRESETS[part][name])
