"""Pictures on one sheet, side by side, and words under them. No torch.

Units   pixels; attention in [0, 1].
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_CAPTION = 11 / 64
"""Height of a line of words, as a share of a picture's longer side."""
_SMALLEST = 4
_DARKEST = 0.12
"""How bright a place is that does not attend at all."""
_MOST_COLUMNS = 7


def sheet(pictures: Sequence[Image.Image], *, columns: int | None = None) -> Image.Image:
    """Pictures side by side on white.

    Args:
        pictures: RGB, at least one, all of one size.
        columns: None lays them as square as they go: four make 2x2.

    Returns:
        RGB image with a gutter of 1/32 of a picture's longer side.
    """
    width, height = pictures[0].size
    columns = columns or next(n for n in range(1, len(pictures) + 1) if n * n >= len(pictures))
    rows = -(-len(pictures) // columns)
    gap = max(width, height) // 32
    paper = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + gap) + gap), "white")
    for i, picture in enumerate(pictures):
        paper.paste(picture, (gap + i % columns * (width + gap), gap + i // columns * (height + gap)))
    return paper


def word_sheet(picture: Image.Image, words: Sequence[tuple[str, NDArray[np.float32]]]) -> Image.Image:
    """A picture, then once more for each word, lit by the attention that its places give the word.

    Args:
        picture: RGB.
        words: each with its attention (h, w) in [0, 1], over the picture.

    Returns:
        RGB sheet. A cell is as bright as the picture where attention to its word is greatest; below it stand
        the word and that greatest attention.
    """
    cells = [captioned(picture, "")]
    for word, attention_hw in words:
        most = float(attention_hw.max())
        lit = _lit(picture, attention_hw / max(most, 1e-9))
        cells.append(captioned(lit, f"{word} {most:.0%}"))
    rows = -(-len(cells) // _MOST_COLUMNS)
    return sheet(cells, columns=-(-len(cells) // rows))


def _lit(picture: Image.Image, light_hw: NDArray[np.float32]) -> Image.Image:
    light = Image.fromarray(light_hw.astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    shade = _DARKEST + (1 - _DARKEST) * np.asarray(light)[..., None]
    return Image.fromarray(np.rint(np.asarray(picture) * shade).astype(np.uint8))


def captioned(picture: Image.Image, words: str) -> Image.Image:
    """A picture above one line of words, which are made smaller until they fit."""
    width, height = picture.size
    line = round(max(width, height) * _CAPTION)
    cell = Image.new("RGB", (width, height + line), "white")
    cell.paste(picture, (0, 0))
    draw, size = ImageDraw.Draw(cell), 0.7 * line
    while draw.textlength(words, ImageFont.load_default(size)) > 0.95 * width and size > _SMALLEST:
        size -= 1
    draw.text((width / 2, height + line / 2), words, "black", ImageFont.load_default(size), anchor="mm")
    return cell
