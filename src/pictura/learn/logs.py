"""What a run of learning tells: a live table, `metrics.jsonl`, `guards.jsonl`, TensorBoard, sample grids."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from pictura.learn.guards import Finding
from pictura.learn.recipe import LearnRecipe
from pictura.store.atomic import atomic_file

SHOWN = {
    "reward": "reward",
    "reward_std": "its spread",
    "zero_std": "groups without spread",
    "kl": "distance from the reference",
    "entropy": "entropy of a token",
    "grad_norm": "gradient",
    "held_out/strict": "held out: right",
    "held_out/clip": "held out: likeness",
    "held_out/diversity_share": "held out: diversity",
    "images_per_s": "pictures/s",
}
"""Numbers of the live table, and what it calls them."""


class Logs:
    """Open during one stretch of a run. A quiet one (of a process that does not lead) writes nothing."""

    def __init__(self, folder: Path, recipe: LearnRecipe, step: int, *, quiet: bool = False) -> None:
        self._folder, self._recipe, self._quiet = folder, recipe, quiet
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        done = 100 * step // recipe.training.num_updates
        self._bar = self._progress.add_task(recipe.name, total=100, completed=done, note="")
        self._live = Live(get_renderable=self._table, console=Console(stderr=True, quiet=quiet))

    def __enter__(self) -> Self:
        if not self._quiet:
            from torch.utils.tensorboard import SummaryWriter

            self._folder.mkdir(parents=True, exist_ok=True)
            self._metrics = (self._folder / "metrics.jsonl").open("a", encoding="utf-8")
            self._findings = (self._folder / "guards.jsonl").open("a", encoding="utf-8")
            self._board = SummaryWriter(str(self._folder / "tensorboard"))
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._quiet:
            self._live.stop()
            self._metrics.close()
            self._findings.close()
            self._board.close()

    def update(self, step: int, metrics: Mapping[str, float], spent: float) -> None:
        """Note one update; every `metrics_every` of them is written, at 0 none."""
        every = self._recipe.log.metrics_every
        if not every or step % every:
            return
        self.record(step, metrics)
        done = max(step / self._recipe.training.num_updates, spent)
        self._progress.update(self._bar, completed=100 * done, note=f"update {step}")

    def record(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write numbers to `metrics.jsonl` and TensorBoard; what is no number becomes null."""
        if self._quiet:
            return
        self._last |= metrics
        self._first = {**metrics, **self._first}
        _write(self._metrics, {"step": step, **metrics})
        for name, value in metrics.items():
            self._board.add_scalar(name, value, step)

    def finding(self, step: int, finding: Finding) -> None:
        """Keep what a guard objected to."""
        if not self._quiet:
            _write(self._findings, {"step": step, **asdict(finding)})

    def picture(self, step: int, grid: Image.Image, prompts: Sequence[str], num_seeds: int) -> None:
        """Keep a sample grid, and what it shows: of each prompt the pictures of so many seeds."""
        if self._quiet:
            return
        folder = self._folder / "samples"
        folder.mkdir(exist_ok=True)
        with atomic_file(folder / f"update-{step:08d}.png") as tmp:
            grid.save(tmp, format="png")
        with atomic_file(folder / "prompts.json") as tmp:
            tmp.write_text(json.dumps({"prompts": list(prompts), "seeds": num_seeds}), encoding="utf-8")

    def _table(self) -> Group:
        """First and last numbers side by side, above the bar."""
        table = Table(box=None, header_style="dim")
        table.add_column("")
        table.add_column("at first", justify="right")
        table.add_column("now", justify="right")
        for name, said in SHOWN.items():
            if name in self._last:
                table.add_row(said, f"{self._first[name]:.4g}", f"{self._last[name]:.4g}")
        return Group(table, self._progress)


def _write(file: Any, values: Mapping[str, Any]) -> None:
    """One line of JSON, on the disk's way at once."""

    def plain(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.6g}") if math.isfinite(value) else None
        return value

    file.write(json.dumps({name: plain(value) for name, value in values.items()}) + "\n")
    file.flush()
