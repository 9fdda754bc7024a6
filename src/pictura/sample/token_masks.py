"""Which token may look at which in a stream of text and image tokens: shapes in, boolean masks out. No torch.

Source  Ramesh et al. 2021, DALL-E (arXiv:2102.12092), appendix B.1 and figure 11.
Letters L = rows * cols image tokens in raster order, P prefix positions (text, then start-of-image),
        S = P + L. Masks are [query, key]: true where the query may look at the key.
"""

import numpy as np
from numpy.typing import NDArray

from pictura.core.errors import ConfigError, did_you_mean

KINDS = ("row", "column", "conv")
"""Row: the token itself and as many before it as a row has, so back to its column of the row above. Column:
its own column, down to itself. Conv: the causal half of a square window around it."""


def kind_of_block(i: int, num_blocks: int) -> str:
    """The mask of block `i`, from 0: row, column, row, row, and again; the last block has the conv mask."""
    if i == num_blocks - 1:
        return "conv"
    return "column" if i % 4 == 1 else "row"


def image_mask(kind: str, rows: int, cols: int, kernel: int) -> NDArray[np.bool_]:
    """What image tokens see of image tokens.

    Args:
        kind: one of `KINDS`.
        rows: of the grid.
        cols: of the grid.
        kernel: side of the conv window, odd. As in the paper it is a window of the flattened index: at the
            end of a row it goes on in the next.

    Returns:
        (L, L).

    Raises:
        ConfigError: no such kind, or an even kernel.
    """
    if kind not in KINDS:
        raise ConfigError(f"No attention mask is named {kind!r}. {did_you_mean(kind, KINDS)}")
    if kernel < 1 or kernel % 2 == 0:
        raise ConfigError(f"The kernel of the conv mask must be odd and at least 1; got {kernel}.")
    index_L = np.arange(rows * cols)
    back_LL = index_L[:, None] - index_L[None, :]
    if kind == "row":
        return (back_LL >= 0) & (back_LL <= cols)
    if kind == "column":
        return (back_LL >= 0) & (back_LL % cols == 0)
    half = kernel // 2
    steps = [r * cols + c for r in range(half + 1) for c in range(-half, half + 1)]
    return (back_LL >= 0) & np.isin(back_LL, steps)


def full_mask(kind: str, num_prefix: int, rows: int, cols: int, kernel: int) -> NDArray[np.bool_]:
    """What every position sees: the prefix all before it, image tokens the whole prefix and their mask.

    Returns:
        (S, S); the other arguments and errors are those of `image_mask`.
    """
    mask_SS = np.tri(num_prefix + rows * cols, dtype=bool)
    mask_SS[num_prefix:, num_prefix:] = image_mask(kind, rows, cols, kernel)
    return mask_SS
