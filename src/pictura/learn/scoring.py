"""What the pictures of an update earned, over all processes: a rollout in, numbers of every picture out.

Letters B pictures of this process, N of all processes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pictura.learn.measures import looks, spread
from pictura.learn.rollout import Rollout
from pictura.reward.types import Reward
from pictura.train.distributed import Process, gathered


@dataclass(frozen=True, kw_only=True, slots=True)
class Earned:
    """Numbers of all N pictures, those of one process below those of the one before; on the CPU."""

    total: Tensor
    """(N,) float32."""
    valid: Tensor
    """(N,) bool."""
    parts: Mapping[str, Tensor]
    """What the totals are made of, (N,) each; NaN where a part says nothing."""
    looks: Mapping[str, Tensor]
    """See `measures.looks`, (N,) each, and `spread` of the group."""
    mine: slice
    """The B rows of this process."""


@torch.no_grad()
def score(reward: Reward, rollout: Rollout, process: Process) -> Earned:
    """Let the reward judge the pictures of this process, and learn what the others earned.

    Raises:
        RewardError: the reward failed, or did not score each picture once.
    """
    scores = reward(rollout.images, rollout.prompts)
    size = len(rollout.seeds)
    about = looks(rollout.x_0, rollout.images)
    about["spread"] = spread(rollout.images, rollout.group_size).repeat_interleave(rollout.group_size)
    rows = [scores.total, scores.valid, *scores.parts.values(), *about.values()]
    table = gathered(torch.stack([row.detach().float().cpu() for row in rows], dim=1), process)
    total, valid, *others = table.unbind(dim=1)
    parts = dict(zip(scores.parts, others[: len(scores.parts)], strict=True))
    return Earned(
        total=total,
        valid=valid.bool() & total.isfinite(),
        parts=parts,
        looks=dict(zip(about, others[len(parts) :], strict=True)),
        mine=slice(process.rank * size, (process.rank + 1) * size),
    )


def metrics_of(earned: Earned, kinds: Sequence[str]) -> dict[str, float]:
    """For the log: how rewards are spread, by part and by kind of prompt, and how the pictures look.

    Args:
        earned: of N pictures.
        kinds: N kinds of prompts, empty where they have none.
    """
    good = earned.total[earned.valid]
    metrics = {
        "reward": float(good.mean()),
        "reward_std": float(good.std(correction=0)) if len(good) else math.nan,
        "reward_max": float(good.max()) if len(good) else math.nan,
        "invalid": 1 - len(good) / len(earned.total),
    }
    for name, row in {**earned.parts, **earned.looks}.items():
        metrics[f"reward/{name}" if name in earned.parts else name] = float(row.nanmean())
    for kind in sorted(set(kinds) - {""}):
        rows = torch.tensor([k == kind for k in kinds]) & earned.valid
        metrics[f"reward/kind/{kind}"] = float(earned.total[rows].mean())
    return metrics
