"""Actions on tiny models: what stays, what changes, and what pictures say of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import pictura
from pictura.actions import resolved, work
from pictura.actions.imagining import mean_vector
from pictura.actions.strengths import BY_IMAGINATION, BY_STEPS
from pictura.core.errors import ConfigError, MetadataError, SizeError
from pictura.engine.engine import Engine, Request
from pictura.engine.models import WarmModels
from pictura.pipeline import Painter, Picture, repaint
from pictura.sample.calls import drive
from pictura.store.models import read_model

SIDE = 64
"""Twice what the tiny painter by steps paints."""


@pytest.fixture(scope="module")
def flow(tiny_home: Path) -> Painter:
    return pictura.load(tiny_home / "models" / "tiny", device="cpu", num_threads=1)


@pytest.fixture(scope="module")
def unclip(unclip_home: Path) -> Painter:
    return pictura.load(unclip_home / "models" / "unclip", device="cpu", num_threads=1)


def picture(colour: str = "orange", size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    image = Image.new("RGB", size, (40, 90, 200))
    ImageDraw.Draw(image).ellipse((8, 8, size[0] - 9, size[1] - 9), fill=colour)
    return image


def make(painter: Painter, action: dict[str, Any], given: Any = None, **more: Any) -> list[Picture]:
    """Do an action from beginning to end."""
    pictures = given if isinstance(given, dict) else {"image": given or picture()}
    asked: dict[str, Any] = {"seed": 3, "num_images": 1, "size": (SIDE, SIDE), **more}
    task = work(resolved(action, painter.model), pictures)
    return drive(task.making(painter, "a red fox", **asked), painter.backend)


def apart(one: Image.Image, other: Image.Image) -> float:
    rows = [np.asarray(image.convert("RGB"), dtype=np.float64) for image in (one, other)]
    return float(np.abs(rows[0] - rows[1]).mean())


def test_a_subtle_variation_stays_nearer_to_the_picture_than_a_strong_one(flow: Painter) -> None:
    other = picture("green")

    def of_both(strength: str) -> float:
        one, two = (
            make(flow, {"action": "vary", "strength": strength}, begun)[0].image
            for begun in (picture(), other)
        )
        return apart(one, two)

    assert of_both("subtle") > of_both("strong") > 0
    made = make(flow, {"action": "vary", "strength": "subtle"}, num_images=2)
    assert apart(made[0].image, made[1].image) > 0


@pytest.mark.parametrize(
    "action",
    [
        {"action": "zoom", "factor": 2.0},
        {"action": "pan", "direction": "up"},
        {"action": "square"},
        {"action": "region"},
    ],
)
def test_what_a_canvas_keeps_is_bit_equal_and_the_rest_is_new(flow: Painter, action: dict[str, Any]) -> None:
    image = picture(size=(96, SIDE) if action["action"] == "square" else (SIDE, SIDE))
    mask = Image.new("L", image.size, 0)
    mask.paste(255, (SIDE // 2, 0, SIDE, SIDE))
    (one,) = make(flow, action, {"image": image, "mask": mask})
    if action["action"] == "zoom":
        kept, place = image.resize((32, 32), Image.Resampling.LANCZOS), (16, 16)
    else:
        kept, place = image, {"pan": (0, 32), "square": (0, 16), "region": (0, 0)}[action["action"]]
    if action["action"] == "region":
        kept = kept.crop((0, 0, 32, SIDE))
    box = (*place, place[0] + kept.width, place[1] + kept.height)
    np.testing.assert_array_equal(np.asarray(one.image.convert("RGB").crop(box)), np.asarray(kept))
    (other,) = make(flow, action, {"image": image, "mask": mask}, seed=4)
    assert apart(one.image, other.image) > 0
    assert one.settings["size"] == list(one.image.size)
    assert one.settings["scaling"] == "pasted"


def test_pictures_say_by_which_action_they_were_made(
    flow: Painter, tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))
    action = {"action": "zoom", "factor": 1.5, "of": ["abc-0"], "parent_id": "abc"}
    (one,) = make(flow, action)
    assert one.settings["made_by"] == {
        "command": "zoom",
        "factor": 1.5,
        "of": ["abc-0"],
        "parent_id": "abc",
        "noise_level": 0.65,
    }
    with pytest.raises(MetadataError, match="painted from another picture"):
        repaint(one.save(tmp_path / "one.png"))


def test_the_engine_paints_an_action_as_it_is_painted_alone(
    flow: Painter, tiny_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))
    action = {"action": "pan", "direction": "left"}
    alone = make(flow, action, num_images=3)
    engine = Engine(WarmModels(device="cpu", num_cores=1, num_calls=2))
    task = work(resolved(action, flow.model), {"image": picture()})
    choices: Any = {"seed": 3, "num_images": 3, "size": (SIDE, SIDE)}
    engine.add(Request(id="a", prompt="a red fox", model="tiny", choices=choices, work=task, num_previews=1))
    events = []
    while not engine.idle:
        events += engine.round()
    assert [event.kind for event in events if event.kind in ("failed", "done")] == ["done"]
    found = {event.index: event.picture for event in events if event.kind == "picture"}
    for i, one in enumerate(alone):
        same = found[i]
        assert same is not None
        np.testing.assert_array_equal(np.asarray(same.image), np.asarray(one.image))


def test_a_painter_by_imagination_varies_and_paints_a_prompt_with_a_picture(unclip: Painter) -> None:
    varied = make(unclip, {"action": "vary", "strength": "strong"}, num_images=2)
    assert len(varied) == 2
    assert varied[0].prompt == "a red fox"
    assert apart(varied[0].image, varied[1].image) > 0

    def of(iw: float, colour: str) -> Image.Image:
        return make(unclip, {"action": "image_prompt", "iw": iw}, picture(colour))[0].image

    assert apart(of(0, "orange"), of(0, "green")) == 0, "a picture without weight changes nothing"
    plain = unclip.paint("a red fox", seed=3, num_images=1, size=(SIDE, SIDE))[0].image
    assert apart(of(0, "orange"), plain) == 0
    assert apart(of(3, "orange"), of(3, "green")) > 0


def test_a_blend_of_vectors_asks_for_all_pictures_and_the_prompt(unclip: Painter) -> None:
    pictures = {f"image_{i}": picture(colour) for i, colour in enumerate(("orange", "green", "white"))}
    two = {name: pictures[name] for name in ("image_0", "image_1")}
    made = [
        make(unclip, {"action": "blend", "prompted": prompted}, given)[0].image
        for prompted, given in ((False, pictures), (False, two), (True, two))
    ]
    assert apart(made[0], made[1]) > 0
    assert apart(made[1], made[2]) > 0
    rows = [np.array([[1.0, 0.0]], dtype=np.float32), np.array([[0.0, 1.0]], dtype=np.float32)]
    np.testing.assert_allclose(mean_vector(rows), [[0.5**0.5, 0.5**0.5]], rtol=1e-6)


def test_a_blend_by_steps_begins_with_the_mean_of_the_pictures(flow: Painter) -> None:
    same = {"image_0": picture("green"), "image_1": picture("green")}
    (mean,) = make(flow, {"action": "blend"}, same)
    (alone,) = make(flow, {"action": "vary", "strength": "subtle"}, picture("green"))
    (mixed,) = make(flow, {"action": "blend"}, {"image_0": picture("green"), "image_1": picture("white")})
    assert apart(mean.image, mixed.image) > 0
    assert mean.settings["from_picture"] != mixed.settings["from_picture"]
    assert alone.settings["noise_level"] < mean.settings["noise_level"]


def test_a_model_that_cannot_do_an_action_is_named(unclip: Painter, dalle_home: Path) -> None:
    for name in set(BY_STEPS) - set(BY_IMAGINATION):
        with pytest.raises(ConfigError, match=rf"'unclip' of the family unclip cannot do {name}"):
            resolved({"action": name, "factor": 2, "direction": "up"}, unclip.model)
    dalle = read_model(dalle_home / "models" / "sharp")
    with pytest.raises(
        ConfigError, match=r"family dalle cannot do image prompt: take one that paints by steps"
    ):
        resolved({"action": "image_prompt", "iw": 1}, dalle)


def test_numbers_out_of_range_are_refused(flow: Painter) -> None:
    with pytest.raises(ConfigError, match="subtle or strong; got 'wild'"):
        make(flow, {"action": "vary", "strength": "wild"})
    with pytest.raises(ConfigError, match="iw must be from 0 to 3; got 4"):
        make(flow, {"action": "image_prompt", "iw": 4})
    with pytest.raises(ConfigError, match="takes a mask"):
        make(flow, {"action": "region"})
    with pytest.raises(SizeError, match="The mask must be as large"):
        make(flow, {"action": "region"}, {"image": picture(), "mask": Image.new("L", (8, 8), 255)})


def test_the_more_a_picture_weighs_the_less_noise(flow: Painter, unclip: Painter) -> None:
    def level(iw: float) -> float:
        return float(resolved({"action": "image_prompt", "iw": iw}, flow.model)["noise_level"])

    assert level(0) == 1.0 > level(0.5) > level(1) > level(3) > 0.5
    shares = [resolved({"action": "image_prompt", "iw": iw}, unclip.model)["share"] for iw in (0, 1, 3)]
    assert shares == [0.0, 0.5, 0.75]
