"""How many codes of a discrete VAE are in use, and when too few are: counts of each step in, an end with
advice out.

A code that no picture uses is dead: it gets no gradient but through the noise, and a painter that learns
these codes has so much less to say. One code in use says nothing of any picture.
"""

from collections import deque

import torch
from torch import Tensor

from pictura.core.errors import TrainingError
from pictura.encode.dvae.losses import usage
from pictura.train.distributed import Process, summed
from pictura.train.recipe import DvaeSettings


class CodeUsage:
    """Watches the codes of the last steps; a stretch of training starts with none."""

    def __init__(self, settings: DvaeSettings, process: Process) -> None:
        """Keep the limits.

        Args:
            settings: `least_used`, `alarm_share`, `window_steps`.
            process: all of them see the same counts, so that all stop or none.
        """
        self._settings, self._process = settings, process
        self._seen: deque[Tensor] = deque(maxlen=settings.window_steps)
        self._sum: Tensor | None = None

    def look(self, step: int, counts: Tensor, progress: float) -> dict[str, float]:
        """Note the likeliest codes of a step's pictures.

        Args:
            step: its number, for the message.
            counts: (V,) how often each code was the likeliest.
            progress: share of the run that is done, in [0, 1].

        Returns:
            `codes_used` and `code_perplexity` of the last `window_steps` steps.

        Raises:
            TrainingError: a full window used less than `least_used` of all codes, and the start is over.
        """
        s = self._settings
        counts = summed(counts.double().cpu(), self._process)
        oldest = self._seen[0] if len(self._seen) == s.window_steps else torch.zeros_like(counts)
        self._seen.append(counts)
        self._sum = counts if self._sum is None else self._sum + counts - oldest
        used, perplexity = usage(self._sum)
        if len(self._seen) == s.window_steps and progress >= s.alarm_share and used < s.least_used:
            number = int((self._sum > 0).sum())
            raise TrainingError(
                f"Step {step}: only {number} of {len(counts)} codes were used in the last {s.window_steps} "
                f"steps (perplexity {perplexity:.1f}): the others are dead, and pictures are hardly told "
                f"apart. Lower training.learning_rate, raise dvae.kl_weight, or let the temperature fall "
                "more slowly (dvae.temperature_share), and run again; dvae.least_used = 0 goes on anyway."
            )
        return {"codes_used": used, "code_perplexity": perplexity}
