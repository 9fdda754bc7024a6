"""The training loop, for whatever a task learns: read this top to bottom.

Every random draw of a step comes from (seed, position), where the position counts batches over all
processes. So a run that is stopped and resumed is the same run, bit for bit on a CPU, and nothing about
loaders or generators needs to be saved.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pictura.core.errors import ConfigError
from pictura.data.shapes import shapes_near
from pictura.encode.tokenizer import Tokenizer
from pictura.train import checkpoint as checkpoints
from pictura.train.distributed import Process, StopSignals, largest
from pictura.train.logs import Logs
from pictura.train.materials import Materials, load_materials
from pictura.train.optim import Average
from pictura.train.preview import preview
from pictura.train.recipe import Recipe, to_table
from pictura.train.step import Stepper, build_stepper
from pictura.train.task import Task, build_task

VALIDATION_BATCHES = 8
NETWORKS = (
    *("network", "text_encoder", "autoencoder", "judge", "clip", "damsm", "gan", "dvae", "transformer"),
    *("prior", "ar_prior", "decoder", "upsampler", "enlarger"),
)
"""Tables of a checkpoint's config that must not change within a run."""
ENDS = ("steps", "minutes", "interrupt")
"""Why a stretch of training ends; where processes disagree, the later one counts."""


class Run:
    """One training run: its networks, its place in time, and its folder."""

    def __init__(self, recipe: Recipe, root: Path, folder: Path, process: Process) -> None:
        """Read the data, make the networks, and go on from the newest checkpoint if there is one.

        Args:
            recipe: what to do.
            root: folder that the recipe's relative paths start from.
            folder: where the run is kept.
            process: this process among its fellows.
        """
        self.recipe, self.root, self.folder, self.process = recipe, root, folder, process
        latest = checkpoints.find_latest(folder / "checkpoints")
        saved = None if latest is None else checkpoints.load(latest, device=str(process.device))
        data = json.loads(json.dumps(to_table(recipe.data)))
        learnt = saved.tokenizer if saved and saved.config["recipe"]["data"] == data else ""
        self.materials: Materials = load_materials(recipe, root, process.device, learnt=learnt)
        self.task: Task
        self.task, self.words = build_task(recipe, root, self.materials, process.device)
        self.module: nn.Module = self.task.module
        settings = recipe.training
        self.stepper: Stepper = build_stepper(recipe, self.task, self.materials, process)
        self.averages = {
            "ema_long": Average(self.module, settings.ema_long),
            "ema_short": Average(self.module, settings.ema_short),
        }
        self.step, self.seconds, self.best = 0, 0.0, math.inf
        if saved is not None and latest is not None:
            self._resume(saved, latest)

    def _resume(self, saved: checkpoints.Checkpoint, where: Path) -> None:
        mine = self._config()
        for key in NETWORKS:
            if saved.config.get(key) != json.loads(json.dumps(mine.get(key))):
                raise ConfigError(
                    f"{where} holds another {key} than the recipe asks for. "
                    f"Give the recipe another name, or delete the run to start anew."
                )
        self.module.load_state_dict(saved.weights["model"])
        checkpoints.load_optimizers(self.stepper.optimizers, saved.optimizer)
        for name, average in self.averages.items():
            average.load(saved.weights[name])
        if self.task.tokenizer is not None:
            tokenizer = Tokenizer.from_text(saved.tokenizer, max_tokens=self.task.tokenizer.max_tokens)
            self.task.resume(tokenizer, saved.weights["frozen"], where)
            self.words = tuple(dict.fromkeys([*saved.words, *self.words]))
        self.step, self.seconds = saved.step, saved.seconds
        best = checkpoints.find_best(self.folder)
        if best is not None:
            self.best = checkpoints.load(best).validation or math.inf

    def train(self, *, max_minutes: float = 0.0) -> str:
        """Train until the recipe's steps or the minutes are over, or Ctrl-C.

        Returns:
            Why it ended, one of `ENDS`. The newest checkpoint holds the end.

        Raises:
            TrainingError: the loss or a gradient is not a number; checkpoints before that are kept.
        """
        minutes = max_minutes or self.recipe.training.max_minutes
        log = self.recipe.log
        started, before = time.monotonic(), self.seconds
        end = 0.0
        quiet = not self.process.leads
        with StopSignals() as signals, Logs(self.folder, self.recipe, self.step, quiet=quiet) as logs:
            while self.step < self.recipe.training.num_steps:
                spent = (time.monotonic() - started) / (60 * minutes) if minutes else 0.0
                end = ENDS.index("interrupt") if signals.asked else int(spent >= 1)
                # Clocks differ: each with a learning rate of its own, the processes would drift apart.
                spent, end = largest((spent, end), self.process)
                if end:
                    break
                metrics = self._advance(spent)
                self.seconds = before + time.monotonic() - started
                logs.step(self.step, metrics, self.seconds, spent)
                if log.validate_every and self.step % log.validate_every == 0:
                    self._look(logs)
                if log.sample_every and self.step % log.sample_every == 0 and self.process.leads:
                    self._preview(logs)
                if log.checkpoint_every and self.step % log.checkpoint_every == 0:
                    self.save()
            self._finish(logs)
        return ENDS[int(end)]

    def _finish(self, logs: Logs) -> None:
        self.task.finish(self.materials.train, [a.weights for a in self.averages.values()])
        self.save()  # before what takes long and can be made again
        self._look(logs)
        if self.process.leads:
            self._preview(logs)

    def _look(self, logs: Logs) -> None:
        """Validate, and keep the weights if they never did better."""
        losses, log = self.validate(), self.recipe.log
        logs.record(self.step, losses)
        loss = losses["validation_ema_long"]
        if log.keep_best and log.validate_every and loss < self.best:
            self.best = loss
            if self.process.leads:
                checkpoints.write(self._checkpoint(validation=loss), self.folder / "best")

    def _preview(self, logs: Logs) -> None:
        weights = self.averages["ema_long"].weights
        picture = preview(self.task, weights, self.recipe, self.materials)
        if picture is not None:
            logs.picture(self.step, picture)

    def _advance(self, spent: float) -> dict[str, float]:
        """One step, and the averages after it."""
        metrics = self.stepper.step(self.step, spent)
        self.step += 1
        for average in self.averages.values():
            average.update(self.module, self.step)
        return metrics

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss of the averaged weights on pictures that are never trained on, always the same draws."""
        losses: dict[str, float] = {}
        self.module.eval()
        for name, average in self.averages.items():
            values = []
            for position in range(VALIDATION_BATCHES):
                batch = self.materials.validation.batch(position, 32)
                inputs = self.task.inputs(batch, np.random.default_rng(position))
                values.append(torch.func.functional_call(self.module, average.weights, inputs).mean())
            losses[f"validation_{name}"] = float(torch.stack(values).mean())
        self.module.train()
        return losses

    def _config(self) -> dict[str, Any]:
        data, factor = self.recipe.data, self.task.factor
        shapes = [(data.size, data.size), *(shapes_near(data.size) if data.aspects else ())]
        config = {**self.task.config(), "grids": [[h // factor, w // factor] for h, w in shapes]}
        return {**config, "recipe": to_table(self.recipe)}

    def save(self) -> None:
        """Write a checkpoint (one process does)."""
        if self.process.leads:
            keep = self.recipe.log.keep_checkpoints
            checkpoints.save(self._checkpoint(), self.folder / "checkpoints", keep=keep)

    def _checkpoint(self, *, validation: float | None = None) -> checkpoints.Checkpoint:
        return checkpoints.Checkpoint(
            step=self.step,
            seconds=self.seconds,
            config=self._config(),
            weights={
                "model": self.module.state_dict(),
                **{name: average.weights for name, average in self.averages.items()},
                "frozen": self.task.frozen(),
            },
            optimizer=checkpoints.optimizer_weights(self.stepper.optimizers),
            tokenizer=self.task.tokenizer.to_text() if self.task.tokenizer else "",
            words=self.words,
            validation=validation,
        )
