"""Real renders show what is claimed, from the glyphs that were asked for."""

import numpy as np
import pytest

from pictura.core.errors import DataError
from pictura.core.types import Claim, Demand
from pictura.data.scenes.renders import Renders
from tests.data.scene_kit import open_holdouts, tiny_pack, tiny_world


@pytest.fixture(scope="module")
def renders() -> Renders:
    return Renders(tiny_pack(), world=tiny_world(), holdouts=open_holdouts(), size=32)


def claim(
    *things: str, relation: str | None = None, count: int | None = None, colour: str | None = None
) -> Claim:
    return Claim(
        objects=tuple(Demand(thing=thing, count=count, colour=colour) for thing in things), relation=relation
    )


def blobs(image: np.ndarray) -> int:
    """Number of separate patches of alpha."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(image[3] > 0.5), strict=True)}
    count = 0
    while left:
        count += 1
        edge = [left.pop()]
        while edge:
            y, x = edge.pop()
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & left
            left -= near
            edge += near
    return count


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_so_many_are_painted(renders: Renders, count: int) -> None:
    images = renders.paint([claim("apple", count=count)] * 6, seed=0)
    assert images.shape == (6, 4, 32, 32)
    assert [blobs(image) for image in images] == [count] * 6


@pytest.mark.parametrize(("relation", "axis", "first"), [("left of", 1, True), ("below", 0, False)])
def test_things_stand_as_claimed(renders: Renders, relation: str, axis: int, first: bool) -> None:
    pair = Claim(
        objects=(Demand(thing="apple", colour="red"), Demand(thing="ball", colour="blue")), relation=relation
    )
    for image in renders.paint([pair] * 5, seed=1):
        red, blue = (np.argwhere((image[3] > 0.5) & (image[c] > image[2 - c])).mean(axis=0) for c in (0, 2))
        assert (red[axis] < blue[axis]) == first


def test_a_style_is_taken_and_a_seed_gives_the_same_again(renders: Renders) -> None:
    claims = [claim("mouse")] * 3
    once, again = (renders.paint(claims, seed=5, styles=["noto"] * 3) for _ in range(2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, renders.paint(claims, seed=6))


def test_a_thing_without_glyphs_is_named(renders: Renders) -> None:
    none = Renders(
        tiny_pack().select(np.array([0, 1, 2])), world=tiny_world(), holdouts=open_holdouts(), size=32
    )
    assert none.things == {"apple"}
    assert not none.shows(claim("apple", "ball"))
    with pytest.raises(DataError, match="hold no 'ball'"):
        none.paint([claim("ball")], seed=0)


def test_halves_share_no_glyph() -> None:
    halves = [
        Renders(tiny_pack(), world=tiny_world(), holdouts=open_holdouts(), splits=("train",), half=half)
        for half in ("A", "B")
    ]
    ids = [set(half.glyphs.ids) for half in halves]
    assert ids[0]
    assert ids[1]
    assert not ids[0] & ids[1]
