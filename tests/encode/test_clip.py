"""Two towers: unit vectors, padding that does not matter, a loss with known values, and the same on ONNX."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError, ModelError, SizeError
from pictura.encode.clip.config import ClipConfig, get_preset
from pictura.encode.clip.load import ClipModel, clip_of
from pictura.encode.clip.model import Clip, DetectorTower, contrastive_loss
from pictura.encode.tokenizer import Tokenizer
from pictura.runtime import onnx_clip
from pictura.runtime.onnx_clip import OnnxClip
from pictura.store.models import ModelInfo, read_model
from pictura.train.export import graphs
from pictura.train.export.clip import clip_graphs, verify_clip
from pictura.train.export.part import Provenance, export_part

CAPTIONS = ("a red fox", "two blue balls", "a green apple on a white background")


def make_clip(preset: str = "micro") -> tuple[Clip, Tokenizer]:
    """Untrained towers."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(CAPTIONS, vocab_size=300, max_tokens=16)
    return Clip(get_preset(preset, tokenizer.vocab_size)).eval(), tokenizer


def make_folder(folder: Path, preset: str = "micro") -> ModelInfo:
    """Untrained towers in a folder, with graphs."""
    clip, tokenizer = make_clip(preset)
    table = {name: getattr(clip.config, name) for name in clip.config.__dataclass_fields__}
    return export_part(
        folder,
        name="tiny-clip",
        family="clip",
        config={"clip": table, "size": 64},
        weights=clip.state_dict(),
        tokenizer=tokenizer,
        graphs=clip_graphs(clip),
        provenance=Provenance(),
        card_text="Knows nothing.",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("clip") / "tiny-clip").path


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 3, 64, 64), dtype=np.float32)


def loss_of(image_BD: Tensor, text_ND: Tensor, *, scale: float, rival_BN: Tensor | None = None) -> Tensor:
    everyone = torch.ones(len(image_BD), len(text_ND), dtype=torch.bool)
    return contrastive_loss(
        image_BD, text_ND, torch.tensor(scale), everyone if rival_BN is None else rival_BN
    )


@pytest.mark.parametrize("preset", ["micro", "micro-transformer", "micro-detector"])
def test_vectors_have_length_one_and_do_not_see_their_neighbours(preset: str) -> None:
    clip, tokenizer = make_clip(preset)
    images = torch.from_numpy(pictures(3))
    seen = clip.embed_images(images)
    assert seen.shape == (3, 16)
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(clip.embed_images(images[1:2]), seen[1:2], atol=1e-6, rtol=0)
    assert (seen[0] - seen[1]).abs().max() > 1e-3
    read = clip.embed_text(*map(torch.from_numpy, tokenizer.batch(CAPTIONS)))
    torch.testing.assert_close(read.norm(dim=1), torch.ones(3))


def test_where_a_thing_stands_is_seen() -> None:
    for preset in ("micro", "micro-transformer", "micro-detector"):
        clip, _ = make_clip(preset)
        image = torch.full((1, 3, 64, 64), 0.8)
        image[:, :, 8:24, 4:20] = 0.0
        there = clip.embed_images(image.flip(3))
        assert (clip.embed_images(image) - there).abs().max() > 1e-3, preset


def test_padding_does_not_matter() -> None:
    clip, tokenizer = make_clip()
    ids, mask = map(torch.from_numpy, tokenizer.batch(CAPTIONS[:1]))
    longer = torch.nn.functional.pad(ids, (0, 5), value=7)
    torch.testing.assert_close(
        clip.embed_text(longer, torch.nn.functional.pad(mask, (0, 5))), clip.embed_text(ids, mask)
    )
    assert (clip.embed_text(longer, torch.ones_like(longer, dtype=torch.bool))
            - clip.embed_text(ids, mask)).abs().max() > 1e-3  # fmt: skip


def test_perfect_alignment_has_no_loss_and_none_at_all_has_that_of_a_guess() -> None:
    eye = torch.eye(4)
    assert float(loss_of(eye, eye, scale=100.0).max()) < 1e-6
    torch.testing.assert_close(loss_of(eye, eye.flip(0), scale=100.0), torch.full((4,), 100.0))
    same = torch.ones(4, 4) / 2
    torch.testing.assert_close(loss_of(same, same, scale=30.0), torch.full((4,), math.log(4)))


def test_pictures_and_captions_are_treated_alike() -> None:
    images, texts = torch.nn.functional.normalize(torch.randn(2, 5, 8), dim=-1)
    torch.testing.assert_close(loss_of(images, texts, scale=9.0), loss_of(texts, images, scale=9.0))


def test_a_wrong_caption_more_is_a_rival_and_one_that_may_be_true_is_none() -> None:
    eye = torch.eye(3)
    texts = torch.cat([eye, eye[:1]])  # the last reads like the first picture's own
    everyone = torch.ones(3, 4, dtype=torch.bool)
    wrong = loss_of(eye, texts, scale=50.0, rival_BN=everyone)
    torch.testing.assert_close(wrong, torch.tensor([math.log(2) / 2, 0.0, 0.0]), atol=1e-6, rtol=0)
    everyone[0, 3] = False
    assert float(loss_of(eye, texts, scale=50.0, rival_BN=everyone).max()) < 1e-6


