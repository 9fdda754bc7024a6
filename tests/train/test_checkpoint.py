"""Checkpoints: whole or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pictura.core.errors import TrainingError
from pictura.train import checkpoint
from pictura.train.checkpoint import Checkpoint


def make(step: int = 7) -> Checkpoint:
    weights = {"a.weight": torch.arange(6.0).reshape(2, 3)}
    return Checkpoint(
        step=step,
        seconds=1.5,
        config={"network": {"width": 3}},
        weights={"model": weights, "ema_long": weights},
        optimizer={"0.0.exp_avg": torch.ones(2)},
        tokenizer="{}",
        words=("a", "fox"),
    )


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    checkpoint.save(make(), tmp_path)
    found = checkpoint.find_latest(tmp_path)
    assert found is not None
    back = checkpoint.load(found)
    assert (back.step, back.seconds, back.config) == (7, 1.5, {"network": {"width": 3}})
    assert (back.tokenizer, back.words) == ("{}", ("a", "fox"))
    assert torch.equal(back.weights["ema_long"]["a.weight"], make().weights["model"]["a.weight"])
    assert torch.equal(back.optimizer["0.0.exp_avg"], torch.ones(2))


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 200):
        checkpoint.save(make(step), tmp_path, keep=2)
    assert [f.name for f in sorted(tmp_path.iterdir())] == ["step-00000010", "step-00000200"]


def test_a_save_that_fails_leaves_the_checkpoint_of_the_same_step(tmp_path: Path) -> None:
    folder = checkpoint.save(make(), tmp_path)
    with pytest.raises(TypeError):
        checkpoint.save(replace(make(), config={"network": object()}), tmp_path)
    assert checkpoint.load(folder).config == {"network": {"width": 3}}
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert checkpoint.find_latest(tmp_path) is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = checkpoint.save(make(), tmp_path)
    path = folder / "ema_long.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"ema_long\.safetensors is damaged"):
        checkpoint.load(folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = checkpoint.save(make(), tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match="is not a whole checkpoint"):
        checkpoint.load(folder)
