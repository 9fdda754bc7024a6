"""A run of the family dalle becomes a folder that paints by tokens, proven equal to torch first."""

import dataclasses
import json
import shutil
from pathlib import Path

import onnx
import pytest
from safetensors.numpy import load_file

from pictura.core.errors import ConfigError, ModelError, TrainingError
from pictura.families.dalle.backend import DalleParts
from pictura.store.models import EMBEDDED, ModelInfo, Sampling, read_model
from pictura.train.export import dalle as export_dalle
from pictura.train.export.checkpoint import export_checkpoint
from tests.tiny_dalle import make_checkpoint
from tests.tiny_model import make_model


@pytest.fixture
def folder(dalle_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dalle_home / "models" / "sharp", tmp_path / "sharp"))


def test_every_weight_that_painting_needs_is_named_and_none_is_held(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    assert {name.partition(".")[0] for name in weights} == {"transformer", "dvae"}
    assert {str(array.dtype) for array in weights.values()} == {"float16"}
    model = read_model(folder)
    assert set(model.graphs) == {"reader", "painter", "decoder", "encoder"}
    named = set().union(*model.graphs.values())
    assert set(weights) - named == {f"transformer.text_out.{end}" for end in ("weight", "bias")}
    for name, wanted in model.graphs.items():
        graph = onnx.load(folder / f"{name}.onnx", load_external_data=False).graph
        outside = {t.name for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
        assert outside == set(wanted)


def test_the_painter_asks_for_the_memory_of_each_block(folder: Path) -> None:
    graph = onnx.load(folder / "painter.onnx", load_external_data=False).graph
    memory = [f"{kind}_{i}" for kind in ("keys", "values") for i in range(3)]
    assert [one.name for one in graph.input] == ["codes", "index", "row", "column", "conv", *memory]


def test_the_folder_says_how_it_paints(folder: Path) -> None:
    model = read_model(folder)
    assert (model.family, model.by_tokens, model.one_pass) == ("dalle", True, False)
    assert (model.grids, model.factor, model.max_tokens) == (((3, 4),), 4, 12)
    card = (folder / "README.md").read_text()
    assert "Token by token at temperature 1, guidance 3. It paints at 16x12 pixels" in card
    assert "7 steps in 0.5 hours; the weights are its 'ema_long'." in card
    assert "nothing picked](samples.png)" in card


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ("transformer.image_start", r"^reader\.onnx differs from torch at 1 tokens by \d.*; at most"),
        ("transformer.row_embedding.weight", r"^painter\.onnx differs from torch at 1 tokens and code 0 by"),
        ("dvae.decoder.codes.bias", r"^decoder\.onnx differs from torch by"),
        ("dvae.encoder.logits.bias", r"^encoder\.onnx differs from torch by"),
    ],
)
def test_a_graph_that_differs_from_torch_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, weight: str, words: str
) -> None:
    parts = DalleParts.from_folder(read_model(folder))
    parts.state_dict()[weight].view(-1)[::2].add_(0.5)
    monkeypatch.setattr(DalleParts, "from_folder", lambda *_: parts)
    with pytest.raises(ModelError, match=words):
        export_dalle.verify_dalle(folder)


def test_settings_of_painting_are_exported_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dalle_home: Path
) -> None:
    make_checkpoint(tmp_path / "run")
    told: list[Sampling] = []

    def painter(*_: object, sampling: Sampling, **__: object) -> ModelInfo:
        told.append(sampling)
        return read_model(dalle_home / "models" / "sharp")

    monkeypatch.setattr(export_dalle, "export_painter", painter)
    monkeypatch.setattr(export_dalle, "dalle_graphs", lambda _: {})
    chosen = {"guidance_scale": 1.5, "temperature": 0.8, "top_k": 9}
    export_checkpoint(tmp_path / "run", tmp_path / "m", name="x", sampling=chosen)
    (sampling,) = told
    assert {name: getattr(sampling, name) for name in chosen} == chosen
    assert {**chosen, "solver": "autoregressive"}.items() <= sampling.table().items()

    def refused(words: str, weights: str = "ema_long", **sampling: object) -> None:
        with pytest.raises((ConfigError, TrainingError), match=words):
            export_checkpoint(tmp_path / "run", tmp_path / "m", name="x", weights=weights, sampling=sampling)

    refused(
        r"holds a dalle, which paints by tokens: leave solver, num_steps out\.$", solver="ab2", num_steps=4
    )
    refused(r"^top_k must be from 0 \(all\) to 32", top_k=33)
    refused(r"^temperature must be 0 \(the likeliest token\) or", temperature=-1.0)
    refused(r"holds no transformer with weights 'ema_short': it cannot be exported\.", weights="ema_short")


def test_others_have_neither_temperature_nor_top_k(tmp_path: Path) -> None:
    """Not even in their files, so that models of before keep their hashes."""
    with pytest.raises(
        ConfigError, match=r"holds a flow, which paints by steps: leave temperature, top_k out\.$"
    ):
        make_model(tmp_path / "m", sampling={"temperature": 1.0, "top_k": 0})
    for name in ("flow", "stackgan"):
        said = json.loads((EMBEDDED / name / "model.json").read_text())["sampling"]
        sampling = read_model(EMBEDDED / name).sampling
        assert sampling.table() == {**said, "guidance_interval": tuple(said["guidance_interval"])}
        assert list(sampling.table()) == list(said)
        assert {"temperature", "top_k"} <= dataclasses.asdict(sampling).keys() - said.keys()
