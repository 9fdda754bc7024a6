"""Learning a preference: a file of rated pairs in, a model folder that the reward opens out.

One pair a line of JSON, pictures relative to the file:

    {"prompt": "a red fox", "better": "1.png", "worse": "2.png"}
    {"prompt": "a red fox", "better": "3.png", "worse": "4.png", "tie": true}

Letters N pairs, R raw features, F features.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors.torch import save
from torch import Tensor

from pictura.core import images as core_images
from pictura.core.errors import DataError
from pictura.encode.clip.config import SIZE
from pictura.reward.bradley_terry import (
    accuracy,
    best_precision,
    calibration_error,
    fit,
    held_out,
)
from pictura.reward.clip import open_clip
from pictura.reward.features import NAMES
from pictura.reward.preference import Taste, raw_features
from pictura.store.atomic import atomic_folder
from pictura.store.models import FORMAT, MANIFEST, file_hash, resolve
from pictura.store.weights import WEIGHTS

_AT_ONCE = 64
_KEYS = {"prompt": str, "better": str, "worse": str, "tie": bool}


@dataclass(frozen=True, slots=True)
class Pair:
    """One choice."""

    prompt: str
    better: Path
    worse: Path
    tie: bool = False


@dataclass(frozen=True, slots=True)
class Learnt:
    """A taste and how far it can be trusted."""

    taste: Taste
    metrics: Mapping[str, float]
    """`pairs`, `prompts`, `precision` of the prior; of pairs that were left out: `accuracy`, `accuracy_95`
    (half of its interval), `calibration_error`."""


def read_pairs(path: Path) -> list[Pair]:
    """Read a file of pairs.

    Raises:
        DataError: it is missing or empty, or a line is no pair of pictures that are there.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The pairs {path} cannot be read: {error}.") from error
    pairs = [_pair(line, path, number) for number, line in enumerate(lines, start=1) if line.strip()]
    if not pairs:
        raise DataError(
            f"The pairs {path} are empty. Write one pair a line, as docs/rewards/preference.md says."
        )
    return pairs


def _pair(line: str, path: Path, number: int) -> Pair:
    where = f"{path}, line {number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where} is no JSON: {error}.") from error
    good = isinstance(row, dict) and {"prompt", "better", "worse"} <= row.keys() <= _KEYS.keys()
    if not good or not all(isinstance(value, _KEYS[key]) for key, value in row.items()):
        raise DataError(
            f"{where} must hold the texts prompt, better and worse, and perhaps tie, true or false; "
            f"got {line[:80]}."
        )
    for key in ("better", "worse"):
        if not (path.parent / row[key]).is_file():
            raise DataError(f"{where}: there is no picture {row[key]!r} beside the file.")
    return Pair(row["prompt"], path.parent / row["better"], path.parent / row["worse"], row.get("tie", False))


def load_picture(path: Path) -> Tensor:
    """A picture file as scorers see it: (3, 64, 64) on light grey.

    Raises:
        DataError: it is no picture.
    """
    try:
        with Image.open(path) as opened:
            image = core_images.from_pil([opened])
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"The picture {path} cannot be read: {error}.") from error
    small = core_images.resize(image, (SIZE, SIZE))
    return torch.from_numpy(np.ascontiguousarray(core_images.on_background(small)[0]))


def learn_preference(
    pairs: Sequence[Pair], folder: Path, *, name: str, clip: str = "clip-plain", dims: int = 32
) -> Learnt:
    """Learn a preference and write it as a model folder.

    Args:
        pairs: choices, of at least five prompts.
        folder: of the part; it appears when all is written.
        name: of the part.
        clip: name or folder of the CLIP whose features it takes.
        dims: directions in which its vectors differ most that are kept; people's taste has few.

    Raises:
        DataError: too few prompts, or a picture cannot be read.
        ModelError: there is no such CLIP.
    """
    towers, tokenizer = open_clip(clip, "cpu")
    better, worse = (
        torch.cat(
            [
                raw_features(
                    towers,
                    tokenizer,
                    torch.stack([load_picture(getattr(pair, side)) for pair in pairs[i : i + _AT_ONCE]]),
                    [pair.prompt for pair in pairs[i : i + _AT_ONCE]],
                )
                for i in range(0, len(pairs), _AT_ONCE)
            ]
        )
        for side in ("better", "worse")
    )
    learnt = taste_from(better, worse, pairs, dims=dims)
    write_preference(folder, learnt, name=name, clip=clip)
    return learnt


