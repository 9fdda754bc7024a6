"""What a painter by tokens learnt becomes a small file beside its base, and a strength scales it."""

from pathlib import Path

import pytest
import torch

import pictura
from pictura.core import html
from pictura.core.errors import ConfigError
from pictura.families.dalle.policy import DallePolicy
from pictura.learn.actors import Actors
from pictura.learn.export import export_learnt
from pictura.learn.history import History
from pictura.learn.loop import Run
from pictura.learn.report.numbers import guards
from pictura.learn.weights import Full
from pictura.store.models import AUTOREGRESSIVE, ModelInfo
from pictura.store.weights import read_weights
from tests.learn.loop_kit import LINES, run
from tests.learn.token_kit import token_recipe


@pytest.fixture(scope="module")
def done(dalle_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three updates that changed much."""
    root = tmp_path_factory.mktemp("learn-tokens")
    (root / "lines.txt").write_text("\n".join(LINES))
    recipe = token_recipe(
        name="better",
        model={"base": str(dalle_home / "models" / "sharp"), "weights": "low_rank", "rank": 2},
        training={"num_updates": 3, "learning_rate": 0.2},
        guards={"held_out_times": 99},
    )
    made = run(recipe, root)
    assert made.learn().kind == "updates"
    return made


@pytest.fixture(scope="module")
def learnt(done: Run, tmp_path_factory: pytest.TempPathFactory) -> ModelInfo:
    return export_learnt(done.folder, tmp_path_factory.mktemp("models") / "better", name="better", last=True)


def paint(folder: Path, *, strength: float = 100) -> bytes:
    painter = pictura.load(folder, device="cpu", strength=strength)
    (picture,) = painter.paint("light fox", num_images=1, seed=1, guidance_scale=1)
    return picture.image.tobytes()


def test_at_strength_0_it_paints_what_the_base_paints(done: Run, learnt: ModelInfo) -> None:
    base = done.model.path
    assert learnt.deltas == ("delta.safetensors",)
    for name in ("weights.safetensors", "painter.onnx", "reader.onnx", "decoder.onnx"):
        assert (learnt.path / name).read_bytes() == (base / name).read_bytes()
    assert (learnt.path / "delta.safetensors").stat().st_size < 4e6
    assert paint(learnt.path, strength=0) == paint(base) != paint(learnt.path)


def test_the_weights_are_those_that_were_learnt(done: Run, learnt: ModelInfo) -> None:
    policy = DallePolicy.from_model(learnt, torch.device("cpu"))
    cond, codes = policy.read(["light fox"]), torch.arange(12)[None]
    theirs = done.actors.ema(codes, cond)
    torch.testing.assert_close(policy.logits({}, codes, cond), theirs, atol=1e-2, rtol=1e-2)
    assert float((theirs - done.actors.reference(codes, cond)).abs().max()) > 0.1
    start = read_weights(done.model.path)
    assert Actors(policy, Full(policy.learnable)).values.keys() < start.keys()


def test_it_paints_as_it_learnt_unless_told_otherwise(done: Run, learnt: ModelInfo, tmp_path: Path) -> None:
    assert done.model.sampling.guidance_scale == 3
    assert (learnt.sampling.solver, learnt.sampling.guidance_scale) == (AUTOREGRESSIVE, 1)
    assert (learnt.sampling.temperature, learnt.sampling.top_k) == (1, 0)
    said = learnt.manifest["learnt"]
    assert (said["algorithm"], said["rank"], said["base"]["name"]) == ("token-grpo", 2, "sharp")
    for sampling, words in (
        ({"solver": "euler"}, r"A model of the family 'dalle' has no solver: leave it out"),
        ({"top_k": 99}, r"top_k must be from 0 \(all\) to 32, .* got 99"),
    ):
        with pytest.raises(ConfigError, match=words):
            export_learnt(done.folder, tmp_path / "x", name="x", last=True, sampling=sampling)
    assert not (tmp_path / "x").exists()


def test_its_report_shows_the_least_entropy(done: Run) -> None:
    history = History.read(done.folder)
    least = min(history.series["entropy"].values())
    assert least < history.series["entropy"][1]
    (row,) = [row for row in guards(history).split("<tr") if "<code>entropy</code>" in row]
    assert html.number(least) in row
