"""What is read from pictures once, by networks: verdicts, embeddings, features; kept in files by hash.

A scorer says what it is (name, hash) and turns pictures into arrays; `ScoreCache` keeps them, so that an
evaluation that was broken off goes on where it was. Metrics are made of the arrays elsewhere, in `measures`.

Letters N pictures, D features.
Units   pictures float32 (N, 3, 64, 64) in [0, 1], on the grey that all scorers see.
"""

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pictura.core.errors import DataError
from pictura.core.types import Claim
from pictura.encode.judges.judge import Judge
from pictura.evaluate.benchmark import Prompt
from pictura.store.atomic import atomic_file

Floats = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]
BATCH = 128
SIZE = 64
"""Side in pixels that every scorer sees."""
_FORMAT = "2"
"""Of the files: another one when scorers give other arrays, so that old files are not taken for new ones."""


class Clip(Protocol):
    """A network that embeds pictures and sentences in one space (`pictura.encode.clip`)."""

    name: str
    hash: str

    def embed_images(self, images: Floats) -> Floats:
        """(N, D) of unit length."""
        ...

    def embed_text(self, captions: Sequence[str]) -> Floats:
        """(N, D) of unit length."""
        ...


class FeatureNet(Protocol):
    """A network whose features tell sets of pictures apart (`pictura.evaluate.feature_nets`)."""

    name: str
    hash: str

    def __call__(self, images: Floats) -> Floats:
        """(N, D) features."""
        ...


class Scorer(Protocol):
    """Turns pictures into arrays of N rows."""

    name: str
    hash: str
    asks: bool
    """Whether the prompts matter."""

    def __call__(self, images: Floats, prompts: Sequence[Prompt]) -> Arrays:
        """Score pictures, each with its prompt."""
        ...


class JudgeScorer:
    """``accepts`` (N,) bool: a judge's verdicts about the claims of the prompts; ``features`` (N, D) it saw.

    Without claims there are no verdicts.
    """

    asks = True

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.name, self.hash = judge.name, judge.hash

    def __call__(self, images: Floats, prompts: Sequence[Prompt]) -> Arrays:
        """Judge pictures, all in one look."""
        if any(prompt.claim is None for prompt in prompts):
            return {"features": self.judge.features(images)}
        seen = self.judge.look(images, _claims(prompts))
        accepts = self.judge.passes(seen.chances, [prompt.task for prompt in prompts])
        return {"accepts": accepts, "features": seen.features}

    def confidence(self, images: Floats, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
        """How sure the judge is, (N,) in [0, 1], that each picture shows its prompt."""
        return np.asarray(self.judge.verify(images, _claims(prompts)), dtype=np.float64)


class ClipScorer:
    """``image`` (N, D): the embedding of each picture."""

    asks = False

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.name, self.hash = clip.name, clip.hash

    def __call__(self, images: Floats, prompts: Sequence[Prompt]) -> Arrays:
        """Embed pictures; the prompts do not matter."""
        return {"image": self.clip.embed_images(images)}


class FeatureScorer:
    """``features`` (N, D) of each picture."""

    asks = False

    def __init__(self, net: FeatureNet) -> None:
        self.net = net
        self.name, self.hash = net.name, net.hash

    def __call__(self, images: Floats, prompts: Sequence[Prompt]) -> Arrays:
        """Look at pictures; the prompts do not matter."""
        return {"features": self.net(images)}


class SecondHand:
    """``features`` (N, D) from what another scorer read anyway: a judge's, or the embeddings of a CLIP."""

    def __init__(self, source: JudgeScorer | ClipScorer) -> None:
        self.source = source
        self.name, self.hash, self.asks = source.name, source.hash[:12], source.asks

    def __call__(self, images: Floats, prompts: Sequence[Prompt]) -> Arrays:
        """Look at pictures."""
        return self.of(self.source(images, prompts))

    def of(self, read: Arrays) -> Arrays:
        """Features of what `source` gave; embeddings get length sqrt(D), for KD's kernel."""
        if "features" in read:
            return {"features": read["features"]}
        rows = read["image"]
        return {"features": rows * np.float32(rows.shape[1] ** 0.5)}


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures to score: their prompts, and a way to load them only if they must be looked at."""

    name: str
    hash: str
    """Over the contents."""
    prompts: tuple[Prompt, ...]
    """N: of each picture."""
    load: Callable[[], Floats]
    """The pictures, (N, 3, 64, 64)."""
    seeds: tuple[int, ...] = ()
    """N: of each picture; empty where there is only one."""
    labels: tuple[str, ...] = ()
    """What each picture is called in messages; its number if empty."""

    def __len__(self) -> int:
        return len(self.prompts)


class ScoreCache:
    """Arrays by what they were made of, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.num_scored = 0
        """Pictures that were looked at since this was made, counted once for each scorer."""
        self._loaded: tuple[str, Floats] | None = None

    def get(
        self, scorer: Scorer, pictures: Pictures, on_progress: Callable[[int, int], None] | None = None
    ) -> Arrays:
        """What `scorer` says of `pictures`: from its file, or made now and kept.

        Args:
            scorer: which.
            pictures: of what.
            on_progress: told (done, total) while pictures are looked at.

        Raises:
            DataError: a number is not finite, or a picture cannot be read.
            StorageError: the file cannot be written.
        """
        path = self._folder / f"{_key(scorer, pictures)}.npz"
        if (found := _read(path, len(pictures))) is not None:
            return found
        images = self._images(pictures)
        made: list[Arrays] = []
        for start in range(0, len(images), BATCH):
            stop = min(start + BATCH, len(images))
            made.append(scorer(images[start:stop], pictures.prompts[start:stop]))
            _check_finite(made[-1], scorer, pictures, start)
            if on_progress is not None:
                on_progress(stop, len(images))
        self.num_scored += len(images)
        arrays = {name: np.concatenate([part[name] for part in made]) for name in made[0]}
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        return arrays

    def _images(self, pictures: Pictures) -> Floats:
        """The pictures; the last set is kept, as several scorers look at one set in turn."""
        if self._loaded is None or self._loaded[0] != pictures.hash:
            self._loaded = (pictures.hash, pictures.load())
        return self._loaded[1]


def _claims(prompts: Sequence[Prompt]) -> list[Claim]:
    claims = [prompt.claim for prompt in prompts if prompt.claim is not None]
    assert len(claims) == len(prompts)
    return claims


def _check_finite(arrays: Mapping[str, NDArray[Any]], scorer: Scorer, pictures: Pictures, start: int) -> None:
    for name, array in arrays.items():
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if not finite.all():
            row = start + int(np.flatnonzero(~finite)[0])
            label = pictures.labels[row] if pictures.labels else f"picture {row + 1} of {pictures.name}"
            raise DataError(
                f"The {name} that {scorer.name!r} gives for {label} are not finite numbers. "
                "No score can be made of them; install or export that network again."
            )


def _key(scorer: Scorer, pictures: Pictures) -> str:
    words = [_FORMAT, scorer.name, scorer.hash, pictures.hash, str(len(pictures))]
    if scorer.asks:
        words += [repr((prompt.task, prompt.text, prompt.claim)) for prompt in pictures.prompts]
    digest = hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
    return f"{scorer.name}-{digest}"


def _read(path: Path, length: int) -> Arrays | None:
    """The arrays of a file; None if it is not there or no longer whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: Arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError):
        return None
    return arrays if arrays and all(len(a) == length for a in arrays.values()) else None
