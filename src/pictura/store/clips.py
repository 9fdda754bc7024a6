"""The CLIP that a painter by imagination listens to: another model's folder, found by its hash.

It sees pictures for the painter, and its reading half reads prompts: those weights are not kept twice.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pictura.core.errors import ModelError
from pictura.store.models import ModelInfo, find_models
from pictura.store.weights import read_weights

READS = ("text_encoder.", "text_out.")
"""How the names of a CLIP's weights begin that read."""


def clip_of(table: Mapping[str, Any], listener: str) -> ModelInfo:
    """The CLIP that a painter learnt from.

    Args:
        table: `clip` of model.json or of a checkpoint's config: its name and hash.
        listener: names the painter for people: "the model 'unclip'".

    Raises:
        ModelError: it is not here.
    """
    here = [one for one in find_models(on_broken=lambda _: None) if one.hash == table["hash"]]
    if not here:
        raise ModelError(
            f"{listener[0].upper()}{listener[1:]} listens to the CLIP {table['name']!r} with hash "
            f"{table['hash'][:10]}, which is not here. Put that CLIP's folder among your models."
        )
    return here[0]


def reading_weights(model: ModelInfo) -> dict[str, NDArray[np.float32]]:
    """What reads a painter's prompts: names, as the painter's networks have them, to fp32 arrays.

    Raises:
        ModelError: its CLIP is not here, or damaged.
    """
    clip = clip_of(model.manifest["clip"], f"the model {model.name!r}")
    clip.verify()
    weights = read_weights(clip.path).items()
    return {f"clip.{name}": array for name, array in weights if name.startswith(READS)}
