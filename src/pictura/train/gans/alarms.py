"""When adversarial training is lost: numbers of each step in, an end with advice out.

Discriminators that are right about everything are no fault by themselves. Of 8 pictures learnt by heart they
knew all for 600 of 800 steps while the generator's loss rose by half, and yet it went on learning (measured):
as long as a discriminator has a loss to speak of, what it teaches changes. The run is lost when even the
weakest has none.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import torch

from pictura.core.errors import TrainingError
from pictura.train.distributed import Process, summed
from pictura.train.recipe import AdversarialSettings

NOTHING = 0.05
"""Loss below which a discriminator has nothing left to learn."""
RISE = 1.1
"""By so much the generator's loss must rise within the steps that are watched."""


class _Seen(NamedTuple):
    """Of one step, the mean over all processes."""

    right: float
    diversity: float
    generator: float
    discriminator: float


class Alarms:
    """Watches means over the last steps; a stretch of training starts with none."""

    def __init__(self, settings: AdversarialSettings, process: Process) -> None:
        """Keep the limits.

        Args:
            settings: `saturated`, `least_diversity`, `alarm_steps`.
            process: all of them see the same numbers, so that all stop or none.
        """
        self._settings, self._process = settings, process
        self._seen: deque[_Seen] = deque(maxlen=settings.alarm_steps)

    def look(self, step: int, metrics: Mapping[str, float]) -> None:
        """Note the numbers of a step.

        Args:
            step: its number, for the message.
            metrics: `discriminator_right`, `diversity`, and the losses of both sides by the side of the
                pictures, ``generator_64``, ``discriminator_64``.

        Raises:
            TrainingError: the discriminators are always right, have nothing left to learn, and the generator
                loses ground; or painted pictures are all alike.
        """
        s = self._settings
        numbers = [metrics["discriminator_right"], metrics["diversity"]]
        numbers += [sum(_sides(metrics, "generator_")), max(_sides(metrics, "discriminator_"))]
        mine = torch.tensor(numbers, dtype=torch.float64)
        self._seen.append(_Seen(*(summed(mine, self._process) / self._process.num_processes).tolist()))
        if len(self._seen) < s.alarm_steps:
            return
        seen = list(self._seen)
        right, diversity = _mean(seen, "right"), _mean(seen, "diversity")
        half = len(seen) // 2
        before, after = _mean(seen[:half] or seen, "generator"), _mean(seen[half:], "generator")
        left = _mean(seen, "discriminator")
        if right > s.saturated and left < NOTHING and after > RISE * before:
            raise TrainingError(
                f"Step {step}: every discriminator was right about at least {right:.1%} of the pictures of "
                f"the last {s.alarm_steps} steps and has nothing left to learn (loss {left:.2g}), while the "
                f"generator's loss rose from {before:.3g} to {after:.3g}. Lower "
                f"adversarial.discriminator_learning_rate and run again; earlier checkpoints are kept."
            )
        if diversity < s.least_diversity:
            raise TrainingError(
                f"Step {step}: painted pictures differed {diversity:.1%} as much as real ones over the last "
                f"{s.alarm_steps} steps: the generator paints one picture for all. Lower both learning rates "
                f"and run again; earlier checkpoints are kept."
            )


def _sides(metrics: Mapping[str, float], start: str) -> list[float]:
    """The losses of one kind of network, of all sides."""
    return [v for name, v in metrics.items() if name.startswith(start) and name.removeprefix(start).isdigit()]


def _mean(seen: list[_Seen], name: str) -> float:
    return sum(getattr(each, name) for each in seen) / len(seen)
