"""The standard FID, KID, IS and CLIPScore by torchmetrics, for those who can reach their networks.

    FID        Fréchet distance of Inception-v3 features, 2048 wide
    KID        kernel distance of the same, mean and deviation over subsets
    IS         exp of the mean KL divergence of Inception's class probabilities from their mean, over splits
    CLIPScore  100 * max(mean cos, 0) by OpenAI's CLIP ViT-L/14 (not 2.5 * cos: this is torchmetrics' scale)

These names are right for the original networks alone. Where another is injected (a test, a domain of one's
own), the names say so: ``FID[injected]``.

Source  torchmetrics (Detlefsen et al. 2022, JOSS); Heusel et al. 2017 (arXiv:1706.08500), Bińkowski et al.
        2018 (arXiv:1801.01401), Salimans et al. 2016 (arXiv:1606.03498), Hessel et al. 2021
        (arXiv:2104.08718).
Letters N, M pictures, H W size.
Units   pictures float32 in [0, 1]; networks get them rounded to uint8, as if read from PNG files. Inception
        scales them to 299 x 299 itself, so small pictures give numbers unlike those of papers at 256.
"""

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pictura.core.errors import DataError, MissingExtraError
from pictura.evaluate.metrics.kernel import Spread
from pictura.evaluate.pictures import Pictures, check_pictures

INSTALL = "Install it with: pip install 'pictura[metrics]' 'torchmetrics[image,multimodal]'"
Clip = Callable[[], tuple[Any, Any]]
"""Makes a model (`get_image_features`, `get_text_features`) and its processor, as torchmetrics takes them."""


def standard_scores(
    reference: Pictures,
    generated: Pictures,
    captions: Sequence[str] | None = None,
    *,
    inception: nn.Module | None = None,
    logits: nn.Module | None = None,
    clip: Clip | None = None,
    num_subsets: int = 100,
    subset_size: int = 1000,
    num_splits: int = 10,
    batch: int = 32,
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, Spread]:
    """Compute all of them.

    Args:
        reference: (N, 3, H, W) real pictures.
        generated: (M, 3, H, W) the others.
        captions: M, of the generated pictures; None leaves CLIPScore out.
        inception: gives features (B, D) of uint8 pictures (B, 3, H, W); None is Inception-v3.
        logits: gives class logits likewise; None is Inception-v3.
        clip: makes the CLIP model and processor; None is ViT-L/14.
        num_subsets: of KID.
        subset_size: of KID, at most the smaller of N and M.
        num_splits: of IS, at most M.
        batch: pictures per network call.
        seed: of the draws of KID and IS.
        device: where networks run.

    Returns:
        Name to mean and deviation: for KID over subsets, for IS over splits; 0 for FID and CLIPScore.

    Raises:
        MissingExtraError: torchmetrics, what it needs, or the networks' weights are not there.
        DataError: `reference` or `generated` are no pictures, or too few for the subsets or splits.
    """
    check_pictures(reference, "reference")
    check_pictures(generated, "generated")
    _check_numbers(len(reference), len(generated), captions, subset_size, num_splits)
    with _seeded(seed), _as_missing_extra():
        fid = _metric(
            "image.fid", "FrechetInceptionDistance", 2048 if inception is None else inception, device
        )
        kid = _metric(
            "image.kid",
            "KernelInceptionDistance",
            2048 if inception is None else inception,
            device,
            subsets=num_subsets,
            subset_size=subset_size,
        )
        score = _metric(
            "image.inception",
            "InceptionScore",
            "logits_unbiased" if logits is None else logits,
            device,
            splits=num_splits,
        )
        for pictures, real in ((reference, True), (generated, False)):
            for rows in _batches(pictures, batch, device):
                fid.update(rows, real=real)
                kid.update(rows, real=real)
                if not real:
                    score.update(rows)
        mark = "" if inception is None else "[injected]"
        out = {
            f"FID{mark}": Spread(mean=float(fid.compute()), std=0.0),
            f"KID{mark}": _spread(kid.compute()),
            f"IS{'' if logits is None else '[injected]'}": _spread(score.compute()),
        }
        if captions is not None:
            name = "CLIPScore" if clip is None else "CLIPScore[injected]"
            out[name] = Spread(mean=_clip_score(generated, captions, clip, batch, device), std=0.0)
    return out


def _metric(module: str, name: str, feature: object, device: str, **options: int) -> Any:
    kind = getattr(importlib.import_module(f"torchmetrics.{module}"), name)
    return kind(feature=feature, **options).to(device)


def _clip_score(
    generated: Pictures, captions: Sequence[str], clip: Clip | None, batch: int, device: str
) -> float:
    kind = importlib.import_module("torchmetrics.multimodal.clip_score").CLIPScore
    metric = (kind() if clip is None else kind(model_name_or_path=clip)).to(device)
    for number, rows in enumerate(_batches(generated, batch, device)):
        metric.update(rows, list(captions[number * batch : number * batch + len(rows)]))
    return float(metric.compute())


def _batches(pictures: Pictures, batch: int, device: str) -> Iterator[Tensor]:
    for rows in torch.from_numpy(pictures).split(batch):
        yield (rows * 255).round().to(device, torch.uint8)


def _spread(value: tuple[Tensor, Tensor]) -> Spread:
    mean, std = value
    return Spread(mean=float(mean), std=float(std))


def _check_numbers(
    num_reference: int, num_generated: int, captions: Sequence[str] | None, subset_size: int, num_splits: int
) -> None:
    if captions is not None and len(captions) != num_generated:
        raise DataError(
            f"Every picture needs its caption: got {num_generated} pictures, {len(captions)} captions."
        )
    if min(num_reference, num_generated) < max(subset_size, 2):
        raise DataError(
            f"KID takes subsets of {subset_size}, but there are {num_reference} reference and "
            f"{num_generated} generated pictures. Make subset_size at most the smaller number."
        )
    if not 2 <= num_splits <= num_generated:
        raise DataError(
            f"IS needs 2 to {num_generated} splits of {num_generated} pictures; got {num_splits}."
        )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torchmetrics draws from torch's global generator: set it, and put it back."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features in buffer.*")
        torch.manual_seed(seed)
        yield


@contextmanager
def _as_missing_extra() -> Iterator[None]:
    """Say what is missing: a package, or weights that could not be fetched."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = error.name or "of torchmetrics[image,multimodal]"
        raise MissingExtraError(
            f"The standard metrics need the package {package}, which is not installed. {INSTALL}"
        ) from error
    except OSError as error:
        raise MissingExtraError(
            f"The standard metrics need weights that could not be fetched ({error}). "
            "Run once with network access, or read the local metrics."
        ) from error
