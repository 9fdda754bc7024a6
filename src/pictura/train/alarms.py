"""When adversarial training is lost: numbers of each step in, an end with advice out.

Discriminators that are right about everything are no fault by themselves: in a run of three sides the finest
one nearly always is, and the generator learns on. The run is lost when even the weakest is right and the
generator loses ground against it.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import torch

from pictura.core.errors import TrainingError
from pictura.train.distributed import Process, summed
from pictura.train.recipe import AdversarialSettings


class _Seen(NamedTuple):
    """Of one step, the mean over all processes."""

    right: float
    diversity: float
    generator: float


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
            metrics: `discriminator_right`, `diversity` and the generator's losses, ``generator_...``.

        Raises:
            TrainingError: the discriminators are always right and the generator loses ground, or painted
                pictures are all alike.
        """
        s = self._settings
        generator = sum(value for name, value in metrics.items() if name.startswith("generator_"))
        mine = torch.tensor(
            [metrics["discriminator_right"], metrics["diversity"], generator], dtype=torch.float64
        )
        self._seen.append(_Seen(*(summed(mine, self._process) / self._process.num_processes).tolist()))
        if len(self._seen) < s.alarm_steps:
            return
        seen = list(self._seen)
        right, diversity = _mean(seen, "right"), _mean(seen, "diversity")
        half = len(seen) // 2
        before, after = _mean(seen[:half] or seen, "generator"), _mean(seen[half:], "generator")
        if right > s.saturated and after >= before:
            raise TrainingError(
                f"Step {step}: every discriminator was right about at least {right:.1%} of the pictures of "
                f"the last {s.alarm_steps} steps, while the generator's loss went from {before:.3g} to "
                f"{after:.3g}: it learns nothing from them. Lower adversarial.discriminator_learning_rate "
                f"and run again; earlier checkpoints are kept."
            )
        if diversity < s.least_diversity:
            raise TrainingError(
                f"Step {step}: painted pictures differed {diversity:.1%} as much as real ones over the last "
                f"{s.alarm_steps} steps: the generator paints one picture for all. Lower both learning rates "
                f"and run again; earlier checkpoints are kept."
            )


def _mean(seen: list[_Seen], name: str) -> float:
    return sum(getattr(each, name) for each in seen) / len(seen)
