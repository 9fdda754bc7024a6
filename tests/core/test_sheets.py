"""Sheets show pictures whole, and light where attention goes."""

import numpy as np
import pytest
from PIL import Image

from pictura.core.sheets import sheet, word_sheet

GREY = Image.new("RGB", (64, 64), (200, 200, 200))
LINE, GAP = 11, 2


@pytest.mark.parametrize(("num", "columns", "rows"), [(1, 1, 1), (4, 2, 2), (5, 3, 2)])
def test_pictures_lie_as_square_as_they_go(num: int, columns: int, rows: int) -> None:
    made = sheet([GREY] * num)
    assert made.size == (columns * (64 + GAP) + GAP, rows * (64 + GAP) + GAP)


@pytest.mark.parametrize(("num", "columns", "rows"), [(2, 3, 1), (6, 7, 1), (7, 4, 2), (14, 5, 3)])
def test_words_fill_few_rows(num: int, columns: int, rows: int) -> None:
    made = word_sheet(GREY, [("word", np.ones((2, 2), dtype=np.float32))] * num)
    assert made.size == (columns * (64 + GAP) + GAP, rows * (64 + LINE + GAP) + GAP)


def cell(attention: list[list[float]], word: str = "fox") -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The second cell of a sheet of one word, without and with its line of words."""
    made = np.asarray(word_sheet(GREY, [(word, np.array(attention, dtype=np.float32))]))
    left = 64 + 2 * GAP
    return made[GAP : GAP + 64 + LINE, left : left + 64]


def test_a_place_is_as_bright_as_its_share_of_the_greatest_attention() -> None:
    lit = cell([[0.4, 0.4], [0.0, 0.0]])[:64, :, 0]
    assert (lit[:16] == 200).all()  # of the greatest attention: as the picture is
    assert (lit[48:] == 24).all()  # of none: dark, but to be seen
    assert (np.diff(lit[:, 5].astype(int)) <= 0).all()


def test_brightness_is_relative_and_the_number_is_not() -> None:
    faint, strong = cell([[0.1, 0.0]]), cell([[1.0, 0.0]])
    np.testing.assert_array_equal(faint[:64], strong[:64])
    assert (faint[64:] != strong[64:]).any()  # 10% and 100%


def test_a_word_that_nothing_looks_at_is_dark() -> None:
    assert (cell([[0.0, 0.0]])[:64] == 24).all()


def test_long_words_are_written_small_enough() -> None:
    line = cell([[1.0]], word="xylophonists")[64:]
    assert (line[:, 0] == 255).all()
    assert (line[:, -1] == 255).all()
    assert (line < 100).any()
