"""Painting in one pass: one call of the generator for each picture.

Letters B pictures, C channels, S side, N noise numbers.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pictura.core.types import OnePass, OnePassBackend
from pictura.sample.calls import Asked, Call, Painted, Progress, Way
from pictura.sample.randomness import noise
from pictura.sample.request import refuse_foreign
from pictura.store.models import AT_ONCE, ModelInfo


def at_once(
    model: ModelInfo, backend: OnePassBackend, read: Callable[[str], NDArray[np.int64]], asked: Asked
) -> Way[Painted]:
    """From words to pixels (B, C, S, S).

    Args:
        model: that paints.
        backend: its networks, which are not called here.
        read: words to token ids (T,).
        asked: what to paint.
    """
    if asked.settings["solver"] != AT_ONCE:
        refuse_foreign(model, {"solver": asked.settings["solver"]})
    text = yield Call("encode_text", (read(asked.prompt),))
    painted: list[OnePass] = []
    for done, i in enumerate(asked.numbers, start=1):
        noise_1N = noise(asked.seed, i, (backend.noise_size,))[None]
        painted.append((yield Call("paint", (noise_1N, text))))
        yield Progress(done, len(asked.numbers))
    looked = [one.attention for one in painted if one.attention is not None]
    return Painted(
        np.concatenate([one.images for one in painted]),
        attention=np.concatenate(looked) if looked else None,
    )
