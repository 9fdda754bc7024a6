"""A part's folder is whole, is listed, says what it is for, and is refused where a painter is wanted."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pictura.cli.app import app
from pictura.core.errors import ConfigError, ModelError, StorageError
from pictura.store.models import ModelInfo, read_model
from pictura.store.weights import read_weights
from pictura.train.export.part import Provenance, export_part

PROVENANCE = Provenance(
    licence="CC0-1.0", data=("squares",), metrics={"accuracy": {"two": 0.5}}, training="In a minute."
)


def make(folder: Path, **changes: object) -> ModelInfo:
    """A part of one weight."""
    given = {
        "name": "eye",
        "family": "judge",
        "config": {"judge": {"width": 3}},
        "weights": {"judge.head": torch.tensor([[1.0, -0.5, 0.25]])},
        "provenance": PROVENANCE,
        "card_text": "It reads pictures. It is blind to smells.",
    }
    return export_part(folder, **{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    make(tmp_path / "models" / "eye")
    return tmp_path


def test_a_part_says_what_it_is_and_gives_its_weights_back(tmp_path: Path) -> None:
    part = make(tmp_path / "eye")
    part.verify()
    assert (part.kind, part.family, part.grids, part.advised) == ("part", "judge", (), None)
    assert part.manifest["judge"] == {"width": 3}
    np.testing.assert_array_equal(read_weights(part.path)["judge.head"], [[1.0, -0.5, 0.25]])
    card = (part.path / "README.md").read_text()
    for words in ("It is blind to smells.", "- squares", "In a minute.", "- accuracy.two: 0.5", "CC0-1.0"):
        assert words in card
    assert part.files["weights.safetensors"] in card


def test_models_lists_parts_beside_painters(home: Path) -> None:
    listed = json.loads(CliRunner().invoke(app, ["models", "--json"]).stdout)
    assert {"eye": "part"}.items() <= {m["name"]: m["kind"] for m in listed}.items()


def test_painting_with_a_part_is_refused_in_a_sentence(home: Path) -> None:
    result = CliRunner().invoke(app, ["imagine", "a fox", "--model", "eye", "--out", str(home / "pictures")])
    assert result.exit_code == ModelError.exit_code
    assert result.stderr.splitlines() == [
        "Error: 'eye' is a judge part and does not paint. "
        "Choose a model of the kind painter: `pictura models` lists them."
    ]
    assert not (home / "pictures").exists()


def test_what_cannot_be_written_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^The tables of a part may not be named recipe: model\.json needs"
    ):
        make(tmp_path / "eye", config={"recipe": {}})
    with pytest.raises(ModelError, match=r"not finite in fp16: head"):
        make(tmp_path / "eye", weights={"head": torch.tensor([1e9])})

    def differs(folder: Path) -> None:
        read_model(folder).verify()
        raise ModelError("it differs")

    with pytest.raises(ModelError, match="it differs"):
        make(tmp_path / "eye", verify=differs)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match="is a folder of something else"):
        make(tmp_path)


def test_a_kind_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "eye").path / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "kind": "tool"}))
    with pytest.raises(ModelError, match="has a wrong one"):
        read_model(tmp_path / "eye")
