"""Learning from rewards, whatever the family, the reward and the algorithm: read this top to bottom.

    once in a while   test on held-out prompts, paint a sample grid, save
    every update      1 ask      prompts, of which each process takes whole groups    prompts.py
                      2 paint    a rollout by the slow copy, or whoever behaves       sampling.py
                      3 score    rewards                                              pictura.reward
                      4 compare  advantages within the groups                         advantage.py
                      5 learn    losses of some groups at a time, one step or more    algorithms/
                      6 follow   the slow copy and the average

Every random draw comes from (seed, update, number of the prompt), so a run that is stopped and resumed is
the same run, bit for bit on a CPU, and several processes learn what one does. Guards (`guards.py`) see the
numbers before they matter and may skip a step, slow the run or stop it.

Letters B pictures of this process and update, N of all processes.
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pictura.core.errors import ConfigError, PicturaError
from pictura.core.tables import to_table
from pictura.core.types import Prompt
from pictura.learn.actors import Actors
from pictura.learn.advantage import advantages, mixture
from pictura.learn.algorithms import check_pair, make_algorithm
from pictura.learn.checkpoint import check_same_run, make_learnable, read_start, take
from pictura.learn.draws import seeds_of
from pictura.learn.guards import Guards, Seen
from pictura.learn.held_out import HeldOut, HeldOutScores
from pictura.learn.logs import Logs
from pictura.learn.measures import Means, peak_memory_gb
from pictura.learn.policy import load_policy
from pictura.learn.prompts import split_prompts
from pictura.learn.recipe import LearnRecipe, check_groups
from pictura.learn.rollout import Rollout, experience
from pictura.learn.sampling import make_painting, paint
from pictura.learn.scoring import Earned, metrics_of, score
from pictura.learn.step import Stepper
from pictura.reward.registry import make_reward
from pictura.store.models import resolve
from pictura.train import checkpoint as checkpoints
from pictura.train.distributed import Process, StopSignals, largest
from pictura.train.preview import tile

SAMPLE_PROMPTS, SAMPLE_SEEDS = 16, 4


@dataclass(frozen=True, slots=True)
class End:
    """Why a stretch of learning ended."""

    kind: Literal["updates", "minutes", "interrupt", "guard"]
    reason: str = ""
    """What the guard said."""


class Run:
    """One run: who learns what from whom, its place in time, and its folder."""

    def __init__(self, recipe: LearnRecipe, root: Path, folder: Path, process: Process) -> None:
        """Open everything, and go on from the newest checkpoint if there is one.

        Args:
            recipe: what to do.
            root: folder that the recipe's relative paths start from.
            folder: where the run is kept.
            process: this process among its fellows.
        """
        self.recipe, self.folder, self.process = recipe, folder, process
        self.reward = make_reward(recipe.rewards, device=str(process.device))
        self.algorithm = make_algorithm(recipe.algorithm, self.reward)
        self.micro = check_groups(recipe, process.num_processes, compares=self.algorithm.compares)
        base = root / recipe.model.base
        self.model = resolve(base if base.exists() else recipe.model.base)
        self.policy = load_policy(self.model, process.device)
        check_pair(self.algorithm, self.policy, self.model)
        if recipe.training.bf16 and self.algorithm.needs == "tokens":
            raise ConfigError(
                f"training.bf16 rounds the ratios that {self.algorithm.name} learns from. Leave it out."
            )
        self.painting = make_painting(recipe.rollout, self.algorithm, self.policy)
        self.tested = make_painting(
            recipe.rollout,
            self.algorithm,
            self.policy,
            guidance=self.algorithm.behaviour != "reference",  # it guides what is learnt to do without
        )
        self.prompts, kept = split_prompts(
            recipe.prompts, root, seed=recipe.seed, num_held_out=recipe.held_out.prompts
        )
        scores = HeldOutScores(recipe.rewards, kept, str(process.device))
        num_seeds = recipe.held_out.seeds
        self.held_out = HeldOut(kept, scores, self.tested, num_seeds=num_seeds, process=process)
        self.guards = Guards(recipe.guards)

        self.step, self.seconds, self.slowed, self.best = 0, 0.0, 1.0, -math.inf
        self.end: End | None = None
        self.actors, self.optimizer = self._open(root)
        self._stepper = Stepper(
            actors=self.actors,
            algorithm=self.algorithm,
            optimizer=self.optimizer,
            max_grad_norm=recipe.training.max_grad_norm,
            process=process,
        )

    def _open(self, root: Path) -> tuple[Actors, torch.optim.Optimizer]:
        """The actors and the optimiser, as they were when the run was last saved."""
        recipe, device = self.recipe, str(self.process.device)
        learnable = make_learnable(recipe, self.policy.learnable)
        latest = checkpoints.find_latest(self.folder / "checkpoints")
        saved = None if latest is None else checkpoints.load(latest, device=device)
        if saved is not None and latest is not None:
            check_same_run(saved, latest, self._config())
            take(learnable.values, saved.weights["values"], latest)
        elif recipe.model.start:
            start = root / recipe.model.start
            take(learnable.values, read_start(start, self.model.hash, device), start)
        actors = Actors(
            self.policy,
            learnable,
            reference=None if saved is None else saved.weights["reference"],
            bf16=recipe.training.bf16,
        )
        optimizer = torch.optim.AdamW(actors.values.values(), weight_decay=recipe.training.weight_decay)
        if saved is not None:
            actors.old_values.update(saved.weights["old"])
            actors.ema_values.update(saved.weights["ema"])
            checkpoints.load_optimizers([optimizer], saved.optimizer)
            self.step, self.seconds = saved.step, saved.seconds
            self.slowed = saved.config["slowed"]
            self.guards.load(saved.config["guards"])
            self.held_out.state = saved.config["held_out"]
            best = checkpoints.find_best(self.folder)
            if best is not None:
                self.best = checkpoints.read_state(best)["validation"]
        return actors, optimizer

    def learn(self, *, max_minutes: float = 0.0) -> End:
        """Learn until the recipe's updates or the minutes are over, a guard stops it, or Ctrl-C.

        Returns:
            Why it ended. The newest checkpoint holds the end.

        Raises:
            PicturaError: the reward failed; what was learnt before is saved.
        """
        minutes = max_minutes or self.recipe.training.max_minutes
        started, before = time.monotonic(), self.seconds
        quiet = not self.process.leads
        with StopSignals() as signals, Logs(self.folder, self.recipe, self.step, quiet=quiet) as logs:
            if self.step == 0:
                self._test(logs)
                self._sample(logs)
            while self.end is None and self.step < self.recipe.training.num_updates:
                spent = (time.monotonic() - started) / (60 * minutes) if minutes else 0.0
                # Clocks differ, and Ctrl-C may reach one process alone.
                spent, asked = largest((spent, float(signals.asked)), self.process)
                if asked:
                    self.save()
                    return End("interrupt")
                if spent >= 1:
                    return self._finish(End("minutes"), logs)
                try:
                    metrics = self._update(logs)
                except PicturaError:
                    self.save()  # of the last whole update
                    raise
                self.seconds = before + time.monotonic() - started
                logs.update(self.step, {**metrics, "seconds": self.seconds}, spent)
                self._once_in_a_while(logs)
            return self._finish(self.end or End("updates"), logs)

    def _once_in_a_while(self, logs: Logs) -> None:
        log = self.recipe.log
        if self.step % self.recipe.held_out.every == 0:
            self._test(logs)
        if log.sample_every and self.step % log.sample_every == 0:
            self._sample(logs)
        if log.checkpoint_every and self.step % log.checkpoint_every == 0:
            self.save()

    def _finish(self, end: End, logs: Logs) -> End:
        self.save()  # before what takes long and can be made again
        if self.step % self.recipe.held_out.every:
            self._test(logs)
        self._sample(logs)
        return end

    def _update(self, logs: Logs) -> dict[str, float]:
        """One update. The whole of it is here, in order."""
        recipe, step, times = self.recipe, self.step, [time.monotonic()]
        group = recipe.prompts.group_size

        # 1. What is asked for, and what of it is ours.
        asked = self.prompts.batch(step, recipe.prompts.per_update)
        order = share(len(asked), recipe.training.steps_per_update, self.process.num_processes)
        mine = order[self.process.rank]

        # 2. Paint.
        rollout = paint(
            self.policy,
            getattr(self.actors, self.algorithm.behaviour),
            [asked[i] for i in mine],
            [seed for i in mine for seed in seeds_of(recipe.seed, step, i, group)],
            self.painting,
            group_size=group,
            stochastic=self._stochastic(step),
            version=step,
        )
        times.append(time.monotonic())

        # 3. Score. From here on every process knows what all pictures earned.
        earned = score(self.reward, rollout, self.process)
        metrics = metrics_of(earned, [asked[i].kind for row in order for i in row for _ in range(group)])
        times.append(time.monotonic())

        # 4. Compare the pictures of each group.
        advantage = torch.zeros_like(earned.total)
        if self.algorithm.compares:
            compared = advantages(
                self._compared(earned), earned.valid, group_size=group, settings=recipe.advantage
            )
            advantage, metrics = compared.advantage, {**metrics, **compared.metrics}
        allowed = self._allowed({k: metrics[k] for k in ("invalid", "zero_std") if k in metrics}, logs)

        # 5. Learn, 6. and let the copies follow.
        if allowed:
            metrics = self._learn(rollout, earned, advantage, logs) | metrics
            ema = min(recipe.training.ema_decay, (1 + step) / (10 + step))  # a young average moves faster
            self.actors.follow(old_decay=self.algorithm.old_decay(step), ema_decay=ema)
        self.step += 1
        self._allowed({k: metrics[k] for k in ("kl", "entropy") if k in metrics}, logs)
        return metrics | self._costs([*times, time.monotonic()])

    def _compared(self, earned: Earned) -> Tensor:
        """What the pictures of a group are compared by."""
        weights = getattr(self.reward, "weights", None)
        if weights is None or self.recipe.several == "sum":
            return earned.total
        group = self.recipe.prompts.group_size
        return mixture(earned.parts, weights, earned.valid, group_size=group)

    def _stochastic(self, step: int) -> frozenset[int]:
        rng = np.random.default_rng([self.recipe.seed, step])
        return self.algorithm.stochastic(self.recipe.rollout.num_steps, rng)

    def _learn(self, rollout: Rollout, earned: Earned, advantage: Tensor, logs: Logs) -> dict[str, float]:
        """The optimiser steps of an update, each on its share of the groups."""
        settings, means = self.recipe.training, Means()
        rate = (
            settings.learning_rate * self.slowed * min(1.0, (self.step + 1) / max(1, settings.warmup_updates))
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        size = len(rollout.seeds) // settings.steps_per_update
        valid_of = earned.valid.unflatten(0, (self.process.num_processes, settings.steps_per_update, size))
        device = rollout.x_0.device
        told = [row[earned.mine].to(device) for row in (advantage, earned.total, earned.valid)]
        for number in range(settings.steps_per_update):
            batches = [
                experience(
                    rollout,
                    advantage=told[0],
                    reward=told[1],
                    valid=told[2],
                    rows=slice(start, start + self.micro),
                )
                for start in range(number * size, (number + 1) * size, self.micro)
            ]
            num_valid = int(valid_of[:, number].sum())
            means.add(
                self._stepper.step(
                    batches, num_valid, lambda seen: self._allowed(seen, logs), fresh=number == 0
                )
            )
            if self.end is not None:
                break
        return {**means.alone(), "rate": rate}

    def _allowed(self, seen: Seen, logs: Logs) -> bool:
        """Show numbers to the guards and do what they say; false where a step must not be taken."""
        findings = self.guards.look(seen)
        for finding in findings:
            logs.finding(self.step, finding)
            if finding.action == "slow":
                self.slowed /= 2
            elif finding.action == "stop":
                self.end = End("guard", f"{finding.guard}: {finding.reason}")
        return not any(finding.action in ("skip", "stop") for finding in findings)

    def _costs(self, times: Sequence[float]) -> dict[str, float]:
        """Where the time of an update went, and what it took."""
        painted, scored, learnt = (later - earlier for earlier, later in pairwise(times))
        prompts = self.recipe.prompts
        images = prompts.per_update * prompts.group_size
        return {
            "images_per_s": images / max(times[-1] - times[0], 1e-9),
            "network_calls": float(images * self.painting.calls),
            "rollout_s": painted,
            "reward_s": scored,
            "learn_s": learnt,
            "memory_gb": peak_memory_gb(self.process.device),
        }

    def _test(self, logs: Logs) -> None:
        """Test the average on what is never learnt from, and keep it if it never did better."""
        metrics = self.held_out.look(self.policy, self.actors.ema)
        logs.record(self.step, metrics)
        if self._allowed(metrics, logs) and metrics["held_out/total"] > self.best:
            self.best = metrics["held_out/total"]
            if self.process.leads:
                checkpoints.write(self._checkpoint(validation=self.best), self.folder / "best")

    def _sample(self, logs: Logs) -> None:
        """What the average paints of fixed prompts and seeds."""
        if not self.process.leads:
            return
        prompts = [Prompt(text=text) for text in self.recipe.log.prompts]
        prompts = prompts or list(self.held_out.prompts.prompts[:SAMPLE_PROMPTS])
        seeds = [seed for i in range(len(prompts)) for seed in seeds_of(0, 0, i, SAMPLE_SEEDS)]
        rollout = paint(
            self.policy,
            self.actors.ema,
            prompts,
            seeds,
            self.tested,
            group_size=SAMPLE_SEEDS,
            version=self.step,
        )
        logs.picture(self.step, tile(rollout.images), [prompt.text for prompt in prompts], SAMPLE_SEEDS)

    def save(self) -> None:
        """Write a checkpoint (one process does)."""
        if self.process.leads:
            keep = self.recipe.log.keep_checkpoints
            checkpoints.save(self._checkpoint(), self.folder / "checkpoints", keep=keep)

    def _config(self) -> dict[str, Any]:
        """What a checkpoint says of the run, as JSON holds it."""
        config = {
            "task": "learn",
            "recipe": to_table(self.recipe),
            "model": {"name": self.model.name, "hash": self.model.hash, "path": str(self.model.path)},
            "guards": self.guards.state(),
            "held_out": self.held_out.state,
            "slowed": self.slowed,
            "stopped": self.end.reason if self.end else "",
        }
        return json.loads(json.dumps(config))

    def _checkpoint(self, *, validation: float | None = None) -> checkpoints.Checkpoint:
        return checkpoints.Checkpoint(
            step=self.step,
            seconds=self.seconds,
            config=self._config(),
            weights={
                "values": self.actors.values,
                "old": self.actors.old_values,
                "ema": self.actors.ema_values,
                "reference": self.actors.reference_values,
            },
            optimizer=checkpoints.optimizer_weights([self.optimizer]),
            validation=validation,
        )


def share(num_prompts: int, num_steps: int, num_processes: int) -> list[list[int]]:
    """For each process its prompts, so that each step is made of the same ones however many share it."""
    table = np.arange(num_prompts).reshape(num_steps, num_processes, -1)
    return [table[:, rank].flatten().tolist() for rank in range(num_processes)]
