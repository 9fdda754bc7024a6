import itertools
import json
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from pictura.core.errors import DataError
from pictura.data.scenes.arrange import Place
from pictura.data.scenes.dice import Dice
from pictura.data.scenes.source import Scene, SceneObject
from pictura.data.vocabulary.captions import RELATIONS, noun, placed, plural, styled
from pictura.data.vocabulary.colours import COLOURS
from pictura.data.vocabulary.holdouts import TASKS, Holdouts, bound, make, relative
from pictura.data.vocabulary.reading import Reader
from pictura.data.vocabulary.world import World
from tests.data.scene_kit import real_words

WORLD, HOLDOUTS = World.load(), Holdouts.load()
READER = Reader(WORLD)
BENCHMARK = dict(zip(TASKS, (80, 99, 80, 94, 100, 100), strict=True))


def thing(phrase: str, *, style: str = "any", colour: str | None = None) -> SceneObject:
    place = Place(0, 0, 1, flipped=False)
    return SceneObject(thing=phrase, style=style, glyph=0, place=place, box=(0, 0, 1, 1), colour=colour)


def scene(*objects: SceneObject, relation: str | None = None, count: int = 1) -> Scene:
    return Scene(kind="two", objects=objects, relation=relation, count=count, background=None, caption="")


def matches(caption: str) -> list[str]:
    return HOLDOUTS.matches(READER.read(caption))


def test_the_file_is_what_the_rule_gives(shared_data: Path) -> None:
    ids = real_words(shared_data).ids
    packaged = json.loads((files("pictura.data.vocabulary") / "holdouts-1.json").read_text())
    assert make(WORLD, ids).to_json() == packaged
    assert HOLDOUTS.checksum(reversed(ids)) == HOLDOUTS.pack_checksum


def test_a_benchmark_of_553_prompts_fits_in_the_lists() -> None:
    for task, needed in BENCHMARK.items():
        assert len(getattr(HOLDOUTS, task)) >= needed


def test_ids_are_split_eighty_ten_ten_and_halved(shared_data: Path) -> None:
    ids = real_words(shared_data).ids
    splits = Counter(map(HOLDOUTS.split, ids))
    assert splits["train"] / len(ids) == pytest.approx(0.8, abs=0.01)
    assert splits["validation"] / len(ids) == pytest.approx(0.1, abs=0.01)
    halves = Counter(HOLDOUTS.half(i) for i in ids if HOLDOUTS.split(i) == "train")
    assert halves["A"] / splits["train"] == pytest.approx(0.5, abs=0.02)


def test_the_split_of_an_id_never_changes() -> None:
    assert [HOLDOUTS.split(f"noto:{n:x}") for n in (0x1F600, 0x1F98A, 0x1F34E)] == ["train", "train", "test"]


def test_every_thing_and_attribute_alone_is_trained(shared_data: Path) -> None:
    glyphs = real_words(shared_data)
    styles: dict[str, set[str]] = {t.phrase: set() for t in WORLD.things}
    for owner, glyph_id, style in zip(WORLD.owners(glyphs), glyphs.ids, glyphs.styles, strict=True):
        if owner and HOLDOUTS.split(glyph_id) == "train" and (owner.phrase, style) not in HOLDOUTS.single:
            styles[owner.phrase].add(style)
    assert min(map(len, styles.values())) >= 4
    assert len(set.union(*styles.values())) == 15
    for t in WORLD.benchmark:
        assert len(styles[t.phrase]) >= 5
        assert sum((t.phrase, c) in HOLDOUTS.colour for c in COLOURS) == 2
        assert sum((t.phrase, n) in HOLDOUTS.count for n in (2, 3, 4)) == 1


def test_a_held_out_colour_is_not_one_that_the_thing_shows_by_itself() -> None:
    assert not [(t, c) for t, c in HOLDOUTS.colour if c in WORLD.thing(t).natural]


def test_a_position_or_binding_holds_no_held_out_pair_or_colour() -> None:
    for first, _, second in HOLDOUTS.position:
        assert tuple(sorted((first, second))) not in HOLDOUTS.two
    for c1, first, c2, second in HOLDOUTS.binding:
        assert (first, second) not in HOLDOUTS.two
        assert not {(first, c1), (second, c2)} & HOLDOUTS.colour
        assert c1 != c2


