"""How different are pictures of one prompt? Features and prompts in, one mean distance per prompt out.

0 says that a prompt always gives the same picture. More is not always better: noise is diverse.

Source  Zhu et al. 2017, BicycleGAN (arXiv:1711.11586), section 5.1: mean distance between random pairs of one
        input. Differs: all pairs, and plain Euclidean distance in whatever feature space is given.
Letters N pictures, G pictures of one prompt, D width of the features.
Units   units of the features: compare only under one feature net.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pictura.core.errors import DataError
from pictura.evaluate.metrics.inputs import features_in


def diversity(features: ArrayLike, prompts: Sequence[str]) -> dict[str, float]:
    """Mean Euclidean distance over all pairs of pictures of each prompt.

    Args:
        features: (N, D).
        prompts: N strings, of each at least 2.

    Returns:
        Prompt to mean distance, in order of first appearance.

    Raises:
        DataError: shapes or numbers do not fit, a value is not finite, or a prompt has one picture only.
    """
    rows_ND = features_in(features, "generated")
    if len(prompts) != len(rows_ND):
        raise DataError(
            f"Every picture needs its prompt: got {len(rows_ND)} pictures, {len(prompts)} prompts."
        )
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        rows_of[prompt].append(row)
    out = {}
    for prompt, rows in rows_of.items():
        if len(rows) < 2:
            raise DataError(
                f"Diversity needs at least 2 pictures of a prompt; {prompt!r} has one. Paint more."
            )
        first_P, second_P = np.triu_indices(len(rows), k=1)
        group_GD = rows_ND[rows]
        out[prompt] = float(np.linalg.norm(group_GD[first_P] - group_GD[second_P], axis=1).mean())
    return out
