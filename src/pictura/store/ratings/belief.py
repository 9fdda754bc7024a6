"""What a person's choices say so far, and which question would say most: a small Bayesian model in numpy.

Source  As `reward.bradley_terry`, which has it in torch for learning: Bradley-Terry with Laplace's Gaussian
        about the best weights; Houlsby et al. 2011 (arXiv:1112.5745) for the gain of an answer (BALD).
Letters N answers, F looks, M questions, K nodes of the quadrature.
Units   gain in nats.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRECISION = 1.0
"""Of the prior, for looks of variance 1."""
_STEPS = 30
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(20)
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Belief:
    """A Gaussian over what a person looks for."""

    mean: Array
    """(F,)."""
    covariance: Array
    """(F, F)."""

    def gain(self, differences: Array) -> Array:
        """How much (M,) an answer to each question (M, F), left minus right, would tell of the person."""
        mean = differences @ self.mean
        std = np.sqrt(np.maximum(np.einsum("mf,fg,mg->m", differences, self.covariance, differences), 0))
        p_MK = _sigmoid(mean[:, None] + std[:, None] * _NODES)
        weights = _WEIGHTS / _WEIGHTS.sum()
        told: Array = _entropy(p_MK @ weights) - _entropy(p_MK) @ weights
        return told


def fit(differences: Array, wins: Array) -> Belief:
    """What answers say.

    Args:
        differences: (N, F) looks of the left picture minus those of the right one.
        wins: (N,) 1 where the left one was preferred, 0 the right one, 0.5 for a tie.
    """
    size = differences.shape[1]
    w_F, prior_FF = np.zeros(size), PRECISION * np.eye(size)
    hessian_FF = prior_FF
    for _ in range(_STEPS):  # Newton's method; the loss is convex
        p_N = _sigmoid(differences @ w_F)
        slope_F = differences.T @ (p_N - wins) + PRECISION * w_F
        hessian_FF = (differences * (p_N * (1 - p_N))[:, None]).T @ differences + prior_FF
        step_F = np.linalg.solve(hessian_FF, slope_F)
        w_F = w_F - step_F / max(1.0, float(np.abs(step_F).max()) / 5)
        if float(np.abs(step_F).max()) < 1e-9:
            break
    return Belief(w_F, np.asarray(np.linalg.inv(hessian_FF), dtype=np.float64))


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), dtype=np.float64)


def _entropy(p: Array) -> Array:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return np.asarray(-(p * np.log(p) + (1 - p) * np.log1p(-p)), dtype=np.float64)
