"""The training loop: exact resume, several processes, budgets, and what goes wrong."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pictura.core.errors import ConfigError, DataError, TrainingError
from pictura.train import checkpoint
from pictura.train.loop import Run
from tests.train.kit import make_recipe, make_set, run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds `set`; each test names its run."""
    folder = tmp_path_factory.mktemp("train")
    make_set(folder / "set")
    return folder


def saved(done: Run) -> checkpoint.Checkpoint:
    folder = checkpoint.find_latest(done.folder)
    assert folder is not None
    return checkpoint.load(folder)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_resumed_run_is_bit_equal_to_one_that_never_stopped(root: Path, optimizer: str) -> None:
    settings = {"optimizer": optimizer, "accumulate": 2, "decay_fraction": 0.75}
    straight = run(make_recipe(name=f"straight-{optimizer}", training=settings), root)
    assert straight.train() == "steps"

    stopped = run(make_recipe(name=f"stopped-{optimizer}", training=settings), root)
    for _ in range(2):
        stopped._train_step(stopped.module, 0.0)
    stopped.save()
    resumed = run(make_recipe(name=f"stopped-{optimizer}", training=settings), root)
    assert resumed.step == 2
    resumed.train()

    ours, theirs = saved(resumed), saved(straight)
    for name in ("model", "ema_long", "ema_short"):
        for key, value in theirs.weights[name].items():
            assert torch.equal(ours.weights[name][key], value), f"{name} {key}"
    for key, value in theirs.optimizer.items():
        assert torch.equal(ours.optimizer[key], value), key


def test_two_processes_learn_what_one_does_that_accumulates(root: Path) -> None:
    alone = run(make_recipe(name="alone", training={"accumulate": 2}), root)
    alone.train()
    (root / "pair.toml").write_text(
        'task = "flow"\nname = "pair"\n[data]\npath = "set"\nsize = 16\n'
        '[model]\npreset = "micro-pixels"\nvocab_size = 300\n'
        "[training]\nnum_steps = 4\nbatch_size = 4\nwarmup_steps = 1\n"
        "[log]\nvalidate_every = 0\nsample_every = 0\ncheckpoint_every = 0\n"
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        "29561",
    ]
    command += [
        "-m",
        "pictura.cli",
        "train",
        str(root / "pair.toml"),
        "--runs",
        str(root / "runs"),
        "--device",
        "cpu",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    folder = checkpoint.find_latest(root / "runs" / "pair")
    assert folder is not None
    pair, single = checkpoint.load(folder).weights["model"], saved(alone).weights["model"]
    assert pair.keys() == single.keys()
    for key, value in single.items():
        # AdamW divides by the gradient's size, so differences of rounding grow where it is near zero.
        torch.testing.assert_close(pair[key], value, atol=2e-4, rtol=1e-3, msg=key)


def test_it_learns_colours(root: Path) -> None:
    recipe = make_recipe(
        name="colours",
        training={"num_steps": 150, "batch_size": 16, "learning_rate": 3e-3, "ema_short": 0.9},
        sampling={
            "solver": "ab2",
            "num_steps": 6,
            "guidance_scale": 1.5,
            "guidance_interval": [0.0, 1.0],
            "shift": 1.0,
        },
    )
    done = run(recipe, root)
    before = done.validate()["validation_ema_short"]
    done.train()
    assert done.validate()["validation_ema_short"] < 0.6 * before
    prompts = ["a red picture", "a green picture", "a blue picture"]
    images = done.task.sample(prompts, (16, 16), recipe.sampling)  # type: ignore[union-attr]
    assert images[:, :3].mean(dim=(2, 3)).argmax(dim=1).tolist() == [0, 1, 2]


def test_minutes_end_the_run_with_the_decay_done(root: Path) -> None:
    done = run(make_recipe(name="minutes", training={"num_steps": 10**6}), root)
    assert done.train(max_minutes=0.05) == "minutes"
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    rates = [line["rate"] for line in lines if "rate" in line]
    assert max(rates) == 1
    assert rates[-1] < 0.2
    assert (done.folder / "samples").is_dir()
    assert run(make_recipe(name="minutes", training={"num_steps": 10**6}), root).step == done.step


def test_ctrl_c_saves_and_says_how_to_go_on(root: Path) -> None:
    recipe = root / "patient.toml"
    recipe.write_text(
        'task = "flow"\nname = "patient"\n[data]\npath = "set"\nsize = 16\n'
        '[model]\npreset = "micro-pixels"\nvocab_size = 300\n'
        "[training]\nbatch_size = 4\n[log]\nmetrics_every = 1\nvalidate_every = 0\nsample_every = 0\n"
    )
    metrics = root / "runs" / "patient" / "metrics.jsonl"
    command = [sys.executable, "-m", "pictura.cli", "train", str(recipe), "--runs", str(root / "runs")]
    command += ["--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if metrics.exists() and metrics.stat().st_size:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err[-2000:]
    assert "Stopped and saved. Go on with: pictura train" in out
    folder = checkpoint.find_latest(root / "runs" / "patient")
    assert folder is not None
    last = [json.loads(line) for line in metrics.read_text().splitlines() if "loss" in line][-1]
    assert checkpoint.load(folder).step == last["step"] > 0


def test_an_autoencoder_ends_calibrated_and_serves_a_painter(root: Path) -> None:
    config = {"latent_channels": 4, "encoder_widths": [8, 8], "decoder_widths": [8, 8]}
    coder = run(make_recipe(task="autoencoder", name="coder", model={"autoencoder_config": config}), root)
    coder.train()
    assert saved(coder).weights["ema_long"]["autoencoder.latent_std"].item() != 1
    painter = run(make_recipe(name="painter", model={"preset": "micro", "autoencoder": "runs/coder"}), root)
    painter.train()
    assert saved(painter).config["grids"] == [[4, 4]]
    assert set(saved(painter).weights["frozen"]) == set(saved(coder).weights["ema_long"])


def test_a_run_starts_from_another_with_its_tokenizer(root: Path) -> None:
    old = run(make_recipe(name="old"), root)
    old.train()
    new = run(make_recipe(name="new", model={"init_from": "runs/old"}), root)
    assert new.step == 0
    weights = saved(old).weights["ema_long"]
    assert torch.equal(new.module.state_dict()["network.patch_in.weight"], weights["network.patch_in.weight"])
    assert new.task.tokenizer.to_text() == saved(old).tokenizer  # type: ignore[union-attr]


def test_a_loss_that_is_no_number_stops_the_run(root: Path) -> None:
    broken = run(make_recipe(name="broken"), root)
    with torch.no_grad():
        broken.module.get_parameter("network.patch_in.bias").fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"Step 0: loss nan .* Lower training\.learning_rate"):
        broken.train()


def test_a_run_of_another_network_is_not_overwritten(root: Path) -> None:
    run(make_recipe(name="same"), root).save()
    with pytest.raises(ConfigError, match="holds another network than the recipe asks for"):
        run(make_recipe(name="same", model={"preset": "xs-pixels"}), root)


def test_missing_data_is_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path is 'nowhere'"):
        run(make_recipe(data={"path": "nowhere"}), root)


def test_an_unknown_kind_of_data_is_named(root: Path) -> None:
    with pytest.raises(ConfigError, match="must be 'captioned', 'scenes' or 'glyphs'; got 'films'"):
        run(make_recipe(data={"kind": "films"}), root)
