"""A run that was stopped or killed and goes on is the run that never was; several processes are as one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pictura.learn.loop import Run
from pictura.learn.recipe import load_learn_recipe
from pictura.train import checkpoint
from tests.learn.loop_kit import ALONE, make_recipe, make_root, run
from tests.test_kills import hidden, killed, lines_of
from tests.train.test_loop import run_by_two

SEED = 20261123
RECIPE = """
name = "NAME"
model = { base = "painter", weights = "low_rank", rank = 4 }
prompts = { kind = "lines", path = "lines.txt", per_update = 4, group_size = 4 }
rollout = { num_steps = 3, solver = "euler", shift = 1.0 }
algorithm = { name = "ALGORITHM" }
training = { num_updates = UPDATES, learning_rate = 1e-3, warmup_updates = 1, steps_per_update = 2 }
guards = { max_kl = 0.0 }
held_out = { prompts = 2, seeds = 2, every = 7 }
log = { sample_every = 0 }
[[rewards]]
name = "brightness"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a painter and lines."""
    return make_root(tmp_path_factory.mktemp("resume"))


def write(root: Path, name: str, *, algorithm: str = "nft", updates: int = 10) -> Path:
    path = root / f"{name}.toml"
    text = RECIPE.replace("NAME", name).replace("ALGORITHM", algorithm).replace("UPDATES", str(updates))
    path.write_text(text)
    return path


def straight(root: Path, *, algorithm: str = "nft", updates: int = 10) -> checkpoint.Checkpoint:
    """The last checkpoint of the run that nobody disturbed."""
    recipe = write(root, f"straight-{algorithm}-{updates}", algorithm=algorithm, updates=updates)
    folder = root / "runs" / recipe.stem
    if not folder.exists():
        assert Run(load_learn_recipe(recipe), root, folder, ALONE).learn().kind == "updates"
    return last(folder)


def last(folder: Path) -> checkpoint.Checkpoint:
    found = checkpoint.find_latest(folder / "checkpoints")
    assert found is not None
    return checkpoint.load(found)


def assert_same(ours: checkpoint.Checkpoint, theirs: checkpoint.Checkpoint) -> None:
    """Weights, optimiser, guards and tests are equal bit for bit."""
    assert ours.step == theirs.step
    for name, values in {**theirs.weights, "optimizer": theirs.optimizer}.items():
        mine = ours.optimizer if name == "optimizer" else ours.weights[name]
        assert mine.keys() == values.keys()
        assert all(torch.equal(mine[key], value) for key, value in values.items()), name
    for key in ("guards", "held_out", "slowed", "stopped"):
        assert ours.config[key] == theirs.config[key], key


@pytest.mark.parametrize("algorithm", ["nft", "grpo", "awm", "dpo", "backprop"])
def test_a_resumed_run_is_bit_equal_to_one_that_never_stopped(root: Path, algorithm: str) -> None:
    theirs = straight(root, algorithm=algorithm)
    recipe = load_learn_recipe(write(root, f"stopped-{algorithm}", algorithm=algorithm))
    folder = root / "runs" / recipe.name
    first = load_learn_recipe(write(root, f"stopped-{algorithm}", algorithm=algorithm, updates=5))
    assert Run(first, root, folder, ALONE).learn().kind == "updates"
    resumed = Run(recipe, root, folder, ALONE)
    assert resumed.step == 5
    assert resumed.learn().kind == "updates"
    assert_same(last(folder), theirs)


def reaching(metrics: Path, wanted: int) -> Callable[[], bool]:
    """Tells when there are so many lines."""
    return lambda: lines_of(metrics) >= wanted


def start(recipe: Path, root: Path) -> subprocess.Popen[bytes]:
    """Start `pictura learn` on one thread."""
    env = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PICTURA_HOME": str(root / "home"),
    }
    command = [sys.executable, "-m", "pictura.cli", "learn", str(recipe), "--runs", str(root / "runs")]
    command += ["--threads", "1", "--device", "cpu", "--no-export"]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(("num_kills", "updates"), [(1, 10), pytest.param(12, 60, marks=pytest.mark.slow)])
def test_killed_and_interrupted_it_ends_in_the_same_bits(root: Path, num_kills: int, updates: int) -> None:
    rng = np.random.default_rng(SEED)
    theirs = straight(root, updates=updates)
    recipe = write(root, f"killed-{updates}", updates=updates)
    folder = root / "runs" / recipe.stem
    metrics = folder / "metrics.jsonl"
    kills = 0
    while kills < num_kills:
        more = reaching(metrics, lines_of(metrics) + int(rng.integers(2, 5)))
        process = start(recipe, root)
        if not killed(process, more, rng.uniform(0, 0.05)):
            break
        process.communicate()
        kills += 1
        reached = json.loads(metrics.read_text().splitlines()[-1])["step"]
        assert last(folder).step >= reached - 1  # at most one update is lost
    print(f"killed {kills} times, last after update {reached}")  # noqa: T201  (for docs/reliability.md)
    assert kills == num_kills

    before = lines_of(metrics)
    with start(recipe, root) as process:
        try:
            while process.poll() is None and lines_of(metrics) < before + 2:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = (said.decode() for said in process.communicate(timeout=240))
        finally:
            process.kill()
    assert process.returncode == 130, err[-2000:]
    assert f"Stopped and saved. Go on with: pictura learn {recipe} --runs {root / 'runs'}\n" in out
    assert "Going on from update " in err

    done = Run(load_learn_recipe(recipe), root, folder, ALONE)
    assert done.step < updates
    assert done.learn().kind == "updates"
    assert_same(last(folder), theirs)
    assert hidden(folder) + hidden(folder / "checkpoints") == []
    seen = {json.loads(line)["step"] for line in metrics.read_text().splitlines()}
    assert seen == set(range(updates + 1))


TWO = """
import sys, torch
from pathlib import Path
from pictura.learn.loop import Run
from pictura.learn.recipe import load_learn_recipe
from pictura.train.distributed import join

