"""Captions wrong in one respect: what the scene shows is not what they say, and all the rest is as it was."""

from collections import Counter

import numpy as np
import pytest

from pictura.data.scenes.arrange import Place
from pictura.data.scenes.contrast import ASPECTS, Contrast, holds, key_of
from pictura.data.scenes.source import Scene, SceneObject
from pictura.data.vocabulary.world import World

WORLD = World.load()
CONTRAST = Contrast(WORLD)


def scene(kind: str, caption: str, *things: tuple[str, str | None], **truth: object) -> Scene:
    """A scene of things and their colours."""
    objects = tuple(
        SceneObject(
            thing=thing,
            style="noto",
            glyph=0,
            place=Place(x=0, y=0, side=1, flipped=False),
            box=(0, 0, 1, 1),
            colour=colour,
        )
        for thing, colour in things
    )
    base = {"relation": None, "count": 1, "background": None}
    return Scene(kind=kind, objects=objects, caption=caption, **{**base, **truth})  # type: ignore[arg-type]


def wrong(aspect: str, given: Scene, seed: int = 0) -> str | None:
    return CONTRAST.wrong_in(aspect, given, np.random.default_rng(seed))


def many(aspect: str, given: Scene) -> set[str | None]:
    return {wrong(aspect, given, seed) for seed in range(40)}


FOXES = scene("count", "a picture of three foxes in noto", *[("fox", None)] * 3, count=3)
BOUND = scene("binding", "a red car and an orange ball", ("car", "red"), ("soccer ball", "orange"))


def test_another_number_comes_with_its_grammar() -> None:
    assert many("count", FOXES) == {
        "a picture of one fox in noto",
        "a picture of two foxes in noto",
        "a picture of four foxes in noto",
    }
    digits = scene("count", "2 red foxes", *[("fox", "red")] * 2, count=2)
    assert many("count", digits) == {"1 red fox", "3 red foxes", "4 red foxes"}


def test_colours_change_places_and_articles_follow() -> None:
    assert many("binding", BOUND) == {"an orange car and a red ball"}
    assert all(text and ("a red car" in text) != ("an orange ball" in text) for text in many("colour", BOUND))


def test_a_background_is_not_a_colour_of_things() -> None:
    given = scene(
        "colour_background", "a fox, red, on a dark red background", ("fox", "red"), background="dark red"
    )
    assert all(text and text.endswith("on a dark red background") for text in many("colour", given))
    backgrounds = many("background", given)
    assert all(text and text.startswith("a fox, red, on a") for text in backgrounds)
    assert len(backgrounds) > 10
    assert given.caption not in backgrounds


@pytest.mark.parametrize(
    ("caption", "relation", "never"),
    [
        ("a fox to the left of a car", "left of", " left of "),
        ("a fox under a car", "below", (" under ", " below ", " underneath ")),
    ],
)
def test_a_relation_becomes_another(caption: str, relation: str, never: str | tuple[str, ...]) -> None:
    given = scene("position", caption, ("fox", None), ("car", None), relation=relation)
    found = many("relation", given)
    assert len(found) > 3
    for text in found:
        assert text is not None
        assert text.startswith("a fox ")
        assert text.endswith(" a car")
        assert not any(word in text for word in ([never] if isinstance(never, str) else never))


def test_sides_change_places() -> None:
    given = scene(
        "position",
        "a fox on the left and a car on the right",
        ("fox", None),
        ("car", None),
        relation="left of",
    )
    assert many("relation", given) == {"a fox on the right and a car on the left"}


def test_a_thing_becomes_one_of_its_kind() -> None:
    kinds = {thing.phrase: thing.kind for thing in WORLD.things}
    for text in many("thing", scene("single", "a fox", ("fox", None))):
        assert text is not None
        assert text != "a fox"
        assert kinds[text.removeprefix("an ").removeprefix("a ")] == kinds["fox"]
    assert all(text and text.startswith("a picture of three ") for text in many("thing", FOXES))


def test_what_a_caption_does_not_say_cannot_be_wrong() -> None:
    plain = scene("single", "fox", ("fox", None))
    assert [aspect for aspect in ASPECTS if wrong(aspect, plain)] == ["thing"]
    stray = scene("other", "steam locomotive engine", ("steam locomotive engine", None))
    assert CONTRAST.wrong(stray, np.random.default_rng(0)) is None
    found = CONTRAST.wrong(plain, np.random.default_rng(0))
    assert found is not None
    assert found[1] == "thing"


def test_one_scenes_caption_may_hold_for_another() -> None:
    fox, red, blue = (scene("colour", "", ("fox", colour)) for colour in (None, "red", "blue"))
    assert holds(fox, red)
    assert holds(red, fox)  # when in doubt
    assert not holds(red, blue)
    assert not holds(fox, FOXES)
    swapped = scene("binding", "", ("soccer ball", "red"), ("car", "orange"))
    assert key_of(swapped) == key_of(BOUND)
    assert not holds(swapped, BOUND)
    assert holds(scene("two", "", ("soccer ball", None), ("car", None)), BOUND)


def test_what_is_learnt_last_is_asked_most() -> None:
    rng = np.random.default_rng(0)
    found = Counter(wrong[1] for _ in range(200) if (wrong := CONTRAST.wrong(BOUND, rng)))
    assert set(found) == {"binding", "colour", "thing"}
    assert found.most_common(1)[0][0] == "binding"
    assert 90 < found["binding"] < 150
