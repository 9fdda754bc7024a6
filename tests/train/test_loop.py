"""The training loop: exact resume, several processes, budgets, and what goes wrong."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from pictura.core.errors import ConfigError, DataError, ModelError, TrainingError
from pictura.train import checkpoint
from pictura.train.loop import Run
from tests.train.kit import ALONE, make_recipe, make_set, run


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
        stopped._advance(0.0)
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


def run_by_two(*program: str) -> None:
    """Run it under torchrun in two processes on the CPU."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *program,
    ]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=hidden, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_two_processes_learn_what_one_does_that_accumulates(root: Path, optimizer: str) -> None:
    alone = run(make_recipe(name="alone", training={"accumulate": 2, "optimizer": optimizer}), root)
    alone.train()
    (root / "pair.toml").write_text(
        'task = "flow"\nname = "pair"\n[data]\npath = "set"\nsize = 16\n'
        '[model]\npreset = "micro-pixels"\nvocab_size = 300\n'
        f'[training]\nnum_steps = 4\nbatch_size = 4\nwarmup_steps = 1\noptimizer = "{optimizer}"\n'
        "[log]\nvalidate_every = 0\nsample_every = 0\ncheckpoint_every = 0\n"
    )
    run_by_two("-m", "pictura.cli", "train", str(root / "pair.toml"), "--runs", str(root / "runs"))
    folder = checkpoint.find_latest(root / "runs" / "pair")
    assert folder is not None
    pair, single = checkpoint.load(folder).weights["model"], saved(alone).weights["model"]
    assert pair.keys() == single.keys()
    for key, value in single.items():
        # AdamW divides by the gradient's size, so differences of rounding grow where it is near zero.
        torch.testing.assert_close(pair[key], value, atol=2e-4, rtol=1e-3, msg=key)


TWO_CLOCKS = """
import sys, time, torch
from pathlib import Path
from pictura.train.distributed import join
from pictura.train.loop import Run
from pictura.train.recipe import load_recipe

root = Path(sys.argv[1])
with join("cpu", threads=1) as process:
    run = Run(load_recipe(root / "clocks.toml"), root, root / "runs" / "clocks", process)
    right = time.monotonic
    time.monotonic = lambda: right() * (1 + process.rank)  # one is twice as fast as the other
    assert run.train(max_minutes=0.05) == "minutes"
    weights = torch.cat([weight.detach().flatten() for weight in run.module.parameters()])
    both = [torch.empty_like(weights) for _ in range(2)]
    torch.distributed.all_gather(both, weights)
    assert torch.equal(*both)
"""


def test_processes_whose_clocks_differ_learn_the_same(root: Path) -> None:
    (root / "clocks.py").write_text(TWO_CLOCKS)
    (root / "clocks.toml").write_text(
        'task = "flow"\nname = "clocks"\n[data]\npath = "set"\nsize = 16\n'
        '[model]\npreset = "micro-pixels"\nvocab_size = 300\n'
        "[training]\nbatch_size = 4\ndecay_fraction = 1.0\n"
        "[log]\nvalidate_every = 0\nsample_every = 0\ncheckpoint_every = 0\n"
    )
    run_by_two(str(root / "clocks.py"), str(root))


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
    images = done.task.sample(prompts, (16, 16))  # type: ignore[attr-defined]
    assert images[:, :3].mean(dim=(2, 3)).argmax(dim=1).tolist() == [0, 1, 2]


