"""Judge A as a reward: the same chance as the judge's, and credit for what is partly right."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError, ModelError, SizeError
from pictura.core.types import Claim, Demand, Prompt
from pictura.encode.judges.detector import Peaks
from pictura.encode.judges.judge import Calibration
from pictura.reward.judge import JudgeReward, JudgeSettings, open_detector
from pictura.reward.verdict import Verdict, ask, read
from tests.reward.kit import COLOURS, THINGS, make_judge, one, paintings, prompt

APPLE, BALL, CAR = (Demand(thing=thing) for thing in THINGS)
RELATIONS = ("left of", "right of", "above", "below")


@pytest.fixture(scope="module")
def reward() -> JudgeReward:
    return JudgeReward(open_detector("judge-a", "cpu"))


def claims_about(things: tuple[str, ...]) -> list[Prompt]:
    first, second = things[:2]
    return [
        *(one(first, count=n) for n in (None, 1, 2, 3, 4)),
        one(first, colour="red"),
        one(second, count=2, colour="blue"),
        prompt(Demand(thing=first), Demand(thing=second)),
        prompt(Demand(thing=first, colour="red"), Demand(thing=second, colour="blue")),
        prompt(Demand(thing=first), Demand(thing=first)),
        *(prompt(Demand(thing=second), Demand(thing=first), relation=r) for r in RELATIONS),
    ]


def test_the_chance_is_the_judges_own_on_pictures_of_every_kind(reward: JudgeReward) -> None:
    judge = open_detector("judge-a", "cpu")
    shown = paintings("a panda", "a tree", "four hearts", "a cat and a dog")
    asked = [a for pair in (("panda", "tree"), ("heart", "dog")) for a in claims_about(pair)]
    pictures, prompts = shown.repeat_interleave(len(asked), dim=0), asked * len(shown)
    scores = reward(pictures, prompts)
    truth = judge.verify(pictures.numpy(), [p.claim for p in prompts if p.claim is not None])
    torch.testing.assert_close(scores.parts["chance"], torch.from_numpy(truth), atol=1e-5, rtol=0)
    assert scores.valid.all()
    assert (scores.total >= 0).all()
    assert (scores.total <= 1).all()
    assert (truth > 0.3).sum() >= 3  # some are right
    assert (truth < 0.1).sum() > 40  # most are not


def test_the_gradient_is_that_of_the_chance_and_reaches_the_picture(reward: JudgeReward) -> None:
    image = paintings("a blue heart").requires_grad_()
    asked = one("heart", colour="blue")
    scores = reward(image, [asked])
    (slope,) = torch.autograd.grad(scores.total.sum(), image)
    assert slope.isfinite().all()
    step = 1e-3 * slope / slope.norm()
    with torch.no_grad():
        change = reward(image + step, [asked]).total - reward(image - step, [asked]).total
    assert float(change) == pytest.approx(2e-3 * float(slope.norm()), rel=0.05)


def peaks_of(*seen: tuple[float, int, int, float, float]) -> Peaks:
    """One picture with so many sure things: presence, thing, colour, x, y."""
    rows = [*seen, *[(0.0, 0, 2, 0.5, 0.5)] * (8 - len(seen))]
    presence, things, colours, x, y = torch.tensor(rows, dtype=torch.float64).T
    return Peaks(
        presence[None],
        torch.nn.functional.one_hot(things.long(), 3).double()[None],
        torch.nn.functional.one_hot(colours.long(), 3).double()[None],
        torch.stack([x, y], dim=-1)[None],
    )


def verdict(found: Peaks, asked: Prompt) -> Verdict:
    return read(found, ask([asked.claim], THINGS, COLOURS), Calibration(), floor=0.05)


def credit(found: Peaks, asked: Prompt) -> dict[str, float]:
    parts = verdict(found, asked).parts
    return {name: round(float(value), 3) for name, value in parts.items() if not value.isnan()}


RED_APPLE, BLUE_BALL = (1.0, 0, 0, 0.2, 0.5), (1.0, 1, 1, 0.8, 0.5)


@pytest.mark.parametrize(
    "asked",
    [
        one("apple"),
        one("apple", count=1, colour="red"),
        prompt(APPLE, BALL, relation="left of"),
        prompt(Demand(thing="apple", colour="red"), Demand(thing="ball", colour="blue"), relation="left of"),
    ],
)
def test_what_is_fully_right_gets_full_credit_for_all(asked: Prompt) -> None:
    said = verdict(peaks_of(RED_APPLE, BLUE_BALL), asked)
    assert float(said.whole) == pytest.approx(1, abs=1e-3)
    assert float(said.partial) == pytest.approx(1, abs=0.02)  # of a place it is sure but for 2 %


def test_half_right_gets_half_of_the_credit_and_nothing_for_the_whole() -> None:
    apple = peaks_of(RED_APPLE)
    assert credit(apple, prompt(APPLE, BALL)) == {"things": 0.5}
    assert credit(apple, one("apple", colour="blue")) == {"things": 1, "colour": 0}
    assert credit(apple, one("ball", colour="red")) == {"things": 0, "colour": 0}
    exchanged = prompt(Demand(thing="apple", colour="blue"), Demand(thing="ball", colour="blue"))
    assert credit(peaks_of(RED_APPLE, BLUE_BALL), exchanged) == {"things": 1, "colour": 0.5}
    for asked in (prompt(APPLE, BALL), one("apple", colour="blue"), one("ball", colour="red")):
        assert float(verdict(apple, asked).whole) < 1e-6


def test_a_number_counts_by_its_closeness() -> None:
    given = [
        credit(peaks_of(*[(1.0, 0, 0, 0.1 * n, 0.5) for n in range(shown)]), one("apple", count=4))["number"]
        for shown in range(1, 8)
    ]
    assert given == pytest.approx([0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25], abs=1e-3)


def test_a_place_counts_the_more_the_nearer_the_things_stand_to_it() -> None:
    asked = prompt(APPLE, BALL, relation="left of")
    given = [
        credit(peaks_of((1.0, 0, 2, 0.5 - d / 2, 0.5), (1.0, 1, 2, 0.5 + d / 2, 0.5)), asked)["place"]
        for d in (-0.4, -0.1, 0.0, 0.1, 0.4)
    ]
    assert given == sorted(given)
    assert given[0] < 0.02 < given[1] < 0.2 < given[3] < 0.9 < given[4]
    assert "place" not in credit(peaks_of(RED_APPLE, BLUE_BALL), prompt(APPLE, BALL))


def test_one_peak_is_not_two_things() -> None:
    assert float(verdict(peaks_of(RED_APPLE), prompt(APPLE, APPLE)).whole) < 1e-6
    assert float(verdict(peaks_of(RED_APPLE, RED_APPLE), prompt(APPLE, APPLE)).whole) > 0.99


def test_a_higher_floor_asks_for_more_certainty() -> None:
    found = peaks_of(RED_APPLE)
    found = Peaks(found.presence, 0.1 * found.things, found.colours, found.centres)  # 10 % an apple
    asked = ask([one("apple").claim], THINGS, COLOURS)
    given = [float(read(found, asked, Calibration(), floor=f).whole) for f in (0.005, 0.05, 0.3)]
    assert given == pytest.approx([0.957, 0.7, 0.325], abs=1e-3)


def test_what_nobody_can_check_is_invalid(reward: JudgeReward) -> None:
    asked = [
        Prompt(text="something beautiful"),
        one("flying saucer of my aunt"),
        one("apple", colour="mauve"),
        one("apple", count=9),
        prompt(APPLE, BALL, CAR),
        Prompt(text="nothing", claim=Claim(objects=())),
        one("apple"),
    ]
    scores = reward(paintings()[:7], asked)
    assert scores.valid.tolist() == [False] * 6 + [True]


def test_a_broken_picture_is_invalid(reward: JudgeReward) -> None:
    pictures = paintings()[16:18].clone()
    pictures[0, 0, 0, 0] = torch.nan
    assert reward(pictures, [one("apple")] * 2).valid.tolist() == [False, True]


def test_the_share_of_partial_credit_is_a_setting() -> None:
    judge = open_detector("judge-a", "cpu")
    pictures, asked = paintings("a cat and a dog"), [prompt(Demand(thing="cat"), Demand(thing="sun"))]

    def total(share: float) -> Tensor:
        return JudgeReward(judge, JudgeSettings(partial=share))(pictures, asked).total

    assert float(total(0.0)) < 0.1 < float(total(1.0))
    torch.testing.assert_close(total(0.5), (total(0.0) + total(1.0)) / 2)


def test_pictures_of_another_shape_are_refused(reward: JudgeReward) -> None:
    with pytest.raises(SizeError, match=r"\(B, 3, H, W\), H and W multiples of 8; got \(1, 4, 64, 64\)"):
        reward(torch.zeros(1, 4, 64, 64), [one("apple")])


def test_settings_out_of_range_and_folders_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"partial must be in \[0, 1\]; got 2"):
        JudgeSettings(partial=2)
    with pytest.raises(ConfigError, match="floor must be above 0; got 0"):
        JudgeSettings(floor=0)
    with pytest.raises(ModelError, match="holds no judge"):
        open_detector("clip-guide", "cpu")
    with pytest.raises(ModelError, match="a reward needs a detector such as 'judge-a'"):
        open_detector(str(make_judge(tmp_path / "inquirer", "inquirer")), "cpu")
