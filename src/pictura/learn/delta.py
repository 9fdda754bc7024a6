"""What was learnt as a file beside the base: values of a run in, pairs of low-rank factors in fp16 out.

A change of low rank is written as it is. All weights that were learnt freely differ from the base by changes
of every rank, so of these, and of a change that is too large for the file, the directions are kept that
explain most for the room they take.

Source  Eckart & Young 1936: cutting a singular value decomposition is the nearest matrix of a rank.
Letters r rank.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pictura.learn.weights import Values

MOST_BYTES = 4_000_000
"""Of a delta. What ships beside a base must stay small against it."""
_BYTES = 2


def delta_of(
    values: Mapping[str, Tensor], base: Mapping[str, Tensor], *, most_bytes: int = MOST_BYTES
) -> tuple[Values, float]:
    """Factors that make the learnt weights of the base's.

    Args:
        values: of a run: pairs ``NAME.down`` (r, in) and ``NAME.up`` (out, r), or whole weights by name.
        base: weights that `values` were learnt on, by name, fp32.
        most_bytes: that the factors may take.

    Returns:
        Pairs of factors in fp16, and how much of the change is lost: the norm of the difference between the
        learnt weights and those with the factors added, as a share of the norm of the change.
    """
    pairs = sorted(name.removesuffix(".up") for name in values if name.endswith(".up"))
    if pairs:
        changes = {name: values[f"{name}.up"].double() @ values[f"{name}.down"].double() for name in pairs}
        factors = {name: value.half() for name, value in values.items()}
    else:
        changes = {name: _rows(value) - _rows(base[name]) for name, value in values.items()}
        factors = {}
    if not pairs or _BYTES * sum(value.numel() for value in factors.values()) > most_bytes:
        factors = _cut(changes, most_bytes)
    lost = total = 0.0
    for name, change in changes.items():
        kept = torch.zeros_like(change)
        if f"{name}.up" in factors:
            kept = factors[f"{name}.up"].double() @ factors[f"{name}.down"].double()
        lost += float((change - kept).square().sum())
        total += float(change.square().sum())
    return dict(sorted(factors.items())), (lost / total) ** 0.5 if total else 0.0


def _rows(weight: Tensor) -> Tensor:
    """A weight as `store/weights.py` multiplies changes to it: (out, everything else)."""
    return weight.double().reshape(len(weight), -1)


def _cut(changes: Mapping[str, Tensor], most_bytes: int) -> Values:
    """Of all singular directions of all changes, those that explain most for each number they take."""
    parts = {name: torch.linalg.svd(change, full_matrices=False) for name, change in changes.items()}
    gains = [
        (float(s) ** 2 / sum(changes[name].shape), name)
        for name, (_, sizes, _) in parts.items()
        for s in sizes
        if s > 0
    ]
    ranks = dict.fromkeys(changes, 0)
    room = most_bytes // _BYTES
    for _, name in sorted(gains, reverse=True):
        room -= sum(changes[name].shape)
        if room < 0:
            break
        ranks[name] += 1
    factors: Values = {}
    for name, r in ranks.items():
        if r:
            left, sizes, right = parts[name]
            root = sizes[:r].sqrt()  # shared by both sides, so that neither is too small for fp16
            factors[f"{name}.up"] = (left[:, :r] * root).half().contiguous()
            factors[f"{name}.down"] = (root[:, None] * right[:r]).half().contiguous()
    return factors
