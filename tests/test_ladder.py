"""The training ladder knows what ships, what is stale, and goes on where a run stopped."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.train.kit import make_set

ROOT = Path(__file__).resolve().parents[1]
RECIPE = """
task = "flow"
name = "rung"
[data]
path = "set"
size = 16
[model]
preset = "micro-pixels"
vocab_size = 300
[training]
num_steps = 3
batch_size = 4
warmup_steps = 1
[log]
sample_every = 0
validate_every = 0
"""


@pytest.fixture(scope="module")
def ladder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ladder", ROOT / "recipes" / "ladder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def steps(ladder: ModuleType) -> dict[str, Any]:
    return {step.name: step for step in ladder.load_steps()}


def test_every_model_that_ships_is_a_step_behind_what_it_reads(
    ladder: ModuleType, steps: dict[str, Any]
) -> None:
    manifests = [
        *ROOT.glob("src/pictura/models/*/model.json"),
        *ROOT.glob("src/pictura/evaluate/nets/*/model.json"),
    ]
    assert sorted(path.parent for path in manifests) == sorted(
        ROOT / "src" / "pictura" / step.ships for step in steps.values() if step.ships
    )
    order = list(steps)
    for step in steps.values():
        assert all(order.index(name) < order.index(step.name) for name in (*step.after, *step.parts.values()))
        assert step.table["training"]


def test_a_changed_setting_makes_a_model_stale(
    ladder: ModuleType, steps: dict[str, Any], tmp_path: Path
) -> None:
    assert [name for name, step in steps.items() if ladder.why_stale(step)] == []
    text = (ROOT / "recipes" / "attngan.toml").read_text()
    changed = tmp_path / "attngan.toml"
    changed.write_text(
        text.replace("learning_rate = 4e-4", "learning_rate = 5e-4", 1).replace("seed = ", "seed = 1")
    )
    step = replace(steps["attngan"], recipe=str(changed))
    assert ladder.why_stale(step) == "trained with training.learning_rate 0.0004, not 0.0005"
    todo = ladder.to_train([replace(steps["damsm"]), step], tmp_path / "runs")
    assert [one.name for one in todo] == ["damsm", "attngan"]


def test_a_model_that_listens_to_another_clip_is_stale(
    ladder: ModuleType, steps: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = steps["unclip"].shipped
    shipped["clip"]["hash"] = "0" * 64
    monkeypatch.setattr(ladder.Step, "shipped", property(lambda _: shipped))
    assert ladder.why_stale(steps["unclip"]) == "listens to another clip-plain"


def test_a_run_goes_on_until_it_is_done(ladder: ModuleType, tmp_path: Path) -> None:
    make_set(tmp_path / "set")
    (tmp_path / "rung.toml").write_text(RECIPE)
    step, runs = ladder.Step(name="rung", recipe=str(tmp_path / "rung.toml")), tmp_path / "runs"
    assert ladder.progress(step, runs) == {"step": 0, "seconds": 0.0}
    assert ladder.to_train([step], runs, ["rung"]) == [step]
    assert ladder.train(step, runs, 5.0, 1)
    assert ladder.progress(step, runs)["step"] == 3
    assert ladder.to_train([step], runs, ["rung"]) == []
    (tmp_path / "rung.toml").write_text(RECIPE.replace("num_steps = 3", "num_steps = 4"))
    assert not ladder.is_done(step, runs)


def test_a_gain_is_what_chance_does_not_explain(ladder: ModuleType) -> None:
    old = {"overall": 0.30, "interval": [0.28, 0.32]}
    assert ladder.gain({"overall": 0.36, "interval": [0.34, 0.38]}, old) == pytest.approx(0.02)
    assert ladder.gain({"overall": 0.33, "interval": [0.31, 0.35]}, old) < 0
    assert ladder.gain(old, None) > 0
    assert ladder.gain(None, old) < 0


def test_an_unknown_step_is_named_with_those_that_are(ladder: ModuleType, steps: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match=r"No step is named 'flwo'. These are: clip-score, clip-plain"):
        ladder.to_train(list(steps.values()), Path("runs"), ["flwo"])


def test_it_runs_as_a_script_from_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "recipes" / "ladder.py"), "--runs", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "| flow | flow-long.toml | ships |" in done.stdout


def test_the_table_shows_every_step(ladder: ModuleType, steps: dict[str, Any], tmp_path: Path) -> None:
    row = ladder.told(steps["flow"], tmp_path)
    scores = json.loads((ROOT / "src/pictura/models/flow/model.json").read_text())["metrics"]["glyphbench"]
    assert row[:3] == ["flow", "flow-long.toml", "ships"]
    assert row[5].startswith(f"{scores['overall']:.3f} [")
