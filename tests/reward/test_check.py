"""A reward that breaks ends in one clear error; what is no number is invalid."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pictura.core.errors import ModelError, RewardError
from pictura.core.types import Prompt
from pictura.reward.brightness import Brightness
from pictura.reward.check import Checked
from pictura.reward.function import FunctionReward
from pictura.reward.types import Scores
from tests.reward.kit import one

IMAGES, PROMPTS = torch.linspace(0, 1, 4)[:, None, None, None].expand(4, 3, 8, 8), [Prompt(text="a fox")] * 4


def score_with(function: Callable[[Tensor, Any], Any], *, timeout_s: float = 30.0) -> Scores:
    return Checked(FunctionReward("mine:score", function), timeout_s=timeout_s)(IMAGES, PROMPTS)


def words_of(function: Callable[[Tensor, Any], Any], *, timeout_s: float = 30.0) -> str:
    with pytest.raises(RewardError) as error:
        score_with(function, timeout_s=timeout_s)
    assert (error.value.code, error.value.exit_code, error.value.http_status) == ("bad_reward", 11, 502)
    return str(error.value)


@pytest.mark.parametrize(
    "give", [lambda x: x, lambda x: x.tolist(), lambda x: x.numpy().astype(np.float64), lambda x: list(x)]
)
def test_numbers_may_come_as_a_tensor_an_array_or_a_list(give: Callable[[Tensor], Any]) -> None:
    scores = score_with(lambda images, _: give(images.mean(dim=(1, 2, 3))))
    assert scores.total.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert scores.total.dtype == torch.float32
    assert scores.valid.all()


def test_a_function_is_told_sentences_or_what_can_be_checked_of_them() -> None:
    seen: list[Any] = []

    def of_text(images: Tensor, prompts: list[str]) -> Tensor:
        seen.append(prompts)
        return torch.zeros(len(images))

    def of_prompts(images: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        seen.append(prompts)
        return torch.zeros(len(images))

    asked = [one("apple", count=2)] * 4
    for function in (of_text, of_prompts):
        Checked(FunctionReward("mine", function), timeout_s=30)(IMAGES, asked)
    assert seen == [["words"] * 4, asked]


def test_what_is_no_number_is_invalid_and_never_zero() -> None:
    scores = score_with(lambda *_: [0.5, math.nan, math.inf, 1.0])
    assert scores.valid.tolist() == [True, False, False, True]
    assert scores.total.isnan().tolist() == [False, True, True, False]


def test_another_number_of_numbers_is_refused() -> None:
    assert words_of(lambda *_: [1.0] * 3) == (
        "The reward 'mine:score' must give one number for each of 4 pictures; its total has shape (3,)."
    )
    assert "its total has shape (4, 1)" in words_of(lambda *_: torch.zeros(4, 1))
    assert "its total has shape ()" in words_of(lambda *_: 1.0)


def test_something_else_than_numbers_is_refused() -> None:
    assert words_of(lambda *_: ["good"] * 4) == (
        "The reward 'mine:score' must give one number for each of 4 pictures; "
        "it gave list: ['good', 'good', 'good', 'good']."
    )
    assert "it gave NoneType: None." in words_of(lambda *_: None)
    assert "it gave dict: {'scores': " in words_of(lambda *_: {"scores": [1] * 4})


def test_a_function_that_raises_is_quoted() -> None:
    def broken(images: Tensor, prompts: list[str]) -> None:
        raise ZeroDivisionError("division by zero")

    assert words_of(broken) == (
        "The reward 'mine:score' failed on 4 pictures: ZeroDivisionError: division by zero"
    )


def test_an_error_of_ours_passes_as_it_is() -> None:
    def broken(images: Tensor, prompts: list[str]) -> None:
        raise ModelError("No such judge.")

    with pytest.raises(ModelError, match="No such judge"):
        score_with(broken)


def test_a_function_that_hangs_is_left_behind() -> None:
    stop = threading.Event()
    start = time.monotonic()
    words = words_of(lambda *_: stop.wait(20), timeout_s=0.2)
    stop.set()
    assert words == (
        "The reward 'mine:score' gave nothing for 4 pictures in 0.2 seconds. "
        "Mend it, or allow it more with timeout_s."
    )
    assert time.monotonic() - start < 5


def test_prompts_must_be_as_many_as_pictures() -> None:
    with pytest.raises(RewardError, match="needs one prompt for each of 4 pictures; got 3"):
        Checked(Brightness())(IMAGES, PROMPTS[:3])


class Wrong(Brightness):
    """A reward class that gives what it is told to."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        return self.given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (torch.zeros(4), "must give Scores; it gave Tensor"),
        (Scores(total=torch.zeros(4), valid=torch.ones(3) > 0), "its valid has shape (3,)"),
        (
            Scores(total=torch.zeros(4), valid=torch.ones(4) > 0, parts={"x": torch.zeros(2)}),
            "its x has shape (2,)",
        ),
        (Scores(total=[0] * 4, valid=torch.ones(4) > 0), "its total has [0, 0, 0, 0]"),  # type: ignore[arg-type]
    ],
)
def test_a_class_that_breaks_the_protocol_is_refused(given: Any, words: str) -> None:
    with pytest.raises(RewardError) as error:
        Checked(Wrong(given))(IMAGES, PROMPTS)
    assert words in str(error.value)


def test_a_guarded_reward_keeps_its_gradient() -> None:
    images = IMAGES.clone().requires_grad_()
    scores = Checked(Brightness())(images, PROMPTS)
    scores.total[scores.valid].sum().backward()
    assert images.grad is not None
    torch.testing.assert_close(images.grad, torch.full_like(images, 1 / 192))
