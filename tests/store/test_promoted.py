"""What `default` stands for: promoted whole or not at all, kept, rolled back; the base is never touched."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pictura.core.errors import ModelError, ModelNotFoundError
from pictura.store import models
from pictura.store.models import default_name, find_models, read_model, resolve
from pictura.store.promoted import KEEP, PROMOTED, Version, next_name, promote, read_shelf, roll_back
from tests.tiny_model import make_learnt

AGAIN = """
import itertools, sys
from pathlib import Path
from pictura.store.promoted import Version, next_name, promote
for number in itertools.count():
    name = next_name("flow-rated")
    version = Version(name=name, hash="", base="flow", promoted_at=0.0, numbers={})
    promote(Path(sys.argv[1]), version, as_default=True)
    print(name, flush=True)
"""


@pytest.fixture
def home(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own; the package brings `flow`, which is tiny."""
    shutil.copytree(tiny_home / "models" / "tiny", tmp_path / "embedded" / "flow")
    monkeypatch.setattr(models, "EMBEDDED", tmp_path / "embedded")
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def candidate(home: Path, tmp_path: Path) -> Path:
    return make_learnt(resolve("flow"), tmp_path / "candidate", name="better").path


def version(name: str) -> Version:
    return Version(name=name, hash="x", base="flow", promoted_at=1.0, numbers={"pairs": 200})


def put(candidate: Path, name: str) -> None:
    promote(candidate, version(name), as_default=True)


def test_default_is_the_version_that_was_promoted_and_flow_stays_what_it_is(
    home: Path, candidate: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in (tmp_path / "embedded" / "flow").iterdir()}
    assert (default_name(), resolve("default").path.name) == ("flow", "flow")
    put(candidate, "flow-rated-1")
    assert resolve("default").path == home / "models" / "flow-rated-1"
    assert resolve("default").hash == read_model(candidate).hash
    resolve("default").verify()
    assert resolve("flow").path == tmp_path / "embedded" / "flow"
    assert {path.name: path.read_bytes() for path in (tmp_path / "embedded" / "flow").iterdir()} == before
    assert read_shelf().find("flow-rated-1") == version("flow-rated-1")
    assert "flow-rated-1" in [model.path.name for model in find_models()]


def test_a_version_that_shall_not_be_the_default_is_only_kept(home: Path, candidate: Path) -> None:
    promote(candidate, version("other-rated-1"), as_default=False)
    assert default_name() == "flow"
    assert resolve("other-rated-1").path == home / "models" / "other-rated-1"


def test_rolling_back_goes_one_step_or_to_a_name(home: Path, candidate: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"'default' is 'flow' as it came: there is nothing"):
        roll_back(None, base="flow")
    for number in (1, 2, 3):
        put(candidate, f"flow-rated-{number}")
    for name in ("flow-rated-2", "flow-rated-1", "flow"):
        roll_back(None, base="flow")
        assert default_name() == name
    roll_back("flow-rated-3", base="flow")
    assert default_name() == "flow-rated-3"
    roll_back("flow", base="flow")
    assert default_name() == "flow"
    with pytest.raises(
        ModelNotFoundError,
        match=r"No version named 'flow-rated-9' is kept. .* one of: 'flow', 'flow-rated-1'",
    ):
        roll_back("flow-rated-9", base="flow")
    put(candidate, next_name("flow-rated"))
    assert default_name() == "flow-rated-4"


def test_five_versions_are_kept_and_the_one_in_use(home: Path, candidate: Path) -> None:
    put(candidate, "flow-rated-1")
    for number in range(2, KEEP + 2):
        promote(candidate, version(f"flow-rated-{number}"), as_default=False)
    kept = {path.name for path in (home / "models").iterdir()}
    assert kept == {f"flow-rated-{number}" for number in range(1, KEEP + 2)}
    assert default_name() == "flow-rated-1"
    put(candidate, f"flow-rated-{KEEP + 2}")
    kept = {path.name for path in (home / "models").iterdir()}
    assert kept == {f"flow-rated-{number}" for number in range(3, KEEP + 3)}
    assert len(read_shelf().versions) == KEEP
    assert next_name("flow-rated") == f"flow-rated-{KEEP + 3}"


def test_a_version_whose_folder_is_gone_gives_way_to_the_base(home: Path, candidate: Path) -> None:
    put(candidate, "flow-rated-1")
    shutil.rmtree(home / "models" / "flow-rated-1")
    assert resolve("default").path.name == "flow"
    with pytest.raises(ModelNotFoundError, match="is kept"):
        roll_back("flow-rated-1", base="flow")


@pytest.mark.parametrize("text", ["{", '{"format": 2}', '{"format": 1}', "[]"])
def test_a_damaged_file_is_named(home: Path, text: str) -> None:
    home.mkdir()
    (home / PROMOTED).write_text(text)
    with pytest.raises(ModelError, match=rf"{home / PROMOTED} should say .* Remove it to have the base back"):
        resolve("default")
    assert resolve("flow").name == "tiny"


def test_a_kill_at_any_moment_leaves_the_old_default_or_the_new_one(home: Path, candidate: Path) -> None:
    dice, last = random.Random(4), 0
    for _ in range(4):
        command = [sys.executable, "-c", AGAIN, str(candidate)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline().strip()
            time.sleep(dice.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
            said = [first, *process.stdout.read().split()]
        shelf = read_shelf()
        number = int(default_name().rpartition("-")[2])
        assert number in (int(said[-1].rpartition("-")[2]), int(said[-1].rpartition("-")[2]) + 1)
        assert number > last
        last = number
        resolve("default").verify()
        assert len(shelf.versions) <= KEEP
        for one in shelf.versions:
            read_model(home / "models" / one.name).verify()
    put(candidate, next_name("flow-rated"))
    assert json.loads((home / PROMOTED).read_text())["retired"] == []
