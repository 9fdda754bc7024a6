"""Prompts with claims."""

from collections import Counter

import numpy as np
import pytest

from pictura.core.errors import ConfigError
from pictura.core.types import Claim, Demand
from pictura.data.scenes.source import SceneMix, SceneSource
from pictura.data.vocabulary.claims import ClaimMix, ClaimSource, claim_of
from pictura.data.vocabulary.holdouts import TASKS, Holdouts
from pictura.data.vocabulary.reading import Reader
from pictura.data.vocabulary.world import World
from tests.data.scene_kit import open_holdouts, tiny_pack, tiny_world

WORLD, HOLDOUTS = World.load(), Holdouts.load()


def test_a_batch_depends_on_seed_and_position_alone() -> None:
    one, other = (ClaimSource(WORLD, HOLDOUTS, seed=3) for _ in range(2))
    one.prompts(0, 50)
    assert one.prompts(7, 20) == other.prompts(7, 20)
    assert one.prompts(7, 20)[:5] == one.prompts(7, 5)
    assert one.prompts(7, 20) != one.prompts(8, 20)
    assert one.prompts(7, 20) != ClaimSource(WORLD, HOLDOUTS, seed=4).prompts(7, 20)


def test_no_prompt_asks_for_what_is_held_out() -> None:
    reader = Reader(WORLD)
    prompts = ClaimSource(WORLD, HOLDOUTS, seed=0, well_known=1.0).prompts(0, 4000)
    found = [p.text for p in prompts if HOLDOUTS.matches(reader.read(p.text))]
    assert found == []


def test_the_scan_would_find_a_held_out_prompt() -> None:
    free = ClaimSource(WORLD, HOLDOUTS.without_compositions(), seed=0, well_known=1.0).prompts(0, 4000)
    reader = Reader(WORLD)
    assert any(HOLDOUTS.matches(reader.read(p.text)) for p in free)


def test_sentence_and_claim_say_the_same() -> None:
    reader = Reader(WORLD)
    for prompt in ClaimSource(WORLD, HOLDOUTS, seed=1, well_known=1.0).prompts(0, 600):
        assert prompt.claim is not None
        said = {m.thing for m in reader.read(prompt.text).mentions}
        assert {demand.thing for demand in prompt.claim.objects} <= said, prompt.text
        if prompt.kind == "count":
            assert reader.read(prompt.text).mentions[0].count == prompt.claim.objects[0].count


def test_kinds_come_as_often_as_they_weigh() -> None:
    mix = ClaimMix(single=1, two=0, count=3, colour=0, position=0, binding=0)
    kinds = Counter(p.kind for p in ClaimSource(WORLD, HOLDOUTS, seed=2, mix=mix).prompts(0, 2000))
    assert set(kinds) == {"single", "count"}
    assert np.isclose(kinds["count"] / 2000, 0.75, atol=0.03)


def test_every_task_is_asked_for() -> None:
    prompts = ClaimSource(WORLD, HOLDOUTS, seed=5).prompts(0, 300)
    assert {p.kind for p in prompts} == set(TASKS)


def test_a_mix_of_nothing_is_refused() -> None:
    nothing = dict.fromkeys(TASKS, 0.0)
    with pytest.raises(ConfigError, match=r"at least 0, not all 0; got \[0.0, 0.0"):
        ClaimMix(**nothing)


def _scenes(**mix: float) -> SceneSource:
    kinds = dict.fromkeys(("single", "colour", "background", "colour_background", "two"), 0.0)
    weights = {**kinds, "count": 0.0, "position": 0.0, "binding": 0.0, **mix}
    return SceneSource(
        tiny_pack(),
        world=tiny_world(),
        holdouts=open_holdouts(),
        size=(32, 32),
        seed=0,
        mix=SceneMix(**weights),
    )


def test_the_claim_of_a_scene_is_what_its_caption_says() -> None:
    scene = _scenes(count=1.0).scenes(0, 1)[0]
    seen = scene.objects[0]
    assert claim_of(scene) == Claim(
        objects=(Demand(thing=seen.thing, count=scene.count, colour=seen.colour),)
    )
    scene = _scenes(position=1.0).scenes(0, 1)[0]
    assert claim_of(scene).relation == scene.relation
    scene = _scenes(binding=1.0).scenes(0, 1)[0]
    assert claim_of(scene).relation is None
    assert [d.colour for d in claim_of(scene).objects] == [o.colour for o in scene.objects]
