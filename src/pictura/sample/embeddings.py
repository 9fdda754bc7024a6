"""What can be done to CLIP's vectors of pictures before they are painted.

Source  Ramesh et al. 2022 (arXiv:2204.06125), section 3: mixing two pictures (3.2), changing one by the
        difference of two texts (3.3), seeing how much each principal component holds (figure 7); section 2.2:
        of two samples of the prior the one nearer to the text.
Letters B vectors, K candidates, N pictures, D width.
"""

from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from pictura.core.errors import ConfigError
from pictura.core.types import Array

_LEAST_ANGLE = 1e-5


class Pca(NamedTuple):
    """Principal components of many vectors."""

    mean: Array
    """(D,)."""
    components: Array
    """(D, D) unit vectors in rows, that of the largest variance first."""
    variances: Array
    """(D,) along each."""


def slerp(a: Array, b: Array, share: float) -> Array:
    """Go from `a` towards `b` along the arc between them, at even speed; lengths change linearly.

    Args:
        a: (B, ...): rows of any shape, none of them zero.
        b: of the same shape.
        share: of the way, 0 = a, 1 = b.

    Returns:
        (B, ...).

    Raises:
        ConfigError: two rows point in opposite directions, between which there is no one way.
    """
    xp = array_namespace(a, b)
    rows = (a.shape[0], -1)
    a_BD, length_a = _unit(xp.reshape(a, rows))
    b_BD, length_b = _unit(xp.reshape(b, rows))
    dot_B1 = xp.sum(a_BD * b_BD, axis=1, keepdims=True)
    across_BD = b_BD - dot_B1 * a_BD
    sine_B1 = xp.linalg.vector_norm(across_BD, axis=1, keepdims=True)
    if bool(xp.any((sine_B1 < _LEAST_ANGLE) & (dot_B1 < 0))):
        raise ConfigError(
            "Two vectors to mix must not point in opposite directions, between which there is no one way. "
            "Take another picture, or another text."
        )
    angle_B1 = share * xp.atan2(sine_B1, dot_B1)
    across_BD = across_BD / xp.clip(sine_B1, 1e-12, None)
    mixed_BD = xp.cos(angle_B1) * a_BD + xp.sin(angle_B1) * across_BD
    return xp.reshape((length_a + share * (length_b - length_a)) * mixed_BD, a.shape)


def text_difference(new: Array, old: Array) -> Array:
    """The direction from one text to another: (B, D) unit vectors each, to the same.

    Raises:
        ConfigError: the texts are the same to the CLIP.
    """
    xp = array_namespace(new, old)
    difference = new - old
    if bool(xp.any(xp.linalg.vector_norm(difference, axis=1) < _LEAST_ANGLE)):
        raise ConfigError(
            "The two texts of an edit must differ; to the CLIP these are the same. Say what should change."
        )
    return _unit(difference)[0]


def keep_better(candidates: Array, sentence: Array) -> Array:
    """Of each picture's candidates the one nearest to the text.

    Args:
        candidates: (B, K, D) unit vectors.
        sentence: (B, D) unit vectors of the texts, or (1, D) where all pictures have one.

    Returns:
        (B, D) those with the larger dot product; the first of equal ones.
    """
    xp = array_namespace(candidates, sentence)
    best_B = xp.argmax(xp.sum(candidates * sentence[:, None, :], axis=2), axis=1)
    return xp.stack([candidates[i, int(best_B[i])] for i in range(candidates.shape[0])])


def fit_pca(embeddings: NDArray[np.floating]) -> Pca:
    """Principal components of vectors (N, D), in float32.

    Raises:
        ConfigError: there are fewer than two.
    """
    if len(embeddings) < 2:
        raise ConfigError(f"Principal components need at least 2 embeddings; got {len(embeddings)}.")
    rows_ND = embeddings.astype(np.float64)
    mean_D = rows_ND.mean(axis=0)
    variances, columns = np.linalg.eigh(np.cov(rows_ND, rowvar=False, bias=True))
    components = columns.T[::-1]
    # Of the two directions of each, the one whose largest number is positive: equal data, equal components.
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(np.take_along_axis(components, largest[:, None], axis=1))
    parts = mean_D, components, variances[::-1].clip(0)
    return Pca(*(np.ascontiguousarray(part, dtype=np.float32) for part in parts))


def reconstruct(embeddings: Array, pca: Pca, count: int) -> Array:
    """What is left of unit vectors (B, D) in their first `count` components: (B, D) unit vectors.

    Raises:
        ConfigError: there are not so many components.
    """
    dim = pca.components.shape[0]
    if not 1 <= count <= dim:
        raise ConfigError(f"The number of components must be from 1 to {dim}; got {count}.")
    first = pca.components[:count]
    return _unit(pca.mean + ((embeddings - pca.mean) @ first.T) @ first)[0]


def _unit(rows: Array) -> tuple[Array, Array]:
    """(B, D) to rows of length 1, and their lengths (B, 1)."""
    xp = array_namespace(rows)
    length = xp.linalg.vector_norm(rows, axis=1, keepdims=True)
    return rows / xp.clip(length, 1e-12, None), length