def test_scenes_in_a_hold_out_are_refused_however_they_are_written() -> None:
    phrase, style = min(HOLDOUTS.single)
    assert not HOLDOUTS.allows(scene(thing(phrase, style=style)))
    phrase, colour = min(HOLDOUTS.colour)
    assert not HOLDOUTS.allows(scene(thing(phrase, colour=colour)))
    assert not HOLDOUTS.allows(scene(thing("orange"), thing(phrase, colour=colour), relation="above"))
    phrase, count = min(HOLDOUTS.count)
    assert not HOLDOUTS.allows(scene(*[thing(phrase)] * count, count=count))
    for a, b in itertools.permutations(min(HOLDOUTS.two)):
        assert not HOLDOUTS.allows(scene(thing(a), thing(b), relation="above"))
    for (a, relation, b), inverse in zip(
        sorted(HOLDOUTS.position)[:50], ["right of", "below"] * 25, strict=True
    ):
        assert not HOLDOUTS.allows(scene(thing(a), thing(b), relation=relation))
        same = {"left of": "right of", "above": "below"}[relation]
        assert not HOLDOUTS.allows(scene(thing(b), thing(a), relation=same))
        if inverse != same and relative(b, inverse, a) not in HOLDOUTS.position:
            assert HOLDOUTS.allows(scene(thing(b), thing(a), relation=inverse))
    c1, a, c2, b = min(HOLDOUTS.binding)
    pair = (thing(a, colour=c1), thing(b, colour=c2))
    assert not HOLDOUTS.allows(scene(*pair, relation=None))
    assert not HOLDOUTS.allows(scene(*pair[::-1], relation=None))


def test_what_is_in_no_hold_out_is_allowed() -> None:
    assert HOLDOUTS.allows(scene(thing("fox", style="noto", colour="red")))
    assert HOLDOUTS.allows(scene(thing("apple", style="noto", colour="red")))
    phrase, count = min(HOLDOUTS.count)
    assert all(HOLDOUTS.allows(scene(*[thing(phrase)] * n, count=n)) for n in {2, 3, 4} - {count})


def test_judges_can_have_the_split_without_the_compositions() -> None:
    free = HOLDOUTS.without_compositions()
    phrase, colour = min(HOLDOUTS.colour)
    assert free.allows(scene(thing(phrase, colour=colour)))
    assert free.split("noto:1f98a") == HOLDOUTS.split("noto:1f98a")


def test_a_caption_of_every_hold_out_is_found() -> None:
    dice = Dice(0, 0, 0)
    for phrase, style in HOLDOUTS.single:
        said = noun(WORLD.thing(phrase))
        caption = styled(dice, said, phrase, style)
        assert f"single: {phrase}, {style}" in matches(caption), caption
    for phrase, colour in HOLDOUTS.colour:
        assert matches(f"{noun(WORLD.thing(phrase), colour=colour)} on a white background"), (phrase, colour)
    for phrase, count in HOLDOUTS.count:
        for digits in (False, True):
            assert matches(plural(WORLD.thing(phrase), count, digits=digits)), (phrase, count)
    for a, b in HOLDOUTS.two:
        assert matches(f"a {b} and a {a}"), (a, b)
    for a, relation, b in HOLDOUTS.position:
        assert matches(placed(dice, f"a {a}", relation, f"a {b}")), (a, relation, b)
    for c1, a, c2, b in HOLDOUTS.binding:
        assert matches(f"a {c2} {b} and a {c1} {a}"), (c1, a, c2, b)


def test_a_synonym_or_another_spelling_does_not_hide_a_hold_out() -> None:
    grey = next(t for t, c in sorted(HOLDOUTS.colour) if c == "grey")
    assert matches(f"A GRAY {grey}!") == [f"colour: grey {grey}"]
    rabbit = next(c for t, c in HOLDOUTS.colour if t == "rabbit")
    assert matches(f"{rabbit} bunny") == [f"colour: {rabbit} rabbit"]


@pytest.mark.parametrize(
    "caption",
    ["a red fox on a light blue background", "a red apple", "a fox", "an orange on an orange background", ""],
)
def test_captions_of_the_documentation_are_free(caption: str) -> None:
    assert matches(caption) == []


def test_relations_have_one_way_to_be_written() -> None:
    assert relative("cat", "right of", "dog") == relative("dog", "left of", "cat")
    assert relative("cat", "below", "dog") == relative("dog", "above", "cat")
    assert bound(("red", "cat"), ("blue", "ball")) == ("blue", "ball", "red", "cat")
    assert set(RELATIONS) == {"left of", "right of", "above", "below"}


def test_the_world_says_which_styles_the_pack_has(shared_data: Path) -> None:
    glyphs = real_words(shared_data)
    found: dict[str, set[str]] = {t.phrase: set() for t in WORLD.things}
    for owner, style in zip(WORLD.owners(glyphs), glyphs.styles, strict=True):
        if owner:
            found[owner.phrase].add(style)
    assert {t.phrase: set(t.styles) for t in WORLD.things} == found
    assert min(map(len, found.values())) >= 5


def test_unknown_versions_and_things_are_refused() -> None:
    with pytest.raises(DataError, match="no hold-outs of version 9"):
        Holdouts.load(9)
    with pytest.raises(DataError, match="no world list of version 9"):
        World.load(9)
    with pytest.raises(DataError, match="No thing is called 'foxx'"):
        WORLD.thing("foxx")
