"""A guard around any reward: what comes out is one number for each picture, or one clear error.

What is no number makes a picture invalid. What raises, has another shape, or takes too long is a
`RewardError` that says what was expected and what came.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import torch
from torch import Tensor

from pictura.core.errors import PicturaError, RewardError
from pictura.core.types import Prompt
from pictura.reward.types import Reward, Scores


class Checked:
    """A reward whose scores can be relied upon."""

    def __init__(self, reward: Reward, *, timeout_s: float = 0.0) -> None:
        """Guard `reward`; `timeout_s` above 0 lets no call take longer, which goes with no gradient."""
        self._reward, self._timeout_s = reward, timeout_s
        self.name = reward.name
        self.differentiable = reward.differentiable and not timeout_s
        self.value_range = reward.value_range

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, see `Reward`.

        Returns:
            Scores on the pictures' device; total and parts are NaN where `valid` is false.

        Raises:
            RewardError: the reward failed, did not answer in time, or gave no one number for each picture.
        """
        if len(images) != len(prompts):
            raise RewardError(
                f"The reward {self.name!r} needs one prompt for each of {len(images)} pictures; "
                f"got {len(prompts)}."
            )
        said = self._said(images, prompts)
        if not isinstance(said, Scores):
            raise RewardError(f"The reward {self.name!r} must give Scores; it gave {type(said).__name__}.")
        for what, numbers in {"total": said.total, "valid": said.valid, **said.parts}.items():
            self._check(what, numbers, len(images))
        total = said.total.to(images.device, torch.float32)
        valid = said.valid.to(images.device, torch.bool) & total.isfinite()
        parts = {name: part.detach().to(total) for name, part in said.parts.items()}
        return Scores(
            total=torch.where(valid, total, torch.nan),
            valid=valid,
            parts={name: torch.where(valid, part, torch.nan) for name, part in parts.items()},
            std=None if said.std is None else said.std.to(total),
        )

    def _said(self, images: Tensor, prompts: Sequence[Prompt]) -> object:
        try:
            if not self._timeout_s:
                return self._reward(images, prompts)
            return within(self._timeout_s, lambda: self._reward(images.detach(), prompts))
        except PicturaError:
            raise
        except TimeoutError as error:
            raise RewardError(
                f"The reward {self.name!r} gave nothing for {len(images)} pictures in {self._timeout_s:g} "
                "seconds. Mend it, or allow it more with timeout_s."
            ) from error
        except Exception as error:
            raise RewardError(
                f"The reward {self.name!r} failed on {len(images)} pictures: {type(error).__name__}: {error}"
            ) from error

    def _check(self, what: str, numbers: object, count: int) -> None:
        if not isinstance(numbers, Tensor) or numbers.shape != (count,):
            came = f"shape {tuple(numbers.shape)}" if isinstance(numbers, Tensor) else repr(numbers)
            raise RewardError(
                f"The reward {self.name!r} must give one number for each of {count} pictures; "
                f"its {what} has {came}."
            )


def within(seconds: float, function: Callable[[], object]) -> object:
    """What `function` returns or raises, in a thread that is left behind when time is up.

    Raises:
        TimeoutError: it was not done in time.
    """
    answer: Future[object] = Future()

    def work() -> None:
        try:
            answer.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it was called
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True, name="reward").start()
    return answer.result(timeout=seconds)
