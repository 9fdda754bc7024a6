"""A captioned image set in, training batches out: pictures stay uint8 in memory, one epoch is a permutation.

Letters N pictures, C channels, S side in pixels, B batch.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from pictura.core.errors import ConfigError, DataError
from pictura.core.images import from_uint8
from pictura.core.types import Array, Batch
from pictura.data.records import Progress, Source, log
from pictura.data.resize import is_smaller, to_square
from pictura.data.sources import open_source
from pictura.data.splits import chosen, split_of_record


class Captioned(NamedTuple):
    """A decoded set in memory."""

    images: NDArray[np.uint8]
    """(N, C, S, S), premultiplied if C is 4."""
    captions: tuple[tuple[str, ...], ...]
    """At least one for each picture."""
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    """Of the set's own `class`; "" for a picture that has none."""


def load_captioned(
    path: Path | str | Source,
    *,
    size: int,
    channels: int = 4,
    split: str | None = None,
    split_by: str | None = None,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Captioned:
    """Decode a whole captioned set, each picture made square (see `resize.to_square`).

    Args:
        path: the set; any layout of `open_source`.
        size: S, pixels. Smaller pictures are enlarged, which the log says.
        channels: 4 for premultiplied RGBA, 3 for RGB on white.
        split: "train", "validation" or "test"; None takes all. The set's own splits count, else 80/10/10 by
            a hash of the id.
        split_by: a field such as "class": whole classes go to one split, whatever the set's own splits.
        seed: of the splits.
        limit: take so many at most.
        progress: told (done, total).

    Raises:
        DataError: the set is unreadable, the split is empty, or more than 1 % of its pictures are bad.
        ConfigError: size or channels are impossible.
    """
    if channels not in (3, 4) or size < 1 or (limit is not None and limit < 1):
        raise ConfigError(
            "load_captioned needs channels 3 or 4, and size and limit of at least 1; "
            f"got channels={channels}, size={size}, limit={limit}."
        )
    source = path if isinstance(path, Source) else open_source(path)
    keep = chosen(source, split, by=split_by, seed=seed) if split else None
    rows = len(source) if limit is None else min(limit, len(source))
    images = np.empty((rows, channels, size, size), dtype=np.uint8)  # pages that stay unused take no memory
    captions: list[tuple[str, ...]] = []
    ids: list[str] = []
    classes: list[str] = []
    enlarged = 0
    for record, picture in source.pictures(keep=keep, limit=limit, progress=progress):
        enlarged += is_smaller(picture, size)
        images[len(ids)] = to_square(picture, size, channels=channels)
        captions.append(record.captions)
        ids.append(record.id)
        classes.append(str(record.fields.get("class") or ""))
    if not ids:
        raise DataError(f"{source.path}: no picture is in the split {split!r}. {_split_counts(source, seed)}")
    if enlarged:
        log.warning("%s: %d of %d pictures were enlarged to %d px.", source.path, enlarged, len(ids), size)
    return Captioned(images[: len(ids)], tuple(captions), tuple(ids), tuple(classes))


def _split_counts(source: Source, seed: int) -> str:
    counts = Counter(split_of_record(record, seed=seed) for record in source)
    return "It has " + ", ".join(f"{count} in {name!r}" for name, count in sorted(counts.items())) + "."


class CaptionedBatches:
    """Batches of a set in memory: a pure function of the seed and the position.

    Visit s of the run (s = position * size + row) is picture s mod N of permutation s div N, so each epoch
    shows every picture once, whatever the batch size.
    """

    def __init__(
        self,
        images: Array,
        captions: Sequence[tuple[str, ...]],
        seed: int,
        *,
        flip: bool = False,
        window: int | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        """Keep the set.

        Args:
            images: (N, C, S, S) uint8, premultiplied if C is 4; any array API, on any device.
            captions: N tuples; one of each is drawn at random on every visit.
            seed: of order, captions, flips and windows.
            flip: mirror half of the visits; wrong for captions that say left or right.
            window: side of the square that is cut out of the picture at random on every visit, at most S;
                None takes all of it.
            classes: N names of what the pictures show, or none at all.

        Raises:
            ConfigError: there is nothing, the two do not match, or the window is larger than the pictures.
        """
        if not captions or images.shape[0] != len(captions):
            raise ConfigError(
                f"CaptionedBatches needs one tuple of captions for each picture and at least one picture; "
                f"got {images.shape[0]} pictures and {len(captions)} tuples."
            )
        if not all(captions):
            raise ConfigError(f"Each picture needs a caption; picture {captions.index(())} has none.")
        side = images.shape[-1]
        if window is not None and not 1 <= window <= side:
            raise ConfigError(f"CaptionedBatches cuts windows of 1 to {side} pixels here; got {window}.")
        self._images = images
        self._captions = captions
        self._seed = seed
        self._flip = flip
        self._window = window or side
        self._classes = classes
        self._epochs: dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}

    def __len__(self) -> int:
        return len(self._captions)

    def batch(self, position: int, size: int) -> Batch:
        """Batch number `position` of `size` pictures: float32 in [0, 1], with one caption each."""
        visits = [divmod(visit, len(self)) for visit in range(position * size, (position + 1) * size)]
        rows = np.array([self._epoch(epoch)[0][place] for epoch, place in visits])
        draws_B4 = np.stack([self._epoch(epoch)[1][place] for epoch, place in visits])
        xp = array_namespace(self._images)
        images = xp.take(self._images, xp.asarray(rows, device=device(self._images)), axis=0)
        images = from_uint8(self._cut(images, draws_B4[:, 2:]))
        if self._flip:
            mirror = xp.asarray(draws_B4[:, 1] < 0.5, device=device(self._images))
            images = xp.where(mirror[:, None, None, None], xp.flip(images, axis=3), images)
        captions = (
            self._captions[row][int(draw * len(self._captions[row]))]
            for row, draw in zip(rows, draws_B4[:, 0], strict=True)
        )
        classes = (self._classes[row] for row in rows) if self._classes else ()
        return Batch(images=images, captions=tuple(captions), classes=tuple(classes))

    def _cut(self, images: Array, draws_B2: NDArray[np.float64]) -> Array:
        """A window of each picture: (B, C, S, S) to (B, C, window, window)."""
        side, spare = self._window, images.shape[-1] - self._window
        if not spare:
            return images
        places = (draws_B2 * (spare + 1)).astype(int).tolist()
        rows = [images[i, :, y : y + side, x : x + side] for i, (y, x) in enumerate(places)]
        return array_namespace(images).stack(rows)

    def _epoch(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Order of the pictures (N,) and draws (N, 4) for caption, flip and window; two epochs are kept."""
        if epoch not in self._epochs:
            random = np.random.default_rng([self._seed, epoch])
            self._epochs = {e: kept for e, kept in self._epochs.items() if e == epoch - 1}
            order = random.permutation(len(self))
            # Drawn apart: sets without windows show what they showed before there were any.
            draws = [random.random((len(self), 2)) for _ in range(2)]
            self._epochs[epoch] = (order, np.concatenate(draws, axis=1))
        return self._epochs[epoch]
