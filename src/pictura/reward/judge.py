"""Judge A as a reward: pictures and what their prompts claim in, how right they are out.

Source  docs/rewards/judge.md. A verdict of all or nothing tells a beginner nothing, so a part of the score is
        credit for what is right by itself; the rest is for all at once, and full credit for both is 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from pictura.core.errors import ConfigError, ModelError, SizeError
from pictura.core.types import Prompt
from pictura.encode.judges.detector import Peaks, peaks
from pictura.encode.judges.judge import DetectorJudge, judge_of
from pictura.reward.types import Scores
from pictura.reward.verdict import MOST, ask, read
from pictura.store.models import resolve

_AT_ONCE = 64
_STRIDE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeSettings:
    """How judge A scores."""

    model: str = "judge-a"
    """Name or folder of a detector."""
    partial: float = 0.5
    """Share of the score that is credit for single parts; 0 is all or nothing."""
    floor: float = 0.05
    """For the other share: a thing with chance p among all counts p / (p + floor), so it must be surer."""

    def __post_init__(self) -> None:
        if not 0 <= self.partial <= 1:
            raise ConfigError(f"judge: partial must be in [0, 1]; got {self.partial}.")
        if self.floor <= 0:
            raise ConfigError(f"judge: floor must be above 0; got {self.floor}.")

    def build(self, device: str) -> "JudgeReward":
        """The reward."""
        return JudgeReward(open_detector(self.model, device), self)


class JudgeReward:
    """How right a picture is by a detector."""

    name = "judge"
    differentiable = True
    value_range = (0.0, 1.0)

    def __init__(self, judge: DetectorJudge, settings: JudgeSettings | None = None) -> None:
        self._judge, self._settings = judge, settings or JudgeSettings()

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, (B, 3, H, W) on light grey with H and W multiples of 8, against their claims.

        Prompts without a claim, and claims that the judge cannot check, are invalid.

        Raises:
            SizeError: pictures of another shape.
        """
        if images.ndim != 4 or images.shape[1] != 3 or any(side % _STRIDE for side in images.shape[2:]):
            raise SizeError(
                f"The judge reads pictures of shape (B, 3, H, W), H and W multiples of {_STRIDE}; "
                f"got {tuple(images.shape)}."
            )
        asked = ask([prompt.claim for prompt in prompts], self._judge.things, self._judge.colours)
        verdict = read(
            self._peaks(images),
            asked.to(images.device),
            self._judge.calibration,
            floor=self._settings.floor,
        )
        share = self._settings.partial
        total = share * verdict.partial + (1 - share) * verdict.whole
        parts = {**verdict.parts, "whole": verdict.whole, "chance": verdict.chance}
        return Scores(total=total.float(), valid=asked.known & total.isfinite(), parts=parts)

    def _peaks(self, images: Tensor) -> Peaks:
        """What the detector sees; the gradient reaches the pictures, not its weights."""
        found = [peaks(self._judge.network(chunk), MOST) for chunk in images.split(_AT_ONCE)]
        joined = (torch.cat([getattr(part, field.name) for part in found]) for field in fields(Peaks))
        return Peaks(*(part.double() for part in joined))


def open_detector(name: str, device: str) -> DetectorJudge:
    """The detector of a model folder.

    Raises:
        ModelNotFoundError: there is no such model.
        ModelError: its folder is damaged, or holds something else.
    """
    judge = judge_of(resolve(name), device=device)
    if not isinstance(judge, DetectorJudge):
        raise ModelError(
            f"{name!r} is a judge that finds no things; a reward needs a detector such as 'judge-a'."
        )
    return judge
