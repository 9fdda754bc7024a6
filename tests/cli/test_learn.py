"""`pictura learn`: from a recipe to a report and a model, and what it says when a guard stops it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pictura.cli.app import app
from pictura.store.models import read_model
from tests.learn.loop_kit import make_root

RECIPE = """
name = "brighter"
model = { base = "painter", weights = "low_rank", rank = 4 }
prompts = { kind = "lines", path = "lines.txt", per_update = 4, group_size = 4 }
rollout = { num_steps = 4, solver = "euler", shift = 1.0 }
training = { num_updates = 6, learning_rate = 3e-3, warmup_updates = 1, ema_decay = 0.5 }
held_out = { prompts = 2, seeds = 8, every = 3 }
log = { prompts = ["light fox", "dark sun"] }
[[rewards]]
name = "brightness"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a painter, lines and a recipe."""
    folder = make_root(tmp_path_factory.mktemp("cli-learn"))
    (folder / "brighter.toml").write_text(RECIPE)
    return folder


def call(root: Path, recipe: str, *more: str) -> Result:
    options = ("--runs", str(root / "runs"), "--device", "cpu", *more)
    return CliRunner().invoke(app, ["learn", str(root / recipe), *options])


def test_a_recipe_becomes_a_report_and_a_model(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(root / "home"))
    done = call(root, "brighter.toml")
    assert done.exit_code == 0, done.output
    run, model = root / "runs" / "brighter", root / "home" / "models" / "brighter"
    first, report, told = done.stdout.splitlines()
    assert first == f"{run}: update 6, 0 min of learning. All updates are done."
    assert report == f"Report: {run / 'report.html'}"
    assert "<html" in (run / "report.html").read_text()
    assert told == f"Model: {model}. Paint with: pictura imagine 'a red apple' --model brighter"
    assert read_model(model).name == "brighter"
    assert len(list((run / "samples").glob("update-*.png"))) == 2


def test_a_guard_that_stops_it_is_an_error_with_its_reason(root: Path) -> None:
    (root / "strict.toml").write_text(
        RECIPE.replace("brighter", "strict") + "[guards]\nmin_diversity = 2.0\n"
    )
    stopped = call(root, "strict.toml", "--no-export")
    assert stopped.exit_code == 10
    assert (
        "update 0, 0 min of learning. A guard stopped it: diversity: the pictures of a prompt"
        in stopped.stdout
    )
    again = call(root, "strict.toml", "--no-export")
    assert again.exit_code == 2
    assert again.stderr.startswith("Error: A guard stopped this run: diversity: ")


def test_a_reward_of_ones_own_is_named_on_the_command_line(root: Path) -> None:
    (root / "mine.toml").write_text(RECIPE.replace("brighter", "mine"))
    done = call(root, "mine.toml", "--no-export", "--reward", "tests.learn.loop_kit:aligned")
    assert done.exit_code == 0, done.output
    again = call(root, "mine.toml", "--reward", "tests.learn.loop_kit:nothing")
    assert again.exit_code == 2
    assert "has no 'nothing'" in again.stderr
