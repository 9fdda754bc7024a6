"""Does a picture fit its own caption better than others? Embeddings of both in, shares and scores out.

    R-precision     share of pictures whose own caption is nearest among itself and 99 random different ones
    LocalCLIPScore  2.5 * max(cos, 0) of picture and caption

Both are scored by the network that may only score (`clip-score`), and shown with its hash. Chance is 1 % for
R-precision; `shuffled` gives the floor of both.

Source  Xu et al. 2017, AttnGAN (arXiv:1711.10485), section 4 for R-precision; Hessel et al. 2021
        (arXiv:2104.08718), eq. 1 for the score. Differs: R-precision draws only captions that differ from the
        true one, and m captions that tie for the first place count 1/m each, so that a network that says the
        same of everything gets exactly chance.
Letters N pictures, T different captions, D width of the embeddings, K candidates.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pictura.core.errors import DataError
from pictura.evaluate.metrics.inputs import Floats, at_least_one, features_in, same_width

_TIE = 1e-7
"""Cosines closer than this are equal: embeddings are float32."""


def r_precision(
    image_embeddings: ArrayLike,
    text_embeddings: ArrayLike,
    rng: np.random.Generator,
    *,
    captions: Sequence[str],
    num_others: int = 99,
) -> float:
    """Mean of `r_precision_hits`, in [0, 1]; arguments and errors are the same."""
    hits = r_precision_hits(image_embeddings, text_embeddings, rng, captions=captions, num_others=num_others)
    return float(hits.mean())


def r_precision_hits(
    image_embeddings: ArrayLike,
    text_embeddings: ArrayLike,
    rng: np.random.Generator,
    *,
    captions: Sequence[str],
    num_others: int = 99,
) -> Floats:
    """Whether each picture's own caption comes first, for intervals over prompts.

    Args:
        image_embeddings: (N, D).
        text_embeddings: (N, D), row i of the caption of picture i.
        rng: draws the other captions, anew for each picture.
        captions: N strings; equal ones are one caption, so that no picture competes with its own.
        num_others: how many different captions compete.

    Returns:
        (N,): 1, 0, or 1/m where the true caption shares the first place with m - 1 others.

    Raises:
        DataError: shapes, widths or numbers do not fit, an embedding is zero or not finite, or there are not
            more than `num_others` different captions.
    """
    at_least_one(num_others=num_others)
    image_ND, text_ND = _unit_pair(image_embeddings, text_embeddings)
    own_N, first_T = _kinds(captions, len(image_ND))
    if len(first_T) <= num_others:
        raise DataError(
            f"R-precision needs {num_others + 1} different captions; got {len(first_T)}. "
            "Give more prompts or a smaller num_others."
        )
    text_TD = text_ND[first_T]
    hits_N = np.empty(len(image_ND))
    for i, own in enumerate(own_N):
        others_K = rng.choice(len(first_T) - 1, num_others, replace=False)
        others_K += others_K >= own  # every caption but its own is equally likely
        true = image_ND[i] @ text_TD[own]
        lead_K = image_ND[i] @ text_TD[others_K].T - true
        hits_N[i] = 0.0 if (lead_K > _TIE).any() else 1 / (1 + (lead_K >= -_TIE).sum())
    return hits_N


def local_clip_score(image_embeddings: ArrayLike, text_embeddings: ArrayLike) -> float:
    """Mean of `local_clip_scores`; arguments and errors are the same."""
    return float(local_clip_scores(image_embeddings, text_embeddings).mean())


def local_clip_scores(image_embeddings: ArrayLike, text_embeddings: ArrayLike) -> Floats:
    """2.5 * max(cos, 0) of each picture and its caption, in [0, 2.5].

    Args:
        image_embeddings: (N, D), of any length each.
        text_embeddings: (N, D), row i of the caption of picture i.

    Raises:
        DataError: shapes or widths do not fit, or an embedding is zero or not finite.
    """
    image_ND, text_ND = _unit_pair(image_embeddings, text_embeddings)
    return 2.5 * np.maximum((image_ND * text_ND).sum(axis=1), 0.0)


def shuffled(captions: Sequence[str], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order of captions in which no picture gets its own: what a blind model would score.

    Args:
        captions: N strings; equal ones are one caption.
        rng: draws the order.

    Returns:
        (N,) rows: picture i is to be scored with caption ``captions[order[i]]``.

    Raises:
        DataError: one caption belongs to more than half of the pictures, so that there is no such order.
    """
    own_N, first_T = _kinds(captions, len(captions))
    largest = int(np.bincount(own_N).max())
    if 2 * largest > len(captions):
        raise DataError(
            f"Captions cannot be shuffled: {largest} of {len(captions)} pictures have the same one. "
            "Give more different prompts."
        )
    rank_T = rng.permutation(len(first_T))
    by_kind_N = np.lexsort((rng.permutation(len(captions)), rank_T[own_N]))  # same captions side by side
    order_N = np.empty(len(captions), dtype=np.int64)
    order_N[by_kind_N] = np.roll(by_kind_N, -largest)  # further on than any caption's own stretch
    return order_N


def _kinds(captions: Sequence[str], num_pictures: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of each picture's caption among the different ones (N,), and where each first stands (T,)."""
    if len(captions) != num_pictures or num_pictures == 0:
        raise DataError(
            f"Every picture needs its caption: got {num_pictures} pictures, {len(captions)} captions."
        )
    _, first_T, own_N = np.unique(np.array(captions, dtype=object), return_index=True, return_inverse=True)
    return own_N.astype(np.int64), first_T.astype(np.int64)


def _unit_pair(image_embeddings: ArrayLike, text_embeddings: ArrayLike) -> tuple[Floats, Floats]:
    image_ND = features_in(image_embeddings, "image", least=1)
    text_ND = features_in(text_embeddings, "caption", least=1)
    same_width(image_ND, text_ND, "image", "caption")
    if len(image_ND) != len(text_ND):
        raise DataError(
            f"Every picture needs its caption: got {len(image_ND)} pictures, {len(text_ND)} captions."
        )
    return _unit(image_ND, "image"), _unit(text_ND, "caption")


def _unit(rows: Floats, name: str) -> Floats:
    length_N1 = np.linalg.norm(rows, axis=1, keepdims=True)
    if not length_N1.all():
        raise DataError(
            f"The {name} embedding in row {int(np.argmin(length_N1))} is zero and has no direction."
        )
    return rows / length_N1
