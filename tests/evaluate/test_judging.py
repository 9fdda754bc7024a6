"""Examining judges: what they are asked about, and by whom."""

import numpy as np

from pictura.core.types import Claim, Demand
from pictura.data.scenes.renders import Renders
from pictura.evaluate.judging import Questions, examine, set_questions
from tests.data.scene_kit import open_holdouts, tiny_pack, tiny_world
from tests.evaluate.eval_kit import ColourJudge


def claim(thing: str, colour: str | None = None) -> Claim:
    return Claim(objects=(Demand(thing=thing, colour=colour),))


def questions(claims: dict[str, list[Claim]], seed: int = 0) -> dict[str, Questions]:
    world = tiny_world()
    renders = Renders(tiny_pack(128), world=world, holdouts=open_holdouts(), size=64)
    return set_questions(renders, claims, seed=seed, things=[t.phrase for t in world.things], repeats=3)


def test_every_claim_is_shown_as_often_as_asked_beside_a_false_one() -> None:
    asked = questions(
        {"single": [claim("ball"), claim("unicorn"), claim("apple")], "two": [claim("unicorn")]}
    )
    assert list(asked) == ["single"]  # no glyph shows a unicorn
    found = asked["single"]
    assert found.images.shape == (6, 3, 64, 64)
    assert found.true == (claim("ball"), claim("apple")) * 3
    assert all(a.objects[0].thing != b.objects[0].thing for a, b in zip(found.true, found.false, strict=True))


def test_a_seed_gives_the_same_pictures_again_and_another_seed_others() -> None:
    one, again, other = (questions({"single": [claim("ball")] * 4}, s)["single"] for s in (1, 1, 2))
    assert np.array_equal(one.images, again.images)
    assert one.false == again.false
    assert not np.array_equal(one.images, other.images)


def test_a_judge_of_colours_is_right_about_red_and_green_things() -> None:
    asked = questions({"colour": [claim("ball", "red"), claim("ball", "green")]})["colour"]
    swapped = tuple(claim("ball", "green" if c.objects[0].colour == "red" else "red") for c in asked.true)
    found = examine(ColourJudge(), {"colour": Questions(images=asked.images, true=asked.true, false=swapped)})
    assert found["colour"].accuracy(found["colour"].best_threshold()) == (1.0, 1.0, 1.0)
