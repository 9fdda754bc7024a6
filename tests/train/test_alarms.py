"""Alarms ring when adversarial training is lost, say what to do, and are silent otherwise."""

from typing import Any

import pytest

from pictura.core.errors import TrainingError
from pictura.train.gans.alarms import Alarms
from pictura.train.recipe import AdversarialSettings
from tests.train.kit import ALONE

STEPS = 10


def alarms(**settings: float) -> Alarms:
    return Alarms(AdversarialSettings(alarm_steps=STEPS, **settings), ALONE)


def seen(
    right: float = 0.8,
    diversity: float = 0.7,
    fine: float = 2.0,
    own: tuple[float, float] = (0.5, 0.4),
) -> dict[str, float]:
    return {
        "discriminator_right": right,
        "diversity": diversity,
        "generator_32": 1.0,
        "generator_64": fine,
        "discriminator_32": own[0],
        "discriminator_64": own[1],
        "discriminator_penalty_64": 99.0,
        "match": 99.0,
    }


LOST = (0.03, 0.01)


def test_discriminators_without_a_loss_while_the_generator_loses_ground_end_the_run() -> None:
    watching = alarms()
    for step in range(STEPS - 1):
        watching.look(step, seen(right=0.998, fine=2.0 + 0.2 * step, own=LOST))
    with pytest.raises(TrainingError) as stop:
        watching.look(STEPS - 1, seen(right=0.998, fine=3.8, own=LOST))
    assert str(stop.value) == (
        "Step 9: every discriminator was right about at least 99.8% of the pictures of the last 10 steps and "
        "has nothing left to learn (loss 0.03), while the generator's loss rose from 3.4 to 4.4. "
        "Lower adversarial.discriminator_learning_rate and run again; earlier checkpoints are kept."
    )


@pytest.mark.parametrize(
    "healthy",
    [
        {"right": 0.99},  # below the limit
        {"own": (0.03, 0.2)},  # one of them still learns
        {"fine": 3.0},  # the generator holds its ground
    ],
)
def test_one_good_sign_is_enough(healthy: dict[str, Any]) -> None:
    watching = alarms()
    for step in range(50):
        watching.look(step, seen(**{"right": 1.0, "fine": 2.0 + 0.2 * step, "own": LOST, **healthy}))


def test_a_hinge_that_is_content_rings_nothing() -> None:
    watching = alarms()
    for step in range(50):  # margins are kept: no loss at all, and the generator hovers about 1
        watching.look(step, seen(right=1.0, fine=1.0 + 0.05 * (step % 7), own=(0.0, 0.0)))


def test_pictures_that_are_all_alike_end_the_run() -> None:
    watching = alarms()
    for step in range(STEPS - 1):
        watching.look(step, seen(diversity=0.03))
    with pytest.raises(TrainingError) as stop:
        watching.look(STEPS - 1, seen(diversity=0.03))
    assert str(stop.value) == (
        "Step 9: painted pictures differed 3.0% as much as real ones over the last 10 steps: the generator "
        "paints one picture for all. Lower both learning rates and run again; earlier checkpoints are kept."
    )


def test_healthy_numbers_ring_nothing() -> None:
    watching = alarms()
    for step in range(100):
        watching.look(step, seen(right=0.9 + 0.05 * (step % 2), diversity=0.4 + 0.3 * (step % 3)))


def test_a_bad_moment_is_no_end() -> None:
    watching = alarms()
    for step in range(100):
        bad = step % STEPS < STEPS // 2
        watching.look(
            step, seen(right=1.0 if bad else 0.9, diversity=0.0 if bad else 0.6, fine=step, own=LOST)
        )


def test_each_alarm_can_be_turned_off() -> None:
    watching = alarms(saturated=1.0, least_diversity=0.0)
    for step in range(50):
        watching.look(step, seen(right=1.0, diversity=0.0, fine=step, own=LOST))


def test_a_window_of_one_step_works() -> None:
    one = Alarms(AdversarialSettings(alarm_steps=1), ALONE)
    one.look(0, seen())
    with pytest.raises(TrainingError, match=r"differed 0\.0% as much"):
        one.look(1, seen(diversity=0.0))
