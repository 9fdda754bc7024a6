"""An evaluation in; its scores into a model's `model.json` and card: by program, never by hand."""

import json
import re
import shutil
from collections.abc import Mapping
from typing import Any

from pictura.core.errors import ConfigError, ModelError
from pictura.evaluate.benchmark import GLYPHBENCH, Benchmark
from pictura.evaluate.results import Evaluation, Row, words
from pictura.store.atomic import atomic_folder
from pictura.store.models import MANIFEST, ModelInfo, file_hash, read_model

CARD = "README.md"
_SECTION = re.compile(r"^## Metrics\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def check_recordable(benchmark: Benchmark, *, folders: bool, strengths: bool = False) -> None:
    """Refuse what does not belong on a card.

    Args:
        benchmark: what was, or is to be, asked.
        folders: whether pictures of `--pictures` are among what is scored.
        strengths: whether a model paints at another strength than it does by itself.

    Raises:
        ConfigError: this is not GlyphBench, not the whole of it, or there is one of these.
    """
    if benchmark.name != GLYPHBENCH:
        raise ConfigError(f"--record writes scores of {GLYPHBENCH}; got {benchmark.name}. Leave it out.")
    if not benchmark.whole:
        raise ConfigError(
            f"--record needs all {benchmark.total} prompts; got {len(benchmark.prompts)}. Leave --limit out."
        )
    if folders:
        raise ConfigError("--record writes into model folders, and pictures of --pictures have none.")
    if strengths:
        raise ConfigError(
            "--record writes scores of models as they paint by themselves; leave @STRENGTH out."
        )


def record(found: Evaluation, row: Row, model: ModelInfo) -> ModelInfo:
    """Write the scores of one model into its folder, which changes as a whole or not at all.

    Args:
        found: the evaluation.
        row: the model's.
        model: as it was when it painted.

    Returns:
        The model as it is now; its hash is the same, for it paints the same.

    Raises:
        ModelError: the folder holds another model by now.
        StorageError: the folder cannot be written.
    """
    now = read_model(model.path)
    if now.hash != row.model_hash:
        raise ModelError(f"{model.path} holds another model than the one that was scored. Evaluate it again.")
    scores = glyphbench_scores(found, row)
    card = (
        (model.path / CARD).read_text(encoding="utf-8")
        if (model.path / CARD).is_file()
        else f"# {now.name}\n"
    )
    with atomic_folder(model.path) as folder:
        shutil.copytree(model.path, folder, dirs_exist_ok=True)
        (folder / CARD).write_text(with_metrics(card, scores), encoding="utf-8")
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest["metrics"] = {**manifest["metrics"], GLYPHBENCH: scores}
        manifest["files"][CARD] = file_hash(folder / CARD)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return read_model(model.path)


def glyphbench_scores(found: Evaluation, row: Row) -> dict[str, Any]:
    """What `model.json` says under ``metrics.glyphbench``: the verdicts of the last judge."""
    by = row.judges[-1]
    return {
        "overall": round(by.overall.value, 4),
        "interval": [round(by.overall.low, 4), round(by.overall.high, 4)],
        "tasks": {name: round(task.value, 4) for name, task in by.tasks.items()},
        "judge": by.judge,
        "judge_hash": by.hash,
        "benchmark_hash": found.benchmark["hash"],
        "num_prompts": found.benchmark["num_prompts"],
        "num_images": found.images,
        "num_seeds": found.seeds,
        "device": (row.painting or {}).get("device"),
        "date": found.date[:10],
        "commit": found.commit,
        "pictura_version": found.version,
    }


def with_metrics(card: str, scores: dict[str, Any]) -> str:
    """The card with its section of metrics, new or replaced."""
    low, high = scores["interval"]
    tasks = scores["tasks"]
    table = [
        "| " + " | ".join(["overall", *tasks]) + " |",
        "| " + " | ".join(["---"] * (1 + len(tasks))) + " |",
        "| " + " | ".join(f"{value:.3f}" for value in (scores["overall"], *tasks.values())) + " |",
    ]
    commit = f" at commit {scores['commit']}" if scores["commit"] else ""
    section = (
        "## Metrics\n\n"
        f"GlyphBench **{scores['overall']:.3f}** (95 % interval {low:.3f} to {high:.3f}): share of right "
        f"pictures by {scores['judge']} (`{scores['judge_hash'][:12]}`), mean of tasks. "
        f"{scores['num_prompts']} prompts, {scores['num_images']} pictures each, {_seeds(scores)}. "
        f"Written by `pictura evaluate --record` on {scores['date']}{commit}.\n\n" + "\n".join(table) + "\n\n"
    )
    if _SECTION.search(card):
        return _SECTION.sub(lambda _: section, card, count=1)
    return f"{card.rstrip()}\n\n{section}"


def _seeds(scores: Mapping[str, Any]) -> str:
    return "one seed" if scores["num_seeds"] == 1 else f"{scores['num_seeds']} seeds"


def line(row: Row, benchmark: str) -> str:
    """One set for scripts: name, benchmark, overall, interval, then every task or score, in columns."""
    if not row.judges:
        clip = row.clip
        return f"{row.name}  {benchmark}" + (f"  LocalCLIPScore {words(clip.score)}" if clip else "")
    by = row.judges[-1]
    tasks = "  ".join(f"{name} {task.value:.3f}" for name, task in by.tasks.items())
    return f"{row.name}  {benchmark} {words(by.overall)}  {tasks}"
