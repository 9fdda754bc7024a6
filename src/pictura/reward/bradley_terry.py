"""Who wins by how much, learnt from pairs: differences of features in, a linear score with its doubt out.

Source  Bradley & Terry 1952: P(i beats j) = sigmoid(f_i - f_j), here f = w . features; a tie is half a win
        for each. Laplace's Gaussian about the best w (MacKay 1992, "The evidence framework applied to
        classification networks", for the probability under doubt); Houlsby et al. 2011 (arXiv:1112.5745) for
        BALD. Differs: a batch of pairs is chosen one after another, each as if those before it were answered.
Letters N pairs, F features, M candidates.
Units   score in logits: 1 more wins 73 of 100.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F_

from pictura.core.errors import DataError

PRECISIONS = tuple(10.0**power for power in np.arange(-1.0, 3.1, 0.5))
"""Of the prior, from which cross-validation takes the best."""
FOLDS = 5
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed of the weights."""

    mean: Tensor
    """(F,) float64."""
    covariance: Tensor
    """(F, F) float64."""

    def score(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (M,) of the score of features (M, F), or of differences."""
        features = features.to(self.mean)
        variance = (features @ self.covariance * features).sum(dim=-1)
        return features @ self.mean, variance.clamp(min=1e-18).sqrt()

    def wins(self, differences: Tensor) -> Tensor:
        """The probability (M,) that the first of a pair is preferred, all doubt counted in."""
        mean, std = self.score(differences)
        return (mean / (1 + math.pi / 8 * std**2).sqrt()).sigmoid()


def fit(differences: Tensor, wins: Tensor, *, precision: float, weights: Tensor | None = None) -> Posterior:
    """Fit weights under a Gaussian prior.

    Args:
        differences: (N, F) features of the first minus those of the second.
        wins: (N,) 1 where the first was preferred, 0 the second, 0.5 for a tie.
        precision: of the prior, 1 / variance of a weight.
        weights: (N,) how much each pair counts; None is 1 for all.
    """
    x_NF, y_N = differences.double(), wins.double()
    c_N = torch.ones_like(y_N) if weights is None else weights.double()
    prior_FF = precision * torch.eye(x_NF.shape[1], dtype=torch.float64, device=x_NF.device)
    w_F = torch.zeros_like(x_NF[0]) if len(x_NF) else prior_FF.new_zeros(len(prior_FF))
    for _ in range(_STEPS):  # Newton's method; the loss is convex
        p_N = (x_NF @ w_F).sigmoid()
        slope_F = x_NF.T @ (c_N * (p_N - y_N)) + precision * w_F
        hessian_FF = (x_NF * (c_N * p_N * (1 - p_N))[:, None]).T @ x_NF + prior_FF
        step_F = torch.linalg.solve(hessian_FF, slope_F)
        w_F = w_F - step_F / max(1.0, float(step_F.abs().max()) / 5)
        if float(step_F.abs().max()) < 1e-10:
            break
    return Posterior(w_F, torch.linalg.inv(hessian_FF))


def held_out(
    differences: Tensor,
    wins: Tensor,
    *,
    precision: float,
    groups: Sequence[int],
    weights: Tensor | None = None,
) -> Tensor:
    """The probability (N,) of each pair by a fit that did not see it, nor any pair of its group.

    Args:
        differences: (N, F).
        wins: (N,).
        precision: of the prior.
        groups: N numbers; pairs that share pictures or a prompt share one.
        weights: (N,) how much each pair counts; None is 1 for all.
    """
    fold_N = torch.tensor([group % FOLDS for group in groups])
    said_N = torch.full((len(wins),), 0.5, dtype=torch.float64)
    for fold in range(FOLDS):
        out_N = fold_N == fold
        counts = None if weights is None else weights[~out_N]
        learnt = fit(differences[~out_N], wins[~out_N], precision=precision, weights=counts)
        said_N[out_N] = learnt.wins(differences[out_N])
    return said_N


def best_precision(
    differences: Tensor, wins: Tensor, groups: Sequence[int], weights: Tensor | None = None
) -> float:
    """The precision of `PRECISIONS` under which pairs that were left out are likeliest.

    Raises:
        DataError: there are too few groups to leave any out.
    """
    if len({group % FOLDS for group in groups}) < FOLDS:
        raise DataError(f"Preferences need pairs of at least {FOLDS} prompts; got {len(set(groups))}.")

    def surprise(precision: float) -> float:
        said_N = held_out(differences, wins, precision=precision, groups=groups, weights=weights)
        counts = None if weights is None else weights.double()
        return float(F_.binary_cross_entropy(said_N, wins.double(), weight=counts))

    return min(PRECISIONS, key=surprise)


def accuracy(said: Tensor, wins: Tensor) -> tuple[float, float]:
    """Share of pairs (N,) told right, ties left out, and half the width of its 95 % interval."""
    decided = wins != 0.5
    right = ((said > 0.5) == (wins > 0.5))[decided].double()
    count = max(len(right), 1)
    share = float(right.mean()) if len(right) else math.nan
    return share, 1.96 * math.sqrt(max(share * (1 - share), 0.0) / count)


def calibration_error(said: Tensor, wins: Tensor, *, bins: int = 5) -> float:
    """Expected calibration error: how far what was said (N,) is from what was so, in equal bins."""
    certain, right = (torch.where(said >= 0.5, x, 1 - x) for x in (said.double(), wins.double()))
    order = certain.argsort()
    parts = zip(certain[order].chunk(bins), right[order].chunk(bins), strict=True)
    return sum(len(c) * abs(float(c.mean() - r.mean())) for c, r in parts) / max(len(said), 1)


def bald(mean: Tensor, std: Tensor) -> Tensor:
    """How much (M,) an answer to each pair would tell of the weights, in nats."""
    nodes, weights = (torch.from_numpy(x) for x in np.polynomial.hermite_e.hermegauss(20))
    weights = (weights / weights.sum()).to(mean)
    p_MK = (mean[:, None] + std[:, None] * nodes.to(mean)).sigmoid()
    return _entropy(p_MK @ weights) - _entropy(p_MK) @ weights


def choose_pairs(posterior: Posterior, differences: Tensor, count: int) -> list[int]:
    """Which of M pairs to ask a person about next.

    Args:
        posterior: what is believed so far.
        differences: (M, F) of the candidates.
        count: how many to choose, at most M.

    Returns:
        Their rows, the one that tells most first.
    """
    x_MF = differences.to(posterior.mean)
    covariance, chosen = posterior.covariance.clone(), []
    taken = torch.zeros(len(x_MF), dtype=torch.bool, device=x_MF.device)
    for _ in range(min(count, len(x_MF))):
        mean, std = Posterior(posterior.mean, covariance).score(x_MF)
        row = int(bald(mean, std).masked_fill(taken, -1).argmax())
        chosen.append(row)
        taken[row] = True
        # As if it were answered: whatever the answer, it narrows the Gaussian by so much.
        p = mean[row].sigmoid()
        narrow_F = covariance @ x_MF[row]
        weight = p * (1 - p)
        covariance = covariance - torch.outer(narrow_F, narrow_F) * weight / (1 + weight * std[row] ** 2)
    return chosen


def _entropy(p: Tensor) -> Tensor:
    p = p.clamp(1e-12, 1 - 1e-12)
    return -(p * p.log() + (1 - p) * (-p).log1p())
