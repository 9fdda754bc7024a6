"""The alarm of dead codes rings when hardly any code is used, says what to do, and is silent otherwise."""

import pytest
import torch
from torch import Tensor

from pictura.core.errors import TrainingError
from pictura.train.recipe import DvaeSettings
from pictura.train.tasks.code_usage import CodeUsage
from tests.train.kit import ALONE

STEPS = 10
COLLAPSED = torch.tensor([90.0, 6.0, *[0.0] * 98])
HEALTHY = torch.ones(100)


def watching(**settings: float) -> CodeUsage:
    return CodeUsage(DvaeSettings(window_steps=STEPS, **settings), ALONE)


def test_a_collapsed_encoder_ends_the_run() -> None:
    usage = watching()
    for step in range(STEPS - 1):
        usage.look(step, COLLAPSED, 0.9)
    with pytest.raises(TrainingError) as stop:
        usage.look(STEPS - 1, COLLAPSED, 0.9)
    assert str(stop.value) == (
        "Step 9: only 2 of 100 codes were used in the last 10 steps (perplexity 1.3): the others are dead, "
        "and pictures are hardly told apart. Lower training.learning_rate, raise dvae.kl_weight, or let the "
        "temperature fall more slowly (dvae.temperature_share), and run again; dvae.least_used = 0 goes on "
        "anyway."
    )


@pytest.mark.parametrize(
    ("counts", "progress", "settings"),
    [
        (HEALTHY, 0.9, {}),
        (torch.tensor([1.0] * 5 + [0.0] * 95), 0.9, {}),  # just enough
        (COLLAPSED, 0.2, {}),  # the start is not over
        (COLLAPSED, 0.9, {"least_used": 0.0}),  # turned off
    ],
)
def test_otherwise_it_is_silent(counts: Tensor, progress: float, settings: dict[str, float]) -> None:
    usage = watching(**settings)
    for step in range(3 * STEPS):
        usage.look(step, counts, progress)


def test_codes_that_take_turns_are_in_use() -> None:
    usage = watching()
    for step in range(3 * STEPS):
        counts = torch.zeros(100)
        counts[step % STEPS] = 64.0  # one code a step, ten in a window
        seen = usage.look(step, counts, 0.9)
    assert seen == pytest.approx({"codes_used": 0.1, "code_perplexity": 10.0})


def test_the_window_forgets() -> None:
    usage = watching()
    usage.look(0, HEALTHY, 0.0)
    for step in range(1, STEPS):
        assert usage.look(step, COLLAPSED, 0.0)["codes_used"] == 1.0
    assert usage.look(STEPS, COLLAPSED, 0.0)["codes_used"] == pytest.approx(0.02)
