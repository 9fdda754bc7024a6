from types import ModuleType

import array_api_compat
import array_api_strict
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pictura.data.vocabulary.colours import BACKGROUNDS, COLOURS, mean_colour, middle_luminance, recolour

WORDS = tuple(COLOURS)
VALUES = np.asarray(tuple(COLOURS.values()), dtype=np.float32)


def face(body: int, outline: int = 20, shine: int = 255) -> NDArray[np.uint8]:
    """(1, 4, 16, 16): a body with a darker outline on the left, a bright spot, and nothing around."""
    image = np.zeros((1, 4, 16, 16), dtype=np.uint8)
    image[0, 3, 2:14, 2:14] = 255
    image[0, :3, 2:14, 2:14] = body
    image[0, :3, 2:14, 2:4] = outline
    image[0, :3, 4:6, 10:12] = shine
    return image


def in_all_colours(glyph: NDArray[np.uint8]) -> NDArray[np.float32]:
    many = np.repeat(glyph, len(WORDS), axis=0)
    out: NDArray[np.float32] = recolour(many.astype(np.float32) / 255, VALUES, middle_luminance(many))
    return out


def nearest_word(colour: NDArray[np.float32]) -> str:
    return WORDS[int(((VALUES - colour) ** 2).sum(axis=1).argmin())]


@pytest.mark.parametrize("body", [0, 60, 130, 200, 255])
def test_the_body_of_any_glyph_takes_the_colour_that_is_named(body: int) -> None:
    for word, image in zip(WORDS, in_all_colours(face(body)), strict=True):
        assert nearest_word(image[:3, 8, 8]) == word


def test_outline_stays_darker_and_shine_brighter_than_the_body() -> None:
    for image in in_all_colours(face(130)):
        outline, body, shine = (image[:3, y, x].sum() for y, x in ((8, 2), (8, 8), (4, 10)))
        assert outline < body < shine


def test_alpha_does_not_change_and_nothing_appears_around() -> None:
    glyph = face(130)
    glyph[0] = (glyph[0] * 0.5).astype(np.uint8)
    for image in in_all_colours(glyph):
        np.testing.assert_array_equal(image[3], glyph[0, 3].astype(np.float32) / 255)
        assert (image[:3] <= image[3:] + 1e-6).all()
        assert image[:, :2].max() == 0


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "strict"])
def test_every_array_library_gives_the_same(xp: ModuleType) -> None:
    rng = np.random.default_rng(0)
    alpha = rng.random((5, 1, 6, 7), dtype=np.float32)
    images = np.concatenate([rng.random((5, 3, 6, 7), dtype=np.float32) * alpha, alpha], axis=1)
    middle = rng.random(5, dtype=np.float32)
    namespace = array_api_compat.array_namespace(xp.zeros(1))
    other = recolour(*(namespace.asarray(a) for a in (images, VALUES[:5], middle)))
    np.testing.assert_allclose(np.asarray(other), recolour(images, VALUES[:5], middle), atol=1e-6)


def test_the_middle_is_the_median_of_what_is_opaque() -> None:
    assert middle_luminance(face(130))[0] == pytest.approx(130 / 255, abs=1e-3)
    assert middle_luminance(np.zeros((1, 4, 3, 3), dtype=np.uint8))[0] == 0.5


def test_the_mean_colour_ignores_what_is_transparent() -> None:
    image = np.zeros((1, 4, 4, 4), dtype=np.uint8)
    image[0, 0, 0, 0] = image[0, 3, 0, 0] = 255
    np.testing.assert_allclose(mean_colour(image), [[1, 0, 0]])


def test_no_two_background_words_look_alike() -> None:
    values = np.asarray(tuple(BACKGROUNDS.values()))
    distance = np.sqrt(((values[:, None] - values[None]) ** 2).sum(-1)) + np.eye(len(values))
    assert distance.min() > 0.14
    assert len(COLOURS) == 11
