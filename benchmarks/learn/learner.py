"""What learns in these benchmarks: Pictura's painting, scoring, comparing and steps, network calls counted.

One update is the one of `pictura.learn.loop`, without its folder, its held-out test and its guards: a run
that goes astray must be seen here, not stopped.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pictura.core.types import Prompt
from pictura.learn.actors import Actors
from pictura.learn.advantage import advantages
from pictura.learn.algorithms import make_algorithm
from pictura.learn.draws import seeds_of
from pictura.learn.policy import Policy
from pictura.learn.rollout import experience
from pictura.learn.sampling import Painting, paint
from pictura.learn.scoring import score
from pictura.learn.step import Stepper
from pictura.learn.weights import Learnable
from pictura.reward.types import Reward
from pictura.train.distributed import Process

ALONE = Process(rank=0, num_processes=1, device=torch.device("cpu"))


class CallCounter:
    """Network calls of one picture each (NFE); one with a gradient counts as three, two for the way back."""

    def __init__(self, network: nn.Module) -> None:
        self.calls = 0
        self._on = True
        network.register_forward_pre_hook(self._count)

    def _count(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        if self._on:
            self.calls += len(inputs[0]) * (3 if torch.is_grad_enabled() else 1)

    @contextmanager
    def off(self) -> Iterator[None]:
        """Do not count: for tests."""
        self._on = False
        yield
        self._on = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Of one learner."""

    algorithm: dict[str, Any]
    learning_rate: float
    num_prompts: int = 8
    group_size: int = 8
    num_steps: int = 8
    steps_per_update: int = 1
    ema_decay: float = 0.9
    shift: float = 3.0


class Learner:
    """A policy that learns, from the outside."""

    def __init__(
        self, policy: Policy, learnable: Learnable, reward: Reward, settings: Settings, *, seed: int
    ) -> None:
        self.settings, self.seed = settings, seed
        self._policy, self._reward = policy, reward
        self._algorithm = make_algorithm(settings.algorithm, reward)
        self.painting = Painting(
            num_steps=settings.num_steps, shift=settings.shift, noise=self._algorithm.noise
        )
        self.actors = Actors(policy, learnable)
        optimizer = torch.optim.AdamW(
            self.actors.values.values(), lr=settings.learning_rate, weight_decay=1e-4
        )
        self._stepper = Stepper(
            actors=self.actors,
            algorithm=self._algorithm,
            optimizer=optimizer,
            max_grad_norm=1.0,
            process=ALONE,
        )
        self.updates = 0

    def update(self, prompts: Sequence[Prompt]) -> float:
        """Paint, score, compare, learn; returns the mean reward of what was painted."""
        settings, group, number = self.settings, self.settings.group_size, self.updates
        rng = np.random.default_rng([self.seed, number])
        rollout = paint(
            self._policy,
            getattr(self.actors, self._algorithm.behaviour),
            prompts,
            [seed for i in range(len(prompts)) for seed in seeds_of(self.seed, number, i, group)],
            self.painting,
            group_size=group,
            stochastic=self._algorithm.stochastic(settings.num_steps, rng),
            version=number,
        )
        earned = score(self._reward, rollout, ALONE)
        advantage = torch.zeros_like(earned.total)
        if self._algorithm.compares:
            advantage = advantages(earned.total, earned.valid, group_size=group).advantage
        size = len(rollout.seeds) // settings.steps_per_update
        for start in range(0, len(rollout.seeds), size):
            batch = experience(
                rollout,
                advantage=advantage,
                reward=earned.total,
                valid=earned.valid,
                rows=slice(start, start + size),
            )
            self._stepper.step([batch], int(batch.valid.sum()), lambda _: True, fresh=start == 0)
        self.actors.follow(
            old_decay=self._algorithm.old_decay(number),
            ema_decay=min(settings.ema_decay, (1 + number) / (10 + number)),
        )
        self.updates += 1
        return float(earned.total[earned.valid].mean())

    def pictures(self, prompts: Sequence[Prompt], *, group_size: int) -> tuple[Tensor, tuple[Prompt, ...]]:
        """What the average of the weights paints of fixed seeds, without noise on the way."""
        seeds = [seed for i in range(len(prompts)) for seed in seeds_of(0, 0, i, group_size)]
        rollout = paint(self._policy, self.actors.ema, prompts, seeds, self.painting, group_size=group_size)
        return rollout.images, rollout.prompts


def choose(prompts: Sequence[Prompt], num: int, *, seed: int, update: int) -> tuple[Prompt, ...]:
    """Different prompts for an update."""
    rows = np.random.default_rng([seed, update, 1]).choice(len(prompts), num, replace=False)
    return tuple(prompts[i] for i in rows)


def cpu_seconds(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and the CPU time that it took, which a busy machine changes little."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start
