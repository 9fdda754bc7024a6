"""Painting by imagination: first how a CLIP would see the picture, then the picture. The whole way, in order.

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125).
Letters B pictures, C channels, h w small size, H W large size, D numbers of a vector, T text tokens.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pictura.core.types import ImaginationBackend
from pictura.sample.calls import Asked, Call, Painted, Way
from pictura.sample.embeddings import slerp
from pictura.sample.imagining import Imagining
from pictura.sample.request import refuse_foreign
from pictura.store.models import BY_IMAGINATION, ModelInfo

UNTRAINED = (
    "THE MODEL {!r} SEEMS UNTRAINED: its {} cannot tell things from noise, and what it paints is noise."
)


def by_imagination(
    model: ModelInfo, backend: ImaginationBackend, read: Callable[[str], NDArray[np.int64]], asked: Asked
) -> Way[Painted]:
    """From words to pixels (B, C, H, W).

    Args:
        model: that paints.
        backend: its networks, which are not called here.
        read: words to token ids (T,).
        asked: what to paint.
    """
    if asked.settings["solver"] != BY_IMAGINATION:
        refuse_foreign(model, {"solver": asked.settings["solver"]})
    seen, num = asked.seen, len(asked.numbers)
    way = Imagining(
        model,
        backend,
        seed=asked.seed,
        numbers=asked.numbers,
        settings=asked.settings,
        imagines=seen is None or seen.share < 1,
    )
    text = yield Call("encode_text", (read(asked.prompt),))

    # 1. How would a CLIP see such pictures? Of two vectors for each, the one nearer to the text is kept.
    # Where it has seen a picture, the vector is between the two, or that of the picture alone.
    told = seen is None or seen.share < 1
    if told:
        z_BD = yield from way.imagine(text)
    if seen:
        seen_BD = backend.asarray(np.repeat(seen.vector, num, axis=0))
        z_BD = slerp(z_BD, seen_BD, seen.share) if told else seen_BD

    # 2. Small pictures that it would see so.
    low_BChw = yield from way.paint(way.noise(), z_BD, text, told=told)

    # 3. Large ones.
    high_BCHW = yield from way.enlarge(low_BChw)
    return Painted(backend.numpy((yield Call("decode", (high_BCHW,)))), untrained_notice(model, backend))


def untrained_notice(model: ModelInfo, backend: ImaginationBackend) -> tuple[str, ...]:
    """What a person should know of networks that learnt nothing."""
    return (UNTRAINED.format(model.name, _listed(backend.untrained)),) if backend.untrained else ()


def _listed(names: Sequence[str]) -> str:
    """Put names in a row as a sentence does: 'a, b and c'."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
