"""Named sizes of the DALL-E family. Imports no torch.

Behind each: the side of its pictures with a dVAE of factor 8. Parameters and cost: docs/families/dalle.md.
"""

from typing import Any

from pictura.core.errors import ConfigError, did_you_mean


def _preset(
    side: int, max_tokens: int, width: int, num_blocks: int, num_heads: int, conv_kernel: int
) -> dict[str, int]:
    return {
        "max_tokens": max_tokens,
        "rows": side,
        "cols": side,
        "width": width,
        "num_blocks": num_blocks,
        "num_heads": num_heads,
        "conv_kernel": conv_kernel,
    }


PRESETS: dict[str, dict[str, int]] = {
    "micro": _preset(4, 16, 32, 2, 2, 3),  # 16 px: tests
    "smoke": _preset(8, 32, 128, 4, 4, 3),  # 64 px
    "xs": _preset(8, 32, 192, 4, 3, 3),  # 64 px, the embedded one
    "small": _preset(8, 32, 256, 8, 4, 3),  # 64 px
    "medium": _preset(16, 64, 384, 12, 6, 5),  # 128 px
    "large": _preset(32, 64, 512, 12, 8, 11),  # 256 px
    "paper": _preset(32, 256, 3968, 64, 62, 11),  # 256 px, 16,384 words and 8,192 codes
}
"""Name to fields of `DalleConfig`, smallest first; the vocabularies come from tokenizer and dVAE."""


def get_preset(name: str) -> dict[str, Any]:
    """The preset called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"The dalle family has no preset {name!r}. {did_you_mean(name, PRESETS)}")
    return dict(PRESETS[name])