def taste_from(
    better: Tensor,
    worse: Tensor,
    pairs: Sequence[Pair],
    *,
    dims: int = 32,
    weights: Tensor | None = None,
) -> Learnt:
    """Learn a taste.

    Args:
        better: (N, R) raw features of the better pictures.
        worse: (N, R) of the worse.
        pairs: N; only their prompts and ties are looked at.
        dims: as for `learn_preference`.
        weights: (N,) how much each pair counts; None is 1 for all.

    Raises:
        DataError: too few prompts.
    """
    texts = list(dict.fromkeys(pair.prompt for pair in pairs))
    groups = [texts.index(pair.prompt) for pair in pairs]
    wins = torch.tensor([0.5 if pair.tie else 1.0 for pair in pairs])
    turned = torch.arange(len(pairs)) % 2 == 1  # so that the first of a pair does not always win
    first = torch.where(turned[:, None], worse, better)
    second = torch.where(turned[:, None], better, worse)
    wins = torch.where(turned, 1 - wins, wins)
    seen = torch.cat([better, worse])
    centre, project = seen.mean(dim=0), projection(seen, dims)
    differences = (first - second) @ project
    precision = best_precision(differences, wins, groups, weights)
    said = held_out(differences, wins, precision=precision, groups=groups, weights=weights)
    posterior = fit(differences, wins, precision=precision, weights=weights)
    scores, _ = posterior.score((seen - centre) @ project)
    right, half = accuracy(said, wins)
    return Learnt(
        Taste(centre, project, posterior, float(scores.min()), float(scores.max())),
        {
            "pairs": len(pairs),
            "prompts": len(texts),
            "precision": precision,
            "accuracy": right,
            "accuracy_95": half,
            "calibration_error": calibration_error(said, wins),
        },
    )


def projection(seen: Tensor, dims: int) -> Tensor:
    """(R, F): features to unit variance, of the CLIP's the `dims` principal directions, of the others all."""
    num_hand = len(NAMES)
    scale = 1 / seen.std(dim=0).clamp(min=1e-9)
    z = ((seen - seen.mean(dim=0)) * scale)[:, :-num_hand]
    _, sizes, directions = torch.linalg.svd(z, full_matrices=False)
    kept = directions[:dims].T
    kept = kept / (sizes[:dims].square().mean() / len(seen)).sqrt().clamp(min=1e-9)  # variance 1 on the mean
    project = torch.zeros(seen.shape[1], kept.shape[1] + num_hand, dtype=seen.dtype)
    project[:-num_hand, : kept.shape[1]] = kept
    project[-num_hand:, kept.shape[1] :] = torch.eye(num_hand, dtype=seen.dtype)
    return project * scale[:, None]


def write_preference(folder: Path, learnt: Learnt, *, name: str, clip: str) -> None:
    """Write a taste as a model folder that the reward opens.

    Args:
        folder: of the part; it appears when all is written.
        learnt: the taste and its metrics.
        name: of the part.
        clip: name or folder of the CLIP whose features it takes.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    taste = learnt.taste
    arrays = {
        "centre": taste.centre,
        "project": taste.project,
        "mean": taste.posterior.mean,
        "covariance": taste.posterior.covariance,
    }
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "family": "preference",
        "kind": "part",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": "not stated",
        "data": [f"{learnt.metrics['pairs']} rated pairs"],
        "metrics": dict(learnt.metrics),
        "max_tokens": 0,
        "graphs": {},
        "preference": {
            "clip": clip,
            "clip_hash": resolve(clip).hash,
            "hand": list(NAMES),
            "low": taste.low,
            "high": taste.high,
        },
    }
    with atomic_folder(folder) as tmp:
        (tmp / WEIGHTS).write_bytes(save({key: value.float().contiguous() for key, value in arrays.items()}))
        manifest["files"] = {WEIGHTS: file_hash(tmp / WEIGHTS)}
        (tmp / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
