"""Where things go on a canvas: contents' shapes in, places and boxes out.

A glyph is a square whose content (what is not transparent) fills a part of it; things are placed by their
content, so that none is tiny or cut off because of an empty margin.

Units   places in pixels of the canvas, x to the right, y down; boxes as fractions of the canvas.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pictura.data.scenes.dice import Dice

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Size = tuple[int, int]
"""Height, width in pixels."""

_WHOLE = 0.72  # a single thing's content fills this part of the canvas, unless it is tiny
_MAX_ENLARGE = 1.7
_LONG = 1.7  # canvases of this ratio take rows instead of blocks


@dataclass(frozen=True, slots=True)
class Place:
    """Where the glyph's whole square lies."""

    x: float
    y: float
    side: float
    flipped: bool


def contents(images: NDArray[np.uint8]) -> list[Box]:
    """Boxes of what is not transparent, as fractions of each glyph: (N, 4, S, S) uint8 to N boxes."""
    size = images.shape[-1]
    solid: NDArray[np.bool_] = images[:, 3] > 24
    out: list[Box] = []
    for one in solid:
        xs, ys = np.flatnonzero(one.any(axis=0)), np.flatnonzero(one.any(axis=1))
        if len(xs):
            out.append((xs[0] / size, ys[0] / size, (xs[-1] + 1) / size, (ys[-1] + 1) / size))
        else:
            out.append((0.0, 0.0, 1.0, 1.0))
    return [tuple(map(float, box)) for box in out]  # type: ignore[misc]


def box_of(content: Box, place: Place, size: Size) -> Box:
    """The content's box on the canvas, as fractions of it."""
    x0, y0, x1, y1 = _flipped(content) if place.flipped else content
    height, width = size
    return (
        (place.x + x0 * place.side) / width,
        (place.y + y0 * place.side) / height,
        (place.x + x1 * place.side) / width,
        (place.y + y1 * place.side) / height,
    )


def alone(dice: Dice, content: Box, size: Size, *, flip: bool) -> Place:
    """Place one thing on the whole canvas: as it is in the pack, or a little shifted and scaled."""
    height, width = size
    x0, y0, x1, y1 = content
    enlarge = min(max(_WHOLE / max(x1 - x0, y1 - y0), 1.0), _MAX_ENLARGE)
    side = min(size) * enlarge
    exact = dice.chance(0.5)  # resampling softens: half of them stay on the pixel grid
    if not exact:
        side *= dice.between(0.85, 1.05)
    loose_x, loose_y = ((n - min(size)) * 0.15 + side * 0.03 for n in (width, height))
    x = (width - side) / 2 + dice.between(-loose_x, loose_x)
    y = (height - side) / 2 + dice.between(-loose_y, loose_y)
    if exact:
        x, y = round(x), round(y)
    shown = _flipped(content) if flip else content
    x = _inside(x, shown[0] * side, shown[2] * side, width)
    y = _inside(y, shown[1] * side, shown[3] * side, height)
    return Place(x, y, side, flip)


def pair(
    dice: Dice, relation: str, pair_contents: tuple[Box, Box], size: Size, flips: tuple[bool, bool]
) -> tuple[Place, Place]:
    """Place two things so that the first is "left of", "right of", "above" or "below" the second."""
    height, width = size
    if relation in ("left of", "right of"):
        cells = [(0.0, 0.0, width / 2, float(height)), (width / 2, 0.0, float(width), float(height))]
    else:
        cells = [(0.0, 0.0, float(width), height / 2), (0.0, height / 2, float(width), float(height))]
    if relation in ("right of", "below"):
        cells.reverse()
    most = 0.62 * min(size)
    first, second = (
        _in_cell(dice, cell, content, flip, min(most, _fit(cell, content)) * dice.between(0.88, 1.0))
        for cell, content, flip in zip(cells, pair_contents, flips, strict=True)
    )
    return first, second


def group(dice: Dice, count: int, content: Box, size: Size, *, flip: bool) -> list[Place]:
    """Place `count` copies of one thing, all of one size."""
    cells = _cells(dice, count, size)
    longest = min(min(_fit(cell, content) for cell in cells), 0.62 * min(size)) * dice.between(0.9, 1.0)
    return [_in_cell(dice, cell, content, flip, longest) for cell in cells]


def _flipped(box: Box) -> Box:
    return 1 - box[2], box[1], 1 - box[0], box[3]


def _inside(at: float, low: float, high: float, length: float) -> float:
    """Shift `at` so that low..high from it lies in 0..length, if it can."""
    if high - low >= length:
        return (length - low - high) / 2
    return min(max(at, -low), length - high)


def _fit(cell: Box, content: Box) -> float:
    """The longest side that the content can have in a cell, with a little air."""
    across, down = content[2] - content[0], content[3] - content[1]
    scale = min((cell[2] - cell[0]) * 0.94 / across, (cell[3] - cell[1]) * 0.94 / down)
    return scale * max(across, down)


def _in_cell(dice: Dice, cell: Box, content: Box, flip: bool, longest: float) -> Place:
    x0, y0, x1, y1 = _flipped(content) if flip else content
    side = longest / max(x1 - x0, y1 - y0)
    slack_x = (cell[2] - cell[0] - (x1 - x0) * side) / 2
    slack_y = (cell[3] - cell[1] - (y1 - y0) * side) / 2
    x = cell[0] + slack_x * (1 + dice.between(-0.6, 0.6)) - x0 * side
    y = cell[1] + slack_y * (1 + dice.between(-0.6, 0.6)) - y0 * side
    return Place(x, y, side, flip)


def _cells(dice: Dice, count: int, size: Size) -> list[Box]:
    """Rows of cells for `count` things."""
    height, width = size
    if width >= _LONG * height:
        rows: Sequence[int] = (count,)
    elif height >= _LONG * width:
        rows = (1,) * count
    else:
        rows = dice.pick({1: ((1,),), 2: ((2,), (2,), (1, 1)), 3: ((2, 1), (1, 2)), 4: ((2, 2),)}[count])
    out: list[Box] = []
    for r, columns in enumerate(rows):
        top, bottom = r * height / len(rows), (r + 1) * height / len(rows)
        out += [(c * width / columns, top, (c + 1) * width / columns, bottom) for c in range(columns)]
    return out
