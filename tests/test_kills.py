"""Killed at any moment, training loses nothing and nothing half-written is left: kill -9, again and again.

The short forms run always, the long ones by `make soak`; docs/reliability.md holds their last result.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pictura.store.metadata import read_metadata
from pictura.store.models import read_model
from pictura.train import checkpoint
from pictura.train.loop import Run
from pictura.train.recipe import load_recipe
from tests.train.kit import ALONE, make_set

SEED = 20261123
PATIENCE_S = 900
RECIPE = """
task = "flow"
name = "NAME"
[data]
path = "set"
size = 16
[model]
preset = "micro-pixels"
vocab_size = 300
[training]
num_steps = STEPS
batch_size = 4
warmup_steps = 1
[log]
metrics_every = 1
validate_every = 8
sample_every = 0
checkpoint_every = 3
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds `set`."""
    folder = tmp_path_factory.mktemp("kills")
    make_set(folder / "set")
    return folder


def undisturbed(root: Path, num_steps: int) -> Path:
    """The run of so many steps that nobody stopped, made in this process."""
    (root / "undisturbed.toml").write_text(recipe("undisturbed", num_steps))
    folder = root / "runs" / f"undisturbed-{num_steps}"
    if not folder.exists():
        run = Run(load_recipe(root / "undisturbed.toml"), root, folder, ALONE)
        assert run.train() == "steps"
    return folder


def recipe(name: str, num_steps: int) -> str:
    return RECIPE.replace("NAME", name).replace("STEPS", str(num_steps))


def start(*args: str | Path, home: Path | None = None) -> subprocess.Popen[bytes]:
    """Start `pictura ARGS` on one thread."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    env |= {"PICTURA_HOME": str(home)} if home else {}
    command = [sys.executable, "-m", "pictura.cli", *map(str, args)]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed(process: subprocess.Popen[bytes], moment: Callable[[], bool], delay_s: float = 0.0) -> bool:
    """Kill it `delay_s` after `moment` has come; false where it ended before."""
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and not moment():
        assert time.monotonic() < end, "the moment never came"
        time.sleep(0.001)
    time.sleep(delay_s)
    process.kill()
    return process.wait() == -9


def duration_s(process: subprocess.Popen[bytes], begun: Callable[[], bool]) -> float:
    """Let it end well; seconds since `begun`."""
    while not begun():
        assert process.poll() is None, "it ended before it began"
        time.sleep(0.001)
    start_s = time.monotonic()
    assert process.wait() == 0
    return time.monotonic() - start_s


def hidden(folder: Path) -> list[Path]:
    """What somebody is writing there, or was."""
    return list(folder.glob(".*.pictura-*"))


def newly_hidden(folder: Path) -> Callable[[], bool]:
    """Tells when a save into `folder` has begun after this call."""
    before = set(hidden(folder))
    return lambda: not before.issuperset(hidden(folder))


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def moments(run: Path, rng: np.random.Generator) -> tuple[str, Callable[[], bool]]:
    """A moment of a training run: some steps on from now, or in the midst of a save after them."""
    metrics = run / "metrics.jsonl"
    wanted = lines_of(metrics) + int(rng.integers(1, 14))
    if rng.random() < 0.5:
        return "step", lambda: lines_of(metrics) >= wanted
    saves = [run / "checkpoints", run]
    before = set(hidden(saves[0]) + hidden(saves[1]))
    return (
        "save",
        lambda: lines_of(metrics) >= wanted and not before.issuperset(hidden(saves[0]) + hidden(saves[1])),
    )


@pytest.mark.parametrize(("num_kills", "num_steps"), [(1, 15), pytest.param(10, 120, marks=pytest.mark.slow)])
def test_a_training_killed_and_resumed_ends_in_the_same_bits(
    root: Path, num_kills: int, num_steps: int
) -> None:
    rng, name = np.random.default_rng(SEED), f"killed-{num_kills}"
    theirs, ours = undisturbed(root, num_steps), root / "runs" / name
    (root / f"{name}.toml").write_text(recipe(name, num_steps))
    train: list[str | Path] = [
        "train",
        root / f"{name}.toml",
        "--runs",
        root / "runs",
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    kills: list[str] = []
    while len(kills) < num_kills:
        kind, moment = moments(ours, rng)
        process = start(*train)
        if not killed(process, moment, rng.uniform(0, 0.02)):
            assert process.returncode == 0
            break
        kills.append(kind)
    assert start(*train).wait() == 0
    print(f"killed {len(kills)} times: {kills}")  # noqa: T201  (for docs/reliability.md)
    assert len(kills) == num_kills

    for find in (checkpoint.find_latest, checkpoint.find_best):
        left, right = (checkpoint.load(find(folder) or folder) for folder in (ours, theirs))
        assert (left.step, left.validation) == (right.step, right.validation)
        for name, weights in {**right.weights, "optimizer": right.optimizer}.items():
            mine = left.optimizer if name == "optimizer" else left.weights[name]
            assert all(torch.equal(mine[key], value) for key, value in weights.items()), name
    assert hidden(ours) + hidden(ours / "checkpoints") == []
    seen = {json.loads(line)["step"] for line in (ours / "metrics.jsonl").read_text().splitlines()}
    assert seen == set(range(1, num_steps + 1))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path


@pytest.mark.parametrize("num_kills", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_an_export_that_is_killed_leaves_a_whole_model_or_none(
    root: Path, home: Path, num_kills: int
) -> None:
    rng = np.random.default_rng(SEED)
    export: list[str | Path] = ["export", undisturbed(root, 15), "--name", "mine"]
    models, whole, longest_s = home / "models", 0, 2.0
    for number in range(num_kills):
        if number == num_kills // 2 and num_kills > 1:  # from now on there is an older one to replace
            longest_s = duration_s(start(*export, home=home), newly_hidden(models))
            assert hidden(models) == []
        killed(start(*export, home=home), newly_hidden(models), rng.uniform(0, longest_s))
        whole += is_whole(models / "mine")
    print(f"{whole} of {num_kills} kills left a whole model, the others none")  # noqa: T201


def is_whole(folder: Path) -> bool:
    """Whether the model is there; then it must be intact."""
    if not folder.exists():
        return False
    read_model(folder).verify()
    return True


@pytest.mark.parametrize("num_kills", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_a_painting_that_is_killed_leaves_whole_pictures_or_none(
    tiny_home: Path, tmp_path: Path, num_kills: int
) -> None:
    rng = np.random.default_rng(SEED)
    out = tmp_path / "out"
    out.mkdir()
    paint: list[str | Path] = [
        "imagine",
        "a red apple",
        "--model",
        "tiny",
        "--n",
        "4",
        "--steps",
        "2",
        "--out",
        out,
    ]
    longest_s = duration_s(start(*paint, home=tiny_home), newly_hidden(out))
    for _ in range(num_kills):
        killed(start(*paint, home=tiny_home), newly_hidden(out), rng.uniform(0, longest_s))
        assert all(is_picture(path) for path in out.glob("[!.]*"))
    left = len(list(out.glob("[!.]*")))
    assert start(*paint, home=tiny_home).wait() == 0
    assert len(list(out.glob("[!.]*"))) == left + 5
    assert hidden(out) == []
    print(f"{num_kills} kills left {left} pictures, all whole")  # noqa: T201


def is_picture(path: Path) -> bool:
    """Whether it can be read to its last byte, and says how it was painted unless it is the grid."""
    with Image.open(path) as image:
        image.load()
    return path.stem.endswith("-grid") or read_metadata(path)["prompt"] == "a red apple"
