"""Codes of scenes tell which of two things has which colour and stands where, as seen and as said."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pictura.data.scenes.source import Scene, SceneObject
from pictura.encode.judges.judge import DetectorJudge, judge_of
from pictura.store.models import EMBEDDED, read_model
from pictura.train.tasks.scene_codes import SIZE, SceneCodes

COLOURS, PLACES = 0, 1


@pytest.fixture(scope="module")
def codes() -> SceneCodes:
    judge = judge_of(read_model(EMBEDDED / "judge-a"))
    assert isinstance(judge, DetectorJudge)
    return SceneCodes(judge)


def thing(name: str, colour: str | None = None) -> SceneObject:
    return SceneObject(thing=name, style="noto", glyph=0, place=(0, 0, 1, 1), box=(0, 0, 1, 1), colour=colour)  # type: ignore[arg-type]


def scene(*things: SceneObject, kind: str = "binding", relation: str | None = None, count: int = 1) -> Scene:
    return Scene(
        kind=kind,  # type: ignore[arg-type]
        objects=things,
        relation=relation,
        count=count,
        background=None,
        caption="",
    )


def code(codes: SceneCodes, shown: Scene, which: int, *, said: bool = False) -> Tensor:
    numbers, known = codes([shown], said=said)
    assert numbers.shape == (2, 1, SIZE)
    assert known[which, 0]
    return numbers[which, 0]


def test_a_scene_is_the_sum_of_its_things_with_their_colours(codes: SceneCodes) -> None:
    fox, car = thing("fox", "red"), thing("car", "blue")
    both = code(codes, scene(fox, car), COLOURS)
    alone = [code(codes, scene(one, kind="colour"), COLOURS) for one in (fox, car)]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2**0.5)
    torch.testing.assert_close(both, code(codes, scene(car, fox), COLOURS))


def test_exchanged_colours_and_sides_have_another_code(codes: SceneCodes) -> None:
    true = code(codes, scene(thing("fox", "red"), thing("car", "blue")), COLOURS)
    wrong = code(codes, scene(thing("fox", "blue"), thing("car", "red")), COLOURS)
    assert float(torch.cosine_similarity(true, wrong, dim=0)) < 0.5
    side = scene(thing("fox"), thing("car"), kind="position", relation="left of")
    here, there = code(codes, side, PLACES), code(codes, replace(side, relation="right of"), PLACES)
    assert float(torch.cosine_similarity(here, there, dim=0)) < 0.5
    turned = scene(thing("car"), thing("fox"), kind="position", relation="right of")
    torch.testing.assert_close(here, code(codes, turned, PLACES))


def test_what_nobody_says_only_pictures_show(codes: SceneCodes) -> None:
    two = scene(thing("fox"), thing("car"), kind="two", relation="above")
    assert codes([two], said=False)[1].tolist() == [[False], [True]]
    assert codes([two], said=True)[1].tolist() == [[False], [False]]
    stranger = scene(thing("a name of the pack", "red"), kind="other")
    many = scene(*[thing("fox", "red")] * 3, kind="count", count=3)
    numbers, known = codes([stranger, many], said=False)
    assert known.tolist() == [[False, True], [False, False]]
    assert not numbers[:, 0].any()
    torch.testing.assert_close(numbers[COLOURS, 1], code(codes, scene(thing("fox", "red")), COLOURS))


def test_codes_have_variance_one_and_alike_things_have_like_codes(codes: SceneCodes) -> None:
    judge = judge_of(read_model(EMBEDDED / "judge-a"))
    all_TM = torch.stack([code(codes, scene(thing(name, "red")), COLOURS) for name in judge.things])
    np.testing.assert_allclose(all_TM.square().mean(dim=0).numpy(), 1, atol=0.02)
    alike = torch.cosine_similarity(all_TM[:, None], all_TM[None], dim=2)
    names = list(judge.things)
    cat = alike[names.index("cat")]
    assert float(cat[names.index("lion")]) > float(cat[names.index("car")])


def test_they_are_the_same_each_time(codes: SceneCodes) -> None:
    judge = judge_of(read_model(EMBEDDED / "judge-a"))
    assert isinstance(judge, DetectorJudge)
    asked = scene(thing("fox", "red"), thing("car", "blue"))
    torch.testing.assert_close(code(SceneCodes(judge), asked, COLOURS), code(codes, asked, COLOURS))
