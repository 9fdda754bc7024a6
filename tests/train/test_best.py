"""The checkpoint of the lowest validation loss: what it holds, when it changes, and who takes it."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pictura.cli.app import app
from pictura.store import atomic
from pictura.store.models import ModelInfo, read_model
from pictura.train import checkpoint
from pictura.train.loop import Run
from tests.train.kit import ALONE, make_recipe, make_set

LOG = {"validate_every": 1, "checkpoint_every": 1, "keep_checkpoints": 9}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("best")
    make_set(folder / "set")
    return folder


def train(root: Path, name: str, losses: Sequence[float], *, num_steps: int, **log: object) -> Run:
    """A run whose validations end in `losses`, whatever it learns; the last is that of its end."""
    told = iter(losses)

    class Told(Run):
        def validate(self) -> dict[str, float]:
            return {"validation_ema_long": next(told), "validation_ema_short": 0.0}

    recipe = make_recipe(name=name, training={"num_steps": num_steps}, log={**LOG, **log})
    done = Told(recipe, root, root / "runs" / name, ALONE)
    done.train()
    assert next(told, None) is None
    return done


def best(run: Run) -> checkpoint.Checkpoint:
    found = checkpoint.find_best(run.folder)
    assert found is not None
    return checkpoint.load(found)


def test_the_best_is_kept_beside_the_newest_and_known_after_a_stop(root: Path) -> None:
    first = train(root, "kept", [0.5, 0.3, math.nan, 0.4], num_steps=3)
    kept, then = best(first), checkpoint.load(first.folder / "checkpoints" / "step-00000002")
    assert (kept.step, kept.validation) == (2, 0.3)
    for name in ("model", "ema_long", "ema_short"):
        for key, value in then.weights[name].items():
            assert torch.equal(kept.weights[name][key], value)
    newest = checkpoint.find_latest(first.folder)
    assert newest is not None
    assert newest.name == "step-00000003"

    worse = train(root, "kept", [0.31, 0.35], num_steps=4)
    assert (worse.step, best(worse).step) == (4, 2)
    assert best(train(root, "kept", [0.29, 0.3], num_steps=5)).step == 5


def test_nothing_is_kept_where_nobody_asks(root: Path) -> None:
    without = train(root, "without", [0.5, 0.5], num_steps=1, keep_best=False)
    never = train(root, "never", [0.5], num_steps=1, validate_every=0)
    assert checkpoint.find_best(without.folder) is checkpoint.find_best(never.folder) is None


def test_a_best_that_was_killed_between_its_renames_is_found(root: Path) -> None:
    done = train(root, "renames", [0.5, 0.5], num_steps=1)
    pid = 2**22 + 1  # above every process number
    hidden = f".best.pictura-old-{atomic._host()}-{pid}-0123abcd"
    (done.folder / "best").rename(done.folder / hidden)
    assert best(done).validation == 0.5


@pytest.mark.parametrize(
    ("options", "taken", "words"),
    [
        (
            (),
            "best",
            "Took its best checkpoint: step 1, validation loss 0.3. --last takes the newest, step 2.",
        ),
        (("--last",), "", ""),
    ],
)
def test_an_export_takes_the_best_unless_the_newest_is_asked_for(
    root: Path,
    tiny_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: Sequence[str],
    taken: str,
    words: str,
) -> None:
    folder = root / "runs" / "to-export"
    if not folder.exists():
        train(root, "to-export", [0.3, 0.5, 0.5], num_steps=2)
    asked: list[Path] = []

    def export(run: Path, *_: object, **__: object) -> ModelInfo:
        asked.append(run)
        return read_model(tiny_home / "models" / "tiny")

    monkeypatch.setattr("pictura.train.export.checkpoint.export_checkpoint", export)
    result = CliRunner().invoke(app, ["export", str(folder), "--name", "x", *options])
    assert result.exit_code == 0, result.output
    assert asked == [folder / taken]
    assert ("Took its" in result.stdout) == bool(words)
    assert words in result.stdout
