"""Painting token by token, from words to pixels.

Letters B pictures, C channels, H W picture size, T text tokens.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pictura.core.types import TokenBackend
from pictura.sample.autoregressive import TokenLaw, drawing, no_better_than_chance
from pictura.sample.calls import Asked, Call, Painted, Way
from pictura.sample.request import refuse_foreign
from pictura.store.models import AUTOREGRESSIVE, ModelInfo

UNTRAINED = (
    "THE MODEL {!r} SEEMS UNTRAINED: its guesses of the next token are no better than chance, "
    "and what it paints is noise."
)


def by_tokens(
    model: ModelInfo, backend: TokenBackend, read: Callable[[str], NDArray[np.int64]], asked: Asked
) -> Way[Painted]:
    """From words to pixels (B, C, H, W).

    Args:
        model: that paints.
        backend: its networks, which are not called here.
        read: words to token ids (T,).
        asked: what to paint.
    """
    settings = asked.settings
    if settings["solver"] != AUTOREGRESSIVE:
        refuse_foreign(model, {"solver": settings["solver"]})
    law = TokenLaw(**{name: settings[name] for name in ("temperature", "top_k", "guidance_scale")})
    drawn = yield from drawing(
        backend,
        read(asked.prompt),
        read(""),
        seed=asked.seed,
        numbers=asked.numbers,
        law=law,
        given=settings.get("given", ()),
    )
    chance = no_better_than_chance(drawn, backend.num_codes)
    notices = (UNTRAINED.format(model.name),) if chance else ()
    return Painted((yield Call("decode", (drawn.codes.reshape(-1, *backend.grid),))), notices)
