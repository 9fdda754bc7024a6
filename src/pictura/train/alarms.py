"""When adversarial training is lost: numbers of each step in, an end with advice out."""

from collections import deque
from collections.abc import Mapping

from pictura.core.errors import TrainingError
from pictura.train.recipe import AdversarialSettings


class Alarms:
    """Watches two means over the last steps; a stretch of training starts with none."""

    def __init__(self, settings: AdversarialSettings) -> None:
        self._settings = settings
        self._right: deque[float] = deque(maxlen=settings.alarm_steps)
        self._diversity: deque[float] = deque(maxlen=settings.alarm_steps)

    def look(self, step: int, metrics: Mapping[str, float]) -> None:
        """Note the numbers of a step.

        Args:
            step: its number, for the message.
            metrics: `discriminator_right` and `diversity`.

        Raises:
            TrainingError: the discriminators are always right, or painted pictures are all alike.
        """
        s = self._settings
        self._right.append(metrics["discriminator_right"])
        self._diversity.append(metrics["diversity"])
        if len(self._right) < s.alarm_steps:
            return
        right, diversity = sum(self._right) / s.alarm_steps, sum(self._diversity) / s.alarm_steps
        if right > s.saturated:
            raise TrainingError(
                f"Step {step}: the discriminator was right about {right:.1%} of the pictures of the last "
                f"{s.alarm_steps} steps, so the generator learns nothing from it. Lower "
                f"adversarial.discriminator_learning_rate and run again; earlier checkpoints are kept."
            )
        if diversity < s.least_diversity:
            raise TrainingError(
                f"Step {step}: painted pictures differed {diversity:.1%} as much as real ones over the last "
                f"{s.alarm_steps} steps: the generator paints one picture for all. Lower the learning rates "
                f"or raise adversarial.kl_weight and run again; earlier checkpoints are kept."
            )
