"""The standard metrics by torchmetrics, on small injected networks, and ours against them."""

import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pictura.core.errors import DataError, MissingExtraError
from pictura.evaluate.metrics.frechet import frechet_distance
from pictura.evaluate.metrics.kernel import kernel_distance_subsets
from pictura.evaluate.metrics.retrieval import local_clip_scores
from pictura.evaluate.metrics.standard import standard_scores
from pictura.evaluate.pictures import Pictures

pytest.importorskip("torchmetrics")


class SmallNet(nn.Module):
    """Eight fixed features of uint8 pictures, in float64; stands for Inception."""

    num_features = 8

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(
            torch.randn(3 * 16, 8, generator=generator, dtype=torch.float64), requires_grad=False
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, 4, 4) uint8 to (B, 8)."""
        assert images.dtype == torch.uint8
        return (images.double() / 255).flatten(1) @ self.weight


class FakeClip:
    """A CLIP whose embeddings are the picture's mean colour, and the letters r, g, b of a caption."""

    config = SimpleNamespace()

    def to(self, device: torch.device) -> "FakeClip":
        return self

    def get_image_features(self, pixels: Tensor) -> Tensor:
        return pixels

    def get_text_features(self, ids: Tensor, mask: Tensor) -> Tensor:
        return ids


def processor(images: Sequence[Tensor] = (), text: Sequence[str] = (), **rest: Any) -> dict[str, Tensor]:
    """Embed at once; `FakeClip` only passes it on."""
    if len(images):
        return {"pixel_values": torch.stack([image.float().mean(dim=(1, 2)) for image in images])}
    rows = torch.tensor([[float(letter in caption) for letter in "rgb"] for caption in text])
    return {"input_ids": rows, "attention_mask": torch.ones_like(rows)}


def pictures(n: int, seed: int, shift: float = 0.0) -> Pictures:
    rows = np.random.default_rng(seed).random((n, 3, 4, 4), dtype=np.float32)
    return (rows * (1 - shift) + shift).astype(np.float32)


def features(images: Pictures) -> np.ndarray[Any, np.dtype[np.float64]]:
    return SmallNet()((torch.from_numpy(images) * 255).round().to(torch.uint8)).numpy()


REAL, FAKE = pictures(80, seed=1), pictures(60, seed=2, shift=0.2)
NETS: dict[str, Any] = {"inception": SmallNet(), "logits": SmallNet(), "num_splits": 4, "batch": 16}


def test_fd_is_torchmetrics_fid_on_the_same_features() -> None:
    theirs = standard_scores(REAL, FAKE, subset_size=50, num_subsets=1, **NETS)["FID[injected]"].mean
    assert frechet_distance(features(REAL), features(FAKE)) == pytest.approx(theirs, rel=1e-8)


def test_kd_is_torchmetrics_kid_on_the_same_features() -> None:
    real = REAL[:60]  # all of both sets, so that nothing is drawn
    theirs = standard_scores(real, FAKE, subset_size=60, num_subsets=2, **NETS)["KID[injected]"]
    ours = kernel_distance_subsets(
        features(real), features(FAKE), np.random.default_rng(0), num_subsets=2, subset_size=60
    )
    assert ours.mean == pytest.approx(theirs.mean, rel=1e-8)


def test_subsets_of_kd_and_kid_have_the_same_mean_and_deviation() -> None:
    theirs = standard_scores(REAL, FAKE, subset_size=30, num_subsets=300, **NETS)["KID[injected]"]
    ours = kernel_distance_subsets(
        features(REAL), features(FAKE), np.random.default_rng(0), num_subsets=300, subset_size=30
    )
    assert abs(ours.mean - theirs.mean) < 4 * theirs.std / np.sqrt(150)
    assert ours.std == pytest.approx(theirs.std, rel=0.25)


def test_the_inception_score_is_the_entropy_that_the_mean_has_more_than_the_pictures() -> None:
    theirs = standard_scores(REAL, FAKE, subset_size=50, num_subsets=1, **NETS)["IS[injected]"]
    logits = features(FAKE)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    whole = np.exp((p * (np.log(p) - np.log(p.mean(axis=0)))).sum(axis=1).mean())
    assert 1 < theirs.mean <= whole
    assert theirs.mean == pytest.approx(whole, rel=0.2)


def test_the_clip_score_is_a_hundred_cosines() -> None:
    captions = ["red", "green", "blue"] * 20
    theirs = standard_scores(
        REAL, FAKE, captions, clip=lambda: (FakeClip(), processor), subset_size=50, num_subsets=1, **NETS
    )["CLIPScore[injected]"]
    letters = np.array([[float(letter in caption) for letter in "rgb"] for caption in captions])
    colours = np.rint(FAKE * 255).mean(axis=(2, 3))
    assert theirs.mean == pytest.approx(local_clip_scores(colours, letters).mean() * 40, rel=1e-5)


def test_scores_repeat_with_their_seed_and_leave_torch_s_generator_alone() -> None:
    torch.manual_seed(5)
    first = standard_scores(REAL, FAKE, subset_size=30, num_subsets=3, **NETS)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)
    assert standard_scores(REAL, FAKE, subset_size=30, num_subsets=3, **NETS) == first
    assert standard_scores(REAL, FAKE, subset_size=30, num_subsets=3, seed=1, **NETS) != first


def test_without_torchmetrics_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "torchmetrics"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(
        MissingExtraError, match=r"need the package torchmetrics.*, which is not installed\. Inst"
    ):
        standard_scores(REAL, FAKE, subset_size=50, **NETS)


def test_without_the_weights_package_of_inception_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(
        MissingExtraError, match=r"pip install 'pictura\[metrics\]' 'torchmetrics\[image,multimodal"
    ):
        standard_scores(REAL, FAKE, subset_size=50)


def test_weights_that_cannot_be_fetched_are_no_traceback() -> None:
    def unreachable() -> tuple[Any, Any]:
        raise OSError("no route to host")

    with pytest.raises(MissingExtraError, match=r"weights that could not be fetched \(no route to host\)"):
        standard_scores(REAL, FAKE, ["red"] * 60, clip=unreachable, subset_size=50, num_subsets=1, **NETS)


def test_too_few_pictures_or_captions_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"KID takes subsets of 1000, but there are 80 reference and 60 generated"
    ):
        standard_scores(REAL, FAKE, **NETS)
    with pytest.raises(DataError, match=r"got 60 pictures, 1 captions"):
        standard_scores(REAL, FAKE, ["red"], subset_size=50, **NETS)
    with pytest.raises(DataError, match=r"IS needs 2 to 60 splits of 60 pictures; got 61"):
        standard_scores(REAL, FAKE, subset_size=50, **{**NETS, "num_splits": 61})
