"""Attention masks of image tokens, each beside its definition written out by rows and columns."""

import numpy as np
import pytest

from pictura.core.errors import ConfigError
from pictura.sample.token_masks import KINDS, full_mask, image_mask, kind_of_block
from tests.token_definitions import allowed

SHAPES = [(4, 5, 3), (5, 3, 3), (3, 7, 5), (1, 4, 3), (6, 2, 3)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "cols", "kernel"), SHAPES)
def test_a_mask_is_what_its_definition_says(kind: str, rows: int, cols: int, kernel: int) -> None:
    mask = image_mask(kind, rows, cols, kernel)
    places = [(r, c) for r in range(rows) for c in range(cols)]
    slow = [[allowed(kind, query, key, cols, kernel) for key in places] for query in places]
    np.testing.assert_array_equal(mask, slow)


def test_the_papers_figure_is_reproduced() -> None:
    seen = {kind: np.flatnonzero(image_mask(kind, 4, 4, 3)[10]).tolist() for kind in KINDS}
    assert seen == {"row": [6, 7, 8, 9, 10], "column": [2, 6, 10], "conv": [5, 6, 7, 9, 10]}
    assert np.flatnonzero(image_mask("conv", 4, 4, 3)[8]).tolist() == [3, 4, 5, 7, 8]  # 3 and 7: wrapped


def test_the_prefix_is_causal_and_seen_whole_by_every_image_token() -> None:
    mask = full_mask("column", 3, 2, 4, 3)
    assert mask.shape == (11, 11)
    np.testing.assert_array_equal(mask[:3, :3], np.tri(3, dtype=bool))
    assert not mask[:3, 3:].any()
    assert mask[3:, :3].all()
    np.testing.assert_array_equal(mask[3:, 3:], image_mask("column", 2, 4, 3))


def test_blocks_have_the_papers_order() -> None:
    kinds = [kind_of_block(i, 64) for i in range(64)]
    # The paper counts from 1: a column mask where (i - 2) mod 4 is 0; the 64th is the conv mask.
    assert [i + 1 for i, kind in enumerate(kinds) if kind == "column"] == list(range(2, 64, 4))
    assert [i + 1 for i, kind in enumerate(kinds) if kind == "conv"] == [64]
    assert [kind_of_block(i, 4) for i in range(4)] == ["row", "column", "row", "conv"]


def test_what_is_no_mask_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"No attention mask is named 'rows'\. Did you mean 'row'"):
        image_mask("rows", 2, 2, 3)
    with pytest.raises(ConfigError, match="must be odd and at least 1; got 4"):
        image_mask("conv", 2, 2, 4)
