"""Runs of three parts become one folder that paints by imagination, proven equal to torch first."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from safetensors.numpy import load_file

from pictura.core.errors import ConfigError, ModelError, TrainingError
from pictura.families.unclip.backend import UnclipParts
from pictura.store.models import ModelInfo, Sampling, read_model
from pictura.train.export import unclip as export_unclip
from pictura.train.export.checkpoint import export_checkpoint
from tests.tiny_unclip import make_checkpoints, make_parts


@pytest.fixture
def folder(unclip_home: Path) -> Path:
    return unclip_home / "models" / "unclip"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    make_checkpoints(runs)
    return runs


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, Any]:
    """What would be written, in place of the minute that tracing takes."""
    told: dict[str, Any] = {}

    def painter(*_: object, **given: Any) -> ModelInfo:
        told.update(given)
        return read_model(folder)

    monkeypatch.setattr(export_unclip, "export_painter", painter)
    monkeypatch.setattr(export_unclip, "unclip_graphs", lambda _: {})
    return told


def test_every_weight_is_named_and_none_is_held(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    assert {name.partition(".")[0] for name in weights} == {"prior", "decoder", "upsampler"}
    assert {str(array.dtype) for array in weights.values()} == {"float16"}
    model = read_model(folder)
    assert set(model.graphs) == {"text_encoder", "prior", "decoder", "upsampler"}
    named = set().union(*model.graphs.values())
    assert {name for name in named if name.startswith("clip.")} == set(model.graphs["text_encoder"])
    shown = {name for name in weights if name.startswith("prior.space.")}
    assert set(weights) - named == shown
    assert len(shown) == 3
    for name, wanted in model.graphs.items():
        graph = onnx.load(folder / f"{name}.onnx", load_external_data=False).graph
        outside = {t.name for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
        assert outside == set(wanted)


def test_the_folder_says_how_it_paints_and_whom_it_listens_to(folder: Path) -> None:
    model = read_model(folder)
    assert (model.family, model.by_imagination, model.by_tokens, model.one_pass) == (
        "unclip",
        True,
        False,
        False,
    )
    assert (model.grids, model.factor, model.max_tokens) == (((8, 8),), 4, 48)
    assert model.manifest["clip"]["name"] == "clip-plain"
    assert model.manifest["sampling"] == {
        "solver": "unclip",
        "num_steps": 16,
        "guidance_scale": 2.0,
        "guidance_interval": [0.0, 1.0],
        "shift": 1.0,
        "vector": "prior",
        "prior_steps": 16,
        "prior_guidance": 1.0,
        "decoder_solver": "ddim",
        "eta": 0.0,
        "upsampler_steps": 4,
    }
    card = (folder / "README.md").read_text()
    assert "By imagination: 16 steps of the prior with guidance 1, 16 of the decoder (ddim)" in card
    assert "It paints at 32x32 pixels" in card
    assert "Decoder: 7 steps in 0.5 hours; the weights are its 'ema_long'. Prior: 8 steps" in card
    assert model.data == (
        "nothing: the weights are random",
        *(f"what the {n} saw" for n in ("decoder", "prior", "upsampler")),
    )
    assert model.manifest["recipe"]["upsampler"]["task"] == "unclip-upsampler"
    assert (folder / "samples.png").is_file()


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (
            "clip.text_encoder.norm.weight",
            r"^text_encoder\.onnx differs from torch in tokens by \d.*; at most",
        ),
        ("clip.text_out.weight", r"^text_encoder\.onnx differs from torch in sentence by"),
        ("prior.query", r"^prior\.onnx differs from torch at 1 tokens by"),
        ("decoder.null_embedding", r"^decoder\.onnx differs from torch at 1 tokens by"),
        ("upsampler.unet.conv_out.bias", r"^upsampler\.onnx differs from torch at 1 tokens by"),
    ],
)
def test_a_graph_that_differs_from_torch_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, weight: str, words: str
) -> None:
    parts = UnclipParts.from_folder(read_model(folder))
    parts.state_dict()[weight].view(-1)[::2].add_(0.5)
    monkeypatch.setattr(UnclipParts, "from_folder", lambda *_, **__: parts)
    with pytest.raises(ModelError, match=words):
        export_unclip.verify_unclip(folder)


def test_settings_of_painting_are_exported_or_refused(
    runs: Path, tmp_path: Path, told: dict[str, Any]
) -> None:
    def export(**sampling: Any) -> Sampling:
        parts = {"prior": runs / "prior", "upsampler": runs / "upsampler"}
        export_checkpoint(runs / "decoder", tmp_path / "m", name="x", parts=parts, sampling=sampling)
        found: Sampling = told["sampling"]
        return found

    chosen = export(num_steps=8, guidance_scale=1.5)
    assert (chosen.num_steps, chosen.guidance_scale, chosen.prior_steps) == (8, 1.5, 16)
    with pytest.raises(
        ConfigError, match=r"holds a unclip-decoder, which paints by imagination: leave solver out"
    ):
        export(solver="ab2")
    with pytest.raises(ConfigError, match=r"^eta must be from 0"):
        export(eta=2.0)


def test_without_an_upsampler_pictures_stay_small(runs: Path, tmp_path: Path, told: dict[str, Any]) -> None:
    export_checkpoint(runs / "decoder", tmp_path / "m", name="x", parts={"prior": runs / "prior"})
    assert (told["factor"], told["tables"]["upsampler"]) == (1, None)
    assert {name.partition(".")[0] for name in told["weights"]} == {"prior", "decoder"}  # not the CLIP's


def test_what_cannot_be_joined_is_refused(runs: Path, tmp_path: Path, told: dict[str, Any]) -> None:
    def refused(words: str, run: Path = runs / "decoder", kind: Any = TrainingError, **parts: Path) -> None:
        with pytest.raises(kind, match=words):
            export_checkpoint(run, tmp_path / "m", name="x", parts=parts)

    prior = runs / "prior"
    refused(r"holds a decoder, which paints from vectors that a prior imagines\. Name the prior's run too")
    refused(r"holds no prior with weights 'ema_long'", prior=runs / "decoder")
    refused(r"holds no upsampler with weights", prior=prior, upsampler=prior)
    refused(r"holds a part of a painter by imagination\. Export the decoder's run, and name this", run=prior)
    make_checkpoints(tmp_path / "other", clip={"name": "other", "hash": "0" * 64})
    refused(
        r"^The prior learnt from the CLIP 'other' with hash 0000000000, the decoder from 'clip-plain' with",
        prior=tmp_path / "other" / "prior",
    )
    refused(
        r"^The decoder listens to the CLIP 'other' with hash 0000000000, which is not here\. Put that CLIP",
        run=tmp_path / "other" / "decoder",
        kind=ModelError,
        prior=tmp_path / "other" / "prior",
    )
    make_checkpoints(tmp_path / "rgb", parts=make_parts(image_channels=3))
    refused(
        r"^The decoder paints 3 channels, the upsampler reads 4\. Train both on the same pictures\.",
        run=tmp_path / "rgb" / "decoder",
        prior=prior,
        upsampler=runs / "upsampler",
    )
    assert not told


def test_other_runs_join_nothing(tmp_path: Path, runs: Path) -> None:
    make_checkpoints(tmp_path, recipe={"task": "flow"})
    words = r"holds a flow, which no other run joins: leave --prior out\.$"
    with pytest.raises(ConfigError, match=words):
        export_checkpoint(tmp_path / "decoder", tmp_path / "m", name="x", parts={"prior": runs / "prior"})
