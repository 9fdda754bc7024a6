"""Model folders are found by name or path, and every damage is named."""

import json
import shutil
from pathlib import Path

import pytest

from pictura.core.errors import ModelError, ModelNotFoundError
from pictura.store import models
from pictura.store.models import find_models, home, read_model, resolve


@pytest.fixture
def folder(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny model under a home of its own."""
    folder = tmp_path / "models" / "tiny"
    shutil.copytree(tiny_home / "models" / "tiny", folder)
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    return folder


def test_a_model_is_found_by_name_and_by_path(folder: Path) -> None:
    assert home() == folder.parents[1]
    assert resolve("tiny") == resolve(str(folder)) == resolve(folder)
    assert "tiny" in [model.name for model in find_models()]
    model = resolve("tiny")
    assert (model.family, model.kind, model.factor, model.max_tokens) == ("flow", "painter", 4, 16)
    assert model.grids[1] == (6, 10)
    assert 0.1 < model.size_mb < 0.5
    shutil.copytree(folder, folder.with_name(".tiny.pictura-new-0a1b2c-7-0123abcd"))  # an export under way
    assert [path for path in find_models() if path.path.name.startswith(".")] == []
    model.verify()


def test_default_stands_for_flow(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "EMBEDDED", tmp_path / "nothing")
    with pytest.raises(ModelNotFoundError, match=r"^No model is named 'default'\. Known: 'tiny'\.$"):
        resolve("default")
    shutil.copytree(folder, folder.with_name("flow"))
    assert resolve("default").path == folder.with_name("flow")


def test_an_unknown_name_comes_with_the_nearest(folder: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"^No model is named 'tiyn'\. Did you mean 'tiny'\?$"):
        resolve("tiyn")
    with pytest.raises(ModelNotFoundError, match=r"is no model folder: it holds no model\.json\."):
        resolve(folder.parent)


@pytest.mark.parametrize("name", ["weights.safetensors", "network.onnx", "tokenizer.json", "words.txt"])
def test_a_changed_byte_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{folder / name} is damaged: its SHA-256 is not the one in model"):
        resolve("tiny").verify()


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "network.onnx").unlink()
    with pytest.raises(ModelError, match=r"network\.onnx is missing\. Install or export the model 'tiny'"):
        resolve("tiny").verify()


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "words.txt").unlink()
    (folder / "words.txt").symlink_to("/proc/self/mem")  # a file whose start nobody can read, not even root
    with pytest.raises(
        ModelError, match=r"words\.txt cannot be read \(input/output error\)\. Allow yourself"
    ):
        resolve("tiny").verify()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format", 2, r"has format 2, but this Pictura reads format 1\. Update Pictura"),
        ("grids", 3, r"lacks a field or has a wrong one"),
        ("sampling", {}, r"lacks a field or has a wrong one \(KeyError\('guidance_interval'\)\)"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(folder: Path, key: str, value: object, words: str) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match=words):
        read_model(folder)


def test_a_broken_manifest_is_told_without_hiding_the_others(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("broken"))
    (folder.with_name("broken") / "model.json").write_text("{")
    told: list[ModelError] = []
    assert "tiny" in [model.name for model in find_models(on_broken=told.append)]
    assert [str(error).split(" should")[0] for error in told] == [
        str(folder.parent / "broken" / "model.json")
    ]
    with pytest.raises(ModelError):
        find_models()


def test_the_hash_is_of_what_painting_needs(folder: Path) -> None:
    path = folder / "model.json"
    manifest = json.loads(path.read_text())
    files, before = manifest["files"], resolve("tiny").hash

    def hash_with(**fields: object) -> str:
        path.write_text(json.dumps({**manifest, **fields}))
        return resolve("tiny").hash

    told = [
        hash_with(files={**files, "README.md": "0" * 64}),
        hash_with(metrics={"fd": 3.5}, created="today"),
    ]
    assert told == [before, before]
    works = [
        hash_with(files={**files, "network.onnx": "0" * 64}),
        hash_with(sampling={**manifest["sampling"], "shift": 2.0}),
        hash_with(grids=[[8, 8]]),
        hash_with(network={**manifest["network"], "num_heads": 1}),
        hash_with(max_tokens=8),
    ]
    assert len({before, *works}) == 6
