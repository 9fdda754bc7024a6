"""Tests along the way: the policy's average paints prompts that it never learns from, and others score them.

What scores here is fixed, not taken from the recipe: likeness by `clip-guide`, and the share of pictures that
`judge-a` passes. Where the recipe learns from one of them as it is here, that one does not count.

Letters N prompts, G pictures of each, K numbers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.types import Prompt
from pictura.encode.clip.load import ClipModel
from pictura.learn.draws import seeds_of
from pictura.learn.measures import distances, looks
from pictura.learn.policy import Policy
from pictura.learn.prompts import HELD_OUT_SEED, HeldOutPrompts
from pictura.learn.sampling import AnyPainting, paint
from pictura.reward.judge import open_detector
from pictura.store.models import resolve
from pictura.train.distributed import Process, summed

CLIP, JUDGE = "clip-guide", "judge-a"
SIZE = 64
"""Side in pixels that both see."""


class HeldOutScores:
    """Scores that are never learnt from, and eyes for diversity."""

    def __init__(self, rewards: Sequence[Mapping[str, Any]], prompts: HeldOutPrompts, device: str) -> None:
        """Open the networks.

        Args:
            rewards: the tables of what is learnt from.
            prompts: to be tested on.
            device: where they compute.

        Raises:
            ConfigError: all scores are learnt from.
        """
        self._clip = ClipModel.load(resolve(CLIP).path, device)
        claims = all(prompt.claim is not None for prompt in prompts.prompts)
        self._judge = open_detector(JUDGE, device) if claims else None
        learnt = {_trained(table) for table in rewards}
        wanted = ("clip", "strict") if claims else ("clip",)
        self.names = tuple(name for name in wanted if name not in learnt)
        self.note = " ".join(
            f"The held-out score {name!r} does not count: the recipe learns from it."
            for name in wanted
            if name in learnt
        )
        if not self.names:
            raise ConfigError(
                f"The recipe learns from all that it could be tested by ({', '.join(wanted)}). Leave one of "
                "them out of [[rewards]], or judge pictures by parts (partial above 0)."
            )

    def rows(self, images: Tensor, prompts: Sequence[Prompt], group_size: int) -> dict[str, Tensor]:
        """What is seen of N * G pictures, by name a mean for each of the N prompts."""
        seen = (
            F.interpolate(images, size=(SIZE, SIZE), mode="area")
            if images.shape[2:] != (SIZE, SIZE)
            else images
        )
        pixels = np.ascontiguousarray(seen.float().cpu().numpy())
        eyes = torch.from_numpy(self._clip.embed_images(pixels))
        said = torch.from_numpy(self._clip.embed_text([prompt.text for prompt in prompts]))
        rows = {"clip": (eyes * said).sum(dim=1)}
        if self._judge is not None:
            claims = [prompt.claim for prompt in prompts if prompt.claim is not None]
            limits = [self._judge.calibration.thresholds.get(prompt.kind, 0.5) for prompt in prompts]
            rows["strict"] = torch.from_numpy(self._judge.verify(pixels, claims) >= np.array(limits)).float()
        means = {name: row.unflatten(0, (-1, group_size)).mean(dim=1) for name, row in rows.items()}
        return {**means, "diversity": distances(eyes, group_size)}


def _trained(table: Mapping[str, Any]) -> str:
    """The held-out score that a reward's table would train on; empty if none."""
    if table.get("weight", 1) == 0:  # it only looks on
        return ""
    if table.get("name") == "clip" and table.get("model", CLIP) == CLIP:
        return "clip"
    if table.get("name") == "judge" and table.get("model", JUDGE) == JUDGE and table.get("partial", 0.5) == 0:
        return "strict"
    return ""


class HeldOut:
    """The test of a run: always the same prompts and seeds."""

    def __init__(
        self,
        prompts: HeldOutPrompts,
        scores: HeldOutScores,
        painting: AnyPainting,
        *,
        num_seeds: int,
        process: Process,
    ) -> None:
        self.prompts, self.scores = prompts, scores
        self._painting, self._process, self._num_seeds = painting, process, num_seeds
        self.state: dict[str, dict[str, list[float]]] = {"base": {}, "best": {}}
        """N numbers of each kind at the start, and of each score at its best, as JSON can hold them."""

    def look(self, policy: Policy, hand: Callable[..., Tensor]) -> dict[str, float]:
        """Paint and score; the first look is that of the start.

        Args:
            policy: the networks.
            hand: whose hand paints.

        Returns:
            Means under names that open with ``held_out/``, and for the guards: `drop`, the largest fall of a
            score below its best, in standard errors over prompts; `diversity_share` of the start's; `total`,
            the mean rise of the scores above the start, in its standard deviations over prompts.
        """
        rows = self._rows(policy, hand)
        base, best = self.state["base"], self.state["best"]
        if not base:
            base |= rows
            best |= {name: rows[name] for name in self.scores.names}
        drops = [_drop(best[name], rows[name]) for name in self.scores.names]
        rises = [(_mean(rows[n]) - _mean(base[n])) / (_std(base[n]) or 1.0) for n in self.scores.names]
        best |= {n: rows[n] for n in self.scores.names if _mean(rows[n]) > _mean(best[n])}
        return {
            **{f"held_out/{name}": _mean(row) for name, row in rows.items()},
            **{
                f"held_out/{name}_se": _std(rows[name]) / len(rows[name]) ** 0.5 for name in self.scores.names
            },
            "held_out/drop": max(drops),
            "held_out/diversity_share": _mean(rows["diversity"]) / max(_mean(base["diversity"]), 1e-12),
            "held_out/total": sum(rises) / len(rises),
        }

    def _rows(self, policy: Policy, hand: Callable[..., Tensor]) -> dict[str, list[float]]:
        """Every number of every prompt, N each; the processes share the painting."""
        asked, group = self.prompts.prompts, self._num_seeds
        mine = list(range(self._process.rank, len(asked), self._process.num_processes))
        shown = mine or [0]
        seeds = [seed for i in shown for seed in seeds_of(HELD_OUT_SEED, 0, i, group)]
        rollout = paint(policy, hand, [asked[i] for i in shown], seeds, self._painting, group_size=group)
        about = looks(rollout.x_0, rollout.images)
        seen = self.scores.rows(rollout.images, rollout.prompts, group)
        seen |= {name: row.unflatten(0, (-1, group)).mean(dim=1).cpu() for name, row in about.items()}
        table = torch.zeros(len(asked), len(seen), dtype=torch.float64)
        if mine:
            table[mine] = torch.stack(list(seen.values()), dim=1).double()
        table = summed(table, self._process)
        return {name: table[:, column].tolist() for column, name in enumerate(seen)}


def _drop(best: Sequence[float], now: Sequence[float]) -> float:
    """How far `now` is below `best`, prompt by prompt, in standard errors; 0 where it is not."""
    fall = [b - n for b, n in zip(best, now, strict=True)]
    if _mean(fall) <= 0:
        return 0.0
    error = _std(fall) / len(fall) ** 0.5
    return _mean(fall) / error if error else math.inf


def _mean(row: Sequence[float]) -> float:
    return math.fsum(row) / len(row)


def _std(row: Sequence[float]) -> float:
    """Of a sample; 0 of a single number."""
    middle = _mean(row)
    return math.sqrt(math.fsum((x - middle) ** 2 for x in row) / max(1, len(row) - 1))
