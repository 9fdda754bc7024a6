"""Further words for things: what captions say by them, and what they never say."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pictura.core.errors import DataError
from pictura.data.scenes.source import SceneMix, SceneSource
from pictura.data.vocabulary.colours import COLOURS
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.synonyms import Synonyms, is_held_out
from pictura.data.vocabulary.world import World
from tests.data.scene_kit import open_holdouts, real_words, tiny_pack, tiny_world


def source(synonyms: float, mix: SceneMix | None = None) -> SceneSource:
    return SceneSource(
        tiny_pack(),
        world=tiny_world(),
        holdouts=open_holdouts(),
        size=(8, 8),
        seed=1,
        mix=mix,
        synonyms=synonyms,
    )


def test_each_word_means_one_thing_and_is_none_of_the_worlds_own() -> None:
    synonyms, things = Synonyms.load(), World.load().things
    words = [w for table in (synonyms.shown, synonyms.held_out) for ws in table.values() for w in ws]
    assert len(words) == len(set(words)) > 600
    assert set(synonyms.shown) == set(synonyms.held_out) <= {t.phrase for t in things}
    own = {w.split("@")[0] for t in things for w in (t.phrase, t.plural or "", *t.synonyms, *t.names)}
    assert not own & set(words)
    assert not [w for w in {*own, *itertools.chain(*synonyms.shown.values())} if synonyms.says_unsaid(w)]
    assert not set(COLOURS) & {part for word in words for part in word.split()}  # "a blue black widow"


def test_a_third_is_held_out_and_stays_so() -> None:
    synonyms = Synonyms.load()
    held_out = sum(map(len, synonyms.held_out.values()))
    assert 0.3 < held_out / (held_out + sum(map(len, synonyms.shown.values()))) < 0.4
    assert [is_held_out(word) for word in ("labrador", "poodle", "lorry", "van")] == [
        True,
        False,
        True,
        False,
    ]
    assert "labrador" in synonyms.held_out["dog"]
    assert "poodle" in synonyms.shown["dog"]


def test_a_version_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="no list of synonyms of version 7"):
        Synonyms.load(7)


def test_unsaid_words_are_found_in_one_and_many_but_not_inside_others() -> None:
    synonyms = Synonyms.load()
    assert synonyms.says_unsaid("two labradors on grey")
    assert synonyms.says_unsaid("a german shepherd")
    assert not synonyms.says_unsaid("a poodle and a guysome thing")


def test_every_kind_of_scene_says_things_by_further_words() -> None:
    further = r"\b(?:cooking apple|crab apple|field mouse|field mice)"
    for kind in SceneMix.__slots__:
        mix = SceneMix(**{**dict.fromkeys(SceneMix.__slots__, 0.0), kind: 1.0})
        said = [s for s in source(1.0, mix).scenes(0, 60) if re.search(further, s.caption)]
        assert said, kind
        assert {o.thing for s in said for o in s.objects} <= {"apple", "mouse", "ball", "scissors"}
        assert not any(re.search(further, s.caption) for s in source(0.0, mix).scenes(0, 60))


def test_further_words_come_as_often_as_asked() -> None:
    mix = SceneMix(**{**dict.fromkeys(SceneMix.__slots__, 0.0), "single": 1.0})
    scenes = [s for s in source(0.3, mix).scenes(0, 800) if s.objects[0].thing == "apple"]
    share = sum("cooking apple" in s.caption or "crab apple" in s.caption for s in scenes) / len(scenes)
    assert 0.2 < share < 0.4


def test_a_held_out_word_is_said_as_no_keyword() -> None:
    pack = tiny_pack()
    pack = replace(pack, keywords=(("labrador", "poodle"),) * len(pack.ids))
    common = {"world": tiny_world(), "holdouts": open_holdouts(), "size": (8, 8), "seed": 1}
    only_one = SceneMix(**{**dict.fromkeys(SceneMix.__slots__, 0.0), "single": 1.0})
    plain = SceneSource(pack, mix=only_one, **common)  # type: ignore[arg-type]  # each of its own type
    further = SceneSource(pack, mix=only_one, synonyms=0.1, **common)  # type: ignore[arg-type]
    said = [" ".join(s.caption for s in made.scenes(0, 1500)) for made in (plain, further)]
    assert ["labrador" in text for text in said] == [True, False]
    assert all("poodle" in text for text in said)


def test_no_caption_of_the_real_pack_says_a_held_out_word(shared_data: Path) -> None:
    made = SceneSource(
        real_words(shared_data),
        world=World.load(),
        holdouts=Holdouts.load(),
        size=(8, 8),
        seed=5,
        other=0.3,
        synonyms=0.5,
    )
    said = [s.caption for s in itertools.chain.from_iterable(made.scenes(p, 64) for p in range(60))]
    words = Synonyms.load()
    assert not [caption for caption in said if words.says_unsaid(caption)]
    assert sum(any(w in caption for w in made.further_words) for caption in said) > 1000
