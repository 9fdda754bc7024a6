"""Judges: what their maps and answers mean, and how claims are weighed."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from pictura.core.errors import ConfigError, ModelError
from pictura.core.types import Claim, Demand
from pictura.encode.judges.detector import Detections, Detector, DetectorConfig, peaks
from pictura.encode.judges.inquirer import Inquirer, InquirerConfig
from pictura.encode.judges.judge import Calibration, DetectorJudge, InquirerJudge, _exactly, stands
from pictura.evaluate.judges import read_judge
from pictura.train.export.part import Provenance, export_part

THINGS, COLOURS = ("apple", "ball", "car"), ("red", "blue")
SHAPE = {"num_things": 3, "num_colours": 2}
DETECTOR = DetectorConfig(**SHAPE, widths=(4, 8, 8), blocks=(1, 1))
INQUIRER = InquirerConfig(**SHAPE, stem=(8, 8), blocks=(1, 1), width=16, num_heads=2, hidden=8)


def make_judge(folder: Path, kind: str) -> DetectorJudge | InquirerJudge:
    """A judge of random weights in a folder of its own."""
    torch.manual_seed(0)
    network = Detector(DETECTOR) if kind == "detector" else Inquirer(INQUIRER)
    table = {"kind": kind, "network": asdict(network.config), "things": THINGS, "colours": COLOURS}
    export_part(
        folder,
        name=f"tiny-{kind}",
        family="judge",
        config={"judge": table},
        weights={f"network.{name}": value for name, value in network.state_dict().items()},
        provenance=Provenance(),
        card_text="Random.",
    )
    return read_judge(folder)


@pytest.fixture(params=["detector", "inquirer"])
def judge(request: pytest.FixtureRequest, tmp_path: Path) -> DetectorJudge | InquirerJudge:
    return make_judge(tmp_path / "judge", request.param)


def one(thing: str, **more: object) -> Claim:
    return Claim(objects=(Demand(thing=thing, **more),))  # type: ignore[arg-type]


def test_a_verdict_does_not_depend_on_what_is_judged_beside_it(judge: DetectorJudge) -> None:
    images = np.random.default_rng(0).random((5, 3, 64, 64), dtype=np.float32)
    claims = [one("apple"), one("ball", count=2), one("car", colour="red")] + [
        Claim(objects=(Demand(thing="apple"), Demand(thing="car")), relation=relation)
        for relation in ("above", None)
    ]
    together = judge.verify(images, claims)
    alone = [judge.verify(images[i : i + 1], [claim])[0] for i, claim in enumerate(claims)]
    assert together == pytest.approx(alone, rel=1e-4)
    assert ((together >= 0) & (together <= 1)).all()
    assert len(judge.read(images)) == 5
    seen = judge.look(images, claims)
    assert seen.chances == pytest.approx(together)
    assert seen.features == pytest.approx(judge.features(images))
    assert seen.features.shape == (5, judge.width)


def test_a_chance_passes_by_the_threshold_of_its_task(judge: DetectorJudge) -> None:
    judge.calibration = Calibration(thresholds={"single": 0.2, "count": 0.7})
    passed = judge.passes(np.array([0.3, 0.1, 0.6, 0.6]), ["single", "single", "count", "elsewhere"])
    assert passed.tolist() == [True, False, False, True]


def test_one_look_at_no_pictures_gives_no_numbers(judge: DetectorJudge) -> None:
    seen = judge.look(np.zeros((0, 3, 64, 64), dtype=np.float32), [])
    assert seen.chances.shape == (0,)
    assert seen.features.shape == (0, judge.width)


def test_numbers_of_a_thing_share_out_its_chance(tmp_path: Path) -> None:
    judge = make_judge(tmp_path / "judge", "inquirer")
    images = np.random.default_rng(1).random((1, 3, 64, 64), dtype=np.float32)
    counted = sum(judge.verify(images, [one("apple", count=n)])[0] for n in (1, 2, 3, 4, 5))
    assert counted == pytest.approx(judge.verify(images, [one("apple")])[0], rel=1e-6)


def test_unknown_things_colours_and_a_missing_claim_are_refused(judge: DetectorJudge) -> None:
    image = np.zeros((1, 3, 64, 64), dtype=np.float32)
    with pytest.raises(ConfigError, match="does not know the thing 'pear'"):
        judge.verify(image, [one("pear")])
    with pytest.raises(ConfigError, match="does not know the colour 'mauve'"):
        judge.verify(image, [one("apple", colour="mauve")])
    with pytest.raises(ConfigError, match="one claim for each picture; got 0 for 1"):
        judge.verify(image, [])


def test_a_folder_without_a_judge_is_refused(tmp_path: Path) -> None:
    export_part(
        tmp_path / "x", name="x", family="x", config={}, weights={}, provenance=Provenance(), card_text=""
    )
    with pytest.raises(ModelError, match="holds no judge"):
        read_judge(tmp_path / "x")


def test_peaks_are_the_highest_of_their_neighbours_and_read_there() -> None:
    presence = torch.full((1, 4, 6), -9.0)
    presence[0, 1, 2], presence[0, 1, 3], presence[0, 3, 5] = 3.0, 2.0, 1.0
    things = torch.zeros(1, 3, 4, 6)
    things[0, 1, 3, 5] = 50.0
    offsets = torch.full((1, 2, 4, 6), 0.5)
    found = peaks(Detections(presence, things, torch.zeros(1, 3, 4, 6), offsets, torch.zeros(1, 8)), count=2)
    assert found.presence[0].tolist() == pytest.approx([0.953, 0.731], abs=1e-3)  # not the neighbour's .88
    assert found.centres[0].tolist() == [
        pytest.approx([2.5 / 6, 1.5 / 4]),
        pytest.approx([5.5 / 6, 3.5 / 4]),
    ]
    assert found.things[0, 1].tolist() == pytest.approx([0, 1, 0], abs=1e-6)


def test_exactly_so_many_follows_the_binomial_law() -> None:
    chances = np.full(4, 0.3)
    assert [_exactly(chances, n) for n in range(5)] == pytest.approx([0.2401, 0.4116, 0.2646, 0.0756, 0.0081])


@pytest.mark.parametrize(
    ("first", "second", "relation"),
    [
        ((0.2, 0.5), (0.8, 0.5), "left of"),
        ((0.8, 0.4), (0.2, 0.6), "right of"),
        ((0.5, 0.2), (0.4, 0.8), "above"),
        ((0.5, 0.8), (0.5, 0.2), "below"),
    ],
)
def test_a_relation_holds_and_the_other_three_do_not(
    first: tuple[float, float], second: tuple[float, float], relation: str
) -> None:
    for other in ("left of", "right of", "above", "below"):
        holds = float(stands(np.array(first), np.array(second), other))
        assert (holds > 0.99) if other == relation else (holds < 0.01)


def test_the_network_counts_in_any_shape() -> None:
    images = torch.rand(2, 3, 32, 48)
    found = Detector(DETECTOR).eval()(images)
    assert found.presence.shape == (2, 4, 6)
    assert found.things.shape == (2, 3, 4, 6)
    said = Inquirer(INQUIRER).eval()(images)
    assert said.counts.shape == (2, 3, 6)
    assert bool(((said.centres > 0) & (said.centres < 1)).all())


def test_the_width_must_divide_into_heads_with_two_turning_halves() -> None:
    with pytest.raises(ConfigError, match=r"multiple of 4 \* num_heads; got width=10, num_heads=4"):
        InquirerConfig(num_things=3, num_colours=2, width=10)