root = Path(sys.argv[1])
with join("cpu", threads=1) as process:
    run = Run(load_learn_recipe(root / "two.toml"), root, root / "runs" / "two", process)
    assert run.learn().kind == "updates"
    mine = torch.cat([value.detach().flatten() for value in run.actors.values.values()])
    both = [torch.empty_like(mine) for _ in range(2)]
    torch.distributed.all_gather(both, mine)
    assert torch.equal(*both)
"""


def test_two_processes_learn_what_one_does(root: Path) -> None:
    theirs = straight(root, updates=4)
    (root / "two.py").write_text(TWO)
    write(root, "two", updates=4)
    run_by_two(str(root / "two.py"), str(root))
    ours = last(root / "runs" / "two")
    for name in ("values", "old", "ema"):
        for key, value in theirs.weights[name].items():
            # AdamW divides by the gradient's size, so differences of rounding grow where it is near zero.
            torch.testing.assert_close(ours.weights[name][key], value, atol=2e-4, rtol=1e-3, msg=key)
    for name, row in theirs.config["held_out"]["base"].items():
        assert ours.config["held_out"]["base"][name] == pytest.approx(row, abs=1e-5), name
    lines = [
        {line["step"]: line for line in map(json.loads, text.splitlines()) if "reward" in line}
        for text in ((root / "runs" / r / "metrics.jsonl").read_text() for r in ("two", "straight-nft-4"))
    ]
    for step in range(1, 4):
        for key in ("reward", "reward_std", "grad_norm", "zero_std", "group_std", "loss", "luminance"):
            assert lines[0][step][key] == pytest.approx(lines[1][step][key], rel=1e-3, abs=1e-6), key


def test_minutes_end_a_stretch(root: Path) -> None:
    done = run(make_recipe(name="minutes", training={"num_updates": 10**6}), root)
    assert done.learn(max_minutes=0.02).kind == "minutes"
    assert 0 < done.step < 10**6
    assert run(make_recipe(name="minutes", training={"num_updates": 10**6}), root).step == done.step
