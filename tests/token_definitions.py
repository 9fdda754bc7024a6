"""The attention masks of DALL-E's paper, written by rows and columns, without a flattened index."""

Place = tuple[int, int]
"""Row and column."""


def allowed(kind: str, query: Place, key: Place, cols: int, kernel: int) -> bool:
    """Whether the image token at `query` may look at that at `key`."""
    (row, col), (key_row, key_col) = query, key
    if kind == "row":  # the row so far, and the row above from this column on
        return (key_row == row and key_col <= col) or (key_row == row - 1 and key_col >= col)
    if kind == "column":
        return key_col == col and key_row <= row
    half = kernel // 2
    window = [_wrapped(row - up, col + aside, cols) for up in range(half + 1) for aside in _around(half)]
    return key in window and key <= query  # places are ordered as they are read


def _around(half: int) -> range:
    return range(-half, half + 1)


def _wrapped(row: int, col: int, cols: int) -> Place:
    """Beyond the end of a row comes the next one, before its start the one above."""
    while col < 0:
        row, col = row - 1, col + cols
    while col >= cols:
        row, col = row + 1, col - cols
    return row, col