def test_a_folder_gives_the_towers_back_and_onnx_gives_the_same(folder: Path) -> None:
    clip, _ = make_clip()
    model, twin = ClipModel.load(folder), OnnxClip(folder)
    assert (model.name, model.dim, model.hash) == ("tiny-clip", 16, read_model(folder).hash)
    assert (twin.name, twin.dim, twin.hash) == (model.name, model.dim, model.hash)
    images, captions = pictures(5), [*CAPTIONS, "", "an apple " * 30]
    seen, read = model.embed_images(images), model.embed_text(captions)
    assert {str(seen.dtype), str(read.dtype)} == {"float32"}
    np.testing.assert_allclose(np.linalg.norm(read, axis=1), 1, atol=1e-5)
    expected = clip.embed_images(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(seen, expected, atol=3e-3)  # fp16 on disk
    np.testing.assert_allclose(twin.embed_images(images), seen, atol=1e-4)
    np.testing.assert_allclose(twin.embed_text(captions), read, atol=1e-4)
    assert model.embed_text([]).shape == twin.embed_images(images[:0]).shape == (0, 16)


@pytest.mark.parametrize("preset", ["micro-transformer", "micro-detector"])
def test_other_towers_are_exported_too(preset: str, tmp_path: Path) -> None:
    verify_clip(make_folder(tmp_path / "tiny-clip", preset).path)


def test_a_detector_tower_sees_a_background_that_its_trunk_does_not() -> None:
    clip, _ = make_clip("micro-detector")
    assert isinstance(clip.image_tower, DetectorTower)
    for weight in clip.image_tower.trunk.parameters():
        torch.nn.init.zeros_(weight)
    white, grey = torch.ones(1, 3, 64, 64), torch.full((1, 3, 64, 64), 0.5)
    assert (clip.embed_images(white) - clip.embed_images(grey)).abs().max() > 1e-3


def test_graphs_that_differ_from_torch_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verify_clip(folder)

    def changed(model: ModelInfo) -> Clip:
        clip = clip_of(model)
        clip.text_out.weight.data[0] += 0.1
        return clip

    monkeypatch.setattr("pictura.encode.clip.load.clip_of", changed)
    with pytest.raises(ModelError, match=r"^text_encoder of .* differs from torch by \d.*; at most 1\.0e-04"):
        verify_clip(folder)
    assert graphs.TOLERANCE == 1e-4


def test_what_is_no_clip_or_no_picture_is_refused(folder: Path, tiny_home: Path) -> None:
    flow = tiny_home / "models" / "tiny"
    with pytest.raises(ModelError, match=r"should hold a CLIP, but is of the family 'flow'\.$"):
        ClipModel.load(flow)
    with pytest.raises(ModelError, match=r"should hold a CLIP with graphs; it holds 'flow'"):
        OnnxClip(flow)
    for model in (ClipModel.load(folder), OnnxClip(folder)):
        with pytest.raises(SizeError, match=r"A CLIP reads pictures of shape .*; got \(1, 3, 32, 32\)\.$"):
            model.embed_images(pictures(1)[:, :, :32, :32])
    with pytest.raises(ConfigError, match=r"must be 'resnet' or 'transformer'; got 'resnets'\. Did you mean"):
        ClipConfig(tower="resnets")
    with pytest.raises(ConfigError, match=r"needs 3 widths and 3 depths for a resnet; got 2 and 3\.$"):
        ClipConfig(widths=(8, 8))
    with pytest.raises(ConfigError, match=r"^No CLIP preset is named 'mirco'\. Did you mean 'micro'"):
        get_preset("mirco", 300)


def test_the_twin_imports_no_torch() -> None:
    text = Path(str(onnx_clip.__file__)).read_text()
    assert "import torch" not in text
    assert "encode.clip" not in text.replace("`encode.clip.load.ClipModel`", "")


def test_scorer_and_guide_come_with_pictura_and_have_nothing_in_common() -> None:
    package = Path(str(onnx_clip.__file__)).parents[1]
    score, guide = package / "evaluate" / "nets" / "clip-score", package / "models" / "clip-guide"
    said = [read_model(folder).manifest for folder in (score, guide)]
    assert [m["recipe"]["data"]["half"] for m in said] == ["B", "A"]
    assert [m["clip"]["tower"] for m in said] == ["resnet", "detector"]
    assert said[0]["recipe"]["seed"] != said[1]["recipe"]["seed"]
    names = ("red", "green", "blue", "black")
    captions = [f"a square on a {name} background" for name in names]
    colours = np.array([(0.86, 0.09, 0.12), (0.13, 0.62, 0.2), (0.1, 0.35, 0.9), (0.1, 0.1, 0.1)])
    images = np.broadcast_to(colours[:, :, None, None], (4, 3, 64, 64)).astype(np.float32).copy()
    images[:, :, 20:44, 20:44] = 0.97
    for folder in (score, guide):
        verify_clip(folder)
        assert sum(path.stat().st_size for path in folder.iterdir()) < 10e6
        clip = OnnxClip(folder)
        cosines = clip.embed_images(images) @ clip.embed_text(captions).T
        assert cosines.argmax(axis=1).tolist() == [0, 1, 2, 3]
