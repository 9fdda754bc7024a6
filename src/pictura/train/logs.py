"""What a run tells: a progress bar, `metrics.jsonl`, TensorBoard, and sample grids as PNG."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pictura.store.atomic import atomic_file
from pictura.train.recipe import Recipe

OWN = {"grad_norm", "rate", "images"}
"""Numbers of a step that are no means."""


class Logs:
    """Open during one stretch of a run. A quiet one (of a process that does not lead) writes nothing."""

    def __init__(self, folder: Path, recipe: Recipe, step: int, *, quiet: bool = False) -> None:
        self._folder, self._recipe, self._quiet = folder, recipe, quiet
        self._every = recipe.log.metrics_every
        self._since, self._images, self._count = time.monotonic(), 0.0, 0
        self._sums: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, quiet=quiet),
        )
        total = recipe.training.num_steps
        self._bar = self._progress.add_task(recipe.name, total=100, completed=100 * step // total, note="")

    def __enter__(self) -> Self:
        if not self._quiet:
            from torch.utils.tensorboard import SummaryWriter

            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = (self._folder / "metrics.jsonl").open("a", encoding="utf-8")
            self._board = SummaryWriter(str(self._folder / "tensorboard"))
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._quiet:
            self._progress.stop()
            self._file.close()
            self._board.close()

    def step(self, step: int, metrics: dict[str, float], seconds: float, spent: float) -> None:
        """Note one optimiser step; every `metrics_every` steps their mean is written, at 0 never."""
        self._images += metrics["images"]
        for name in metrics.keys() - OWN:
            self._sums[name] = self._sums.get(name, 0.0) + metrics[name]
        self._count += 1
        if not self._every or step % self._every:
            return
        now = time.monotonic()
        speed = self._images / max(now - self._since, 1e-9)
        means = {name: total / self._count for name, total in self._sums.items()}
        done = max(step / self._recipe.training.num_steps, spent)
        note = f"step {step}  loss {means['loss']:.4f}  {speed:.0f} images/s"
        self._progress.update(self._bar, completed=100 * done, note=note)
        self.record(
            step,
            {
                **means,
                "grad_norm": metrics["grad_norm"],
                "rate": metrics["rate"],
                "images_per_s": speed,
                "seconds": seconds,
            },
        )
        self._since, self._images, self._sums, self._count = now, 0.0, {}, 0

    def record(self, step: int, metrics: dict[str, float]) -> None:
        """Write numbers to `metrics.jsonl` and TensorBoard."""
        if self._quiet:
            return
        self._file.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in metrics.items()}}) + "\n")
        self._file.flush()
        for name, value in metrics.items():
            self._board.add_scalar(name, value, step)

    def picture(self, step: int, grid: Image.Image) -> None:
        """Keep a sample grid."""
        if self._quiet:
            return
        folder = self._folder / "samples"
        folder.mkdir(exist_ok=True)
        with atomic_file(folder / f"step-{step:08d}.png") as tmp:
            grid.save(tmp, format="png")