def test_minutes_end_the_run_with_the_decay_done(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()  # a clock on which every look takes a second; two looks a step
    monkeypatch.setattr("pictura.train.loop.time", SimpleNamespace(monotonic=lambda: next(looks)))
    done = run(make_recipe(name="minutes", training={"num_steps": 10**6}), root)
    assert done.train(max_minutes=1) == "minutes"
    assert done.step == 30
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
        try:
            while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()  # else it would train for days after a failure
    assert process.returncode == 130, err[-2000:]
    assert f"Stopped and saved. Go on with: pictura train {recipe} --runs {root / 'runs'}\n" in out
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


def test_a_painter_goes_on_with_a_better_decoder_but_not_in_another_space(root: Path) -> None:
    config = {"latent_channels": 4, "encoder_widths": [8, 8], "decoder_widths": [8, 8]}
    space = run(make_recipe(task="autoencoder", name="space", model={"autoencoder_config": config}), root)
    space.save()
    recipe = make_recipe(name="in-space", model={"preset": "micro", "autoencoder": "runs/space"})
    painter = run(recipe, root)
    painter.step = 3
    painter.save()

    def change(name: str) -> None:
        changed = saved(space)
        changed.weights["ema_long"][f"autoencoder.{name}"].add_(1)
        checkpoint.save(replace(changed, step=changed.step + 1), space.folder / "checkpoints")

    change("patch_out.bias")
    assert run(recipe, root).step == 3
    change("latent_mean")
    with pytest.raises(ConfigError, match="was trained in another space than the autoencoder of the recipe"):
        run(recipe, root)


def test_a_run_goes_on_with_its_tokenizer_though_the_captions_changed(tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    recipe = make_recipe(name="captions", model={"vocab_size": 262})
    before = run(recipe, tmp_path)
    before.save()
    for text in (tmp_path / "set").glob("*.txt"):
        text.write_text(text.read_text().replace("picture", "zigzag"))
    after = run(recipe, tmp_path)
    assert after.task.tokenizer.to_text() == before.task.tokenizer.to_text()  # type: ignore[union-attr]
    assert {"picture", "zigzag"} <= set(after.words)


def test_what_was_learnt_is_saved_before_it_is_looked_at(root: Path) -> None:
    class Impatient(Run):
        def validate(self) -> dict[str, float]:
            raise KeyboardInterrupt

    hurried = Impatient(make_recipe(name="hurried"), root, root / "runs" / "hurried", ALONE)
    with pytest.raises(KeyboardInterrupt):
        hurried.train()
    assert saved(hurried).step == 4


def test_a_run_starts_from_another_with_its_tokenizer(root: Path) -> None:
    old = run(make_recipe(name="old"), root)
    old.train()
    new = run(make_recipe(name="new", model={"init_from": "runs/old"}), root)
    assert new.step == 0
    weights = saved(old).weights["ema_long"]
    assert torch.equal(new.module.state_dict()["network.patch_in.weight"], weights["network.patch_in.weight"])
    assert new.task.tokenizer.to_text() == saved(old).tokenizer  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match=r"model\.init_from is 'runs/old', which holds no autoencoder\."):
        run(make_recipe(task="autoencoder", model={"init_from": "runs/old"}), root)


def test_a_run_paints_as_what_it_started_from_unless_told_otherwise(root: Path) -> None:
    way = {
        "solver": "euler",
        "num_steps": 5,
        "guidance_scale": 2.0,
        "guidance_interval": [0, 1],
        "shift": 3.0,
    }
    run(make_recipe(name="shifted", sampling=way), root).save()
    other = {**way, "solver": "ab2"}
    heirs = [
        make_recipe(name="heir", model={"init_from": "runs/shifted"}, **more)
        for more in ({}, {"sampling": other})
    ]
    for heir, wanted in zip(heirs, (way, other), strict=True):
        assert json.loads(json.dumps(run(heir, root)._config()["sampling"])) == wanted


def test_metrics_are_written_as_often_as_asked(root: Path) -> None:
    for every, lines in ((0, 0), (2, 2)):
        done = run(make_recipe(name=f"metrics-{every}", log={"metrics_every": every}), root)
        done.train()
        assert (done.folder / "metrics.jsonl").read_text().count("grad_norm") == lines


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


def test_a_preset_must_fit_the_space(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.preset 'micro' does not go with model\.autoencoder ''"):
        run(make_recipe(model={"preset": "micro"}), root)


def test_a_run_starts_from_an_intact_model_folder_alone(root: Path, tiny_home: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_home / "models" / "tiny", tmp_path / "model")
    recipe = make_recipe(name="from-model", model={"init_from": str(folder)})
    start = load_file(folder / "weights.safetensors")["network.patch_in.weight"]
    begun = run(recipe, root)
    assert torch.equal(begun.module.state_dict()["network.patch_in.weight"], start.float())
    assert begun._config()["data"] == [
        "nothing: the weights are random",
        "what it started from",
    ]  # credit goes on with the weights
    (folder / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"weights\.safetensors is damaged"):
        run(recipe, root)


def test_missing_data_is_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path is 'nowhere'"):
        run(make_recipe(data={"path": "nowhere"}), root)


def test_single_glyphs_are_for_autoencoders(root: Path) -> None:
    with pytest.raises(ConfigError, match="knows no hold-outs and is for autoencoders"):
        run(make_recipe(data={"kind": "glyphs"}), root)


def test_an_unknown_kind_of_data_is_named(root: Path) -> None:
    with pytest.raises(ConfigError, match="must be 'captioned', 'scenes' or 'glyphs'; got 'films'"):
        run(make_recipe(data={"kind": "films"}), root)
