"""Look for pictures: a place full of them and a sentence or a picture in, the likest ones out, no torch.

    Searcher          a place and a CLIP
      pictures_of     sentence -> pictures   which of them show it
      pictures_like   picture  -> pictures   which of them are like it
      captions_for    picture  -> captions   which captions of the place say what it shows
      sheet           what was found, on one sheet

What the CLIP saw is kept in ``$PICTURA_HOME/cache/search``, in a file for each place and CLIP, so that the
next search looks at new and changed pictures alone. Nothing is written into the place itself. A picture file
counts as unchanged while its size and time stay, one inside a pack while its bytes do.

Letters N pictures or captions, D width of the CLIP's vectors.
Units   scores are cosines, -1 to 1: they put what was found in order, and alone say little.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictura.core import images
from pictura.core.errors import ConfigError, DataError, PromptError, StorageError
from pictura.core.sheets import captioned, sheet
from pictura.data.gallery import open_gallery
from pictura.data.guard import decode, read_file
from pictura.data.inspect import as_tile
from pictura.data.records import Progress, Record
from pictura.data.resize import to_square
from pictura.runtime.onnx_clip import OnnxClip
from pictura.store.models import home, resolve
from pictura.store.vectors import KEY_BYTES, Floats, Vectors

CLIP = "clip-guide"
_AT_ONCE = 64
_MOST_DECODERS = 4
"""Threads that decode. A picture at the limits of `data.guard` takes 256 MB while it is."""
_SAVE_EVERY_S = 60.0
_LONGEST_NAME = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A picture that was found."""

    path: str
    """Of its file; of a picture inside a pack, the pack's and its row."""
    score: float
    captions: tuple[str, ...]
    number: int
    """Its place among the records of the searched set, from 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundCaption:
    """A caption that was found."""

    caption: str
    score: float
    paths: tuple[str, ...]
    """Of the pictures that it belongs to."""


@dataclass(slots=True)
class _Known:
    """A picture that the place holds."""

    key: bytes
    number: int
    captions: tuple[str, ...]


class Searcher:
    """A place full of pictures, and a CLIP that sees and reads."""

    def __init__(
        self, place: Path | str, *, model: str | Path = CLIP, progress: Progress | None = None
    ) -> None:
        """Open both; no picture is looked at yet.

        Args:
            place: a folder of pictures, with or without captions, or what `data.sources.open_source` takes.
            model: name or folder of a CLIP.
            progress: told (done, total) while pictures or captions are looked at.

        Raises:
            DataError: there is no such place, or no picture in it.
            ModelError: the model is damaged, or is no CLIP.
            ModelNotFoundError: there is none of that name.
        """
        self.source = open_gallery(place)
        self.clip = OnnxClip(resolve(model).path)
        self.skipped: list[str] = []
        """One sentence for each picture that cannot be read."""
        self.notes: list[str] = []
        """What else a person should know."""
        self.num_searched = 0
        """Pictures, or captions, that the latest search put in order."""
        self._progress = progress or (lambda *_: None)
        self._pictures: tuple[list[tuple[str, _Known]], Floats] | None = None
        self._saved_s = 0.0

    def pictures_of(self, sentence: str, *, top: int = 10) -> list[Found]:
        """Rank the pictures by how well they show what a sentence says.

        Args:
            sentence: in English.
            top: how many are wanted.

        Returns:
            The best first; fewer than `top` if there are no more.

        Raises:
            PromptError: the sentence is empty or no text.
            DataError: no picture of the place can be read.
        """
        return self._nearest(self._read(sentence), top)

    def pictures_like(self, picture: Path | str, *, top: int = 10) -> list[Found]:
        """Rank the pictures by how like they are to another one, which may be one of them.

        Raises:
            DataError: the picture, or every picture of the place, cannot be read.
        """
        return self._nearest(self._see(picture), top)

    def captions_for(self, picture: Path | str, *, top: int = 10) -> list[FoundCaption]:
        """Rank the captions of the place by how well they say what a picture shows.

        Raises:
            DataError: the picture cannot be read, or no picture of the place has a caption.
        """
        seen_D = self._see(picture)
        paths: dict[str, list[str]] = {}
        for record in self.source:
            for caption in record.captions:
                paths.setdefault(caption, []).append(str(record))
        if not paths:
            raise DataError(
                f"{self.source.path}: none of the {len(self.source)} pictures has a caption to rank. Write "
                "them into a .txt beside each picture or into a metadata.csv, as docs/data.md shows."
            )
        scores_N = self._captions(list(paths)) @ seen_D
        found = list(paths.items())
        self.num_searched = len(found)
        return [
            FoundCaption(
                caption=found[i][0], score=float(scores_N[i]), paths=tuple(dict.fromkeys(found[i][1]))
            )
            for i in _best(scores_N, top)
        ]

    def sheet(self, found: Sequence[Found]) -> Image.Image:
        """Lay pictures that were found out on one sheet, the best first, with score and name under each.

        Raises:
            DataError: there is none, or one cannot be read any more.
        """
        if not found:
            raise DataError("There is no picture to lay out. Search for some first.")
        wanted = {one.number for one in found}
        records = {number: record for number, record in enumerate(self.source) if number in wanted}
        cells = [
            captioned(as_tile(records[one.number].picture()), f"{one.score:.2f} {_short_name(one)}")
            for one in found
        ]
        return sheet(cells)

    def _nearest(self, vector_D: Floats, top: int) -> list[Found]:
        if self._pictures is None:
            self._pictures = self._look()
        known, seen_ND = self._pictures
        scores_N = seen_ND @ vector_D
        self.num_searched = len(known)
        found = []
        for i in _best(scores_N, top):
            path, one = known[i]
            found.append(Found(path=path, score=float(scores_N[i]), captions=one.captions, number=one.number))
        return found

    def _read(self, sentence: str) -> Floats:
        if not sentence.strip():
            raise PromptError("The sentence to search for is empty. Say what is shown, such as 'a red fox'.")
        if any("\ud800" <= letter <= "\udfff" for letter in sentence):
            raise PromptError(
                "The sentence holds bytes that are no text in UTF-8. Type it in a UTF-8 terminal."
            )
        if (count := self.clip.count_tokens(sentence)) > self.clip.max_tokens:
            read = self.clip.max_tokens
            self.notes.append(
                f"The sentence has {count} tokens; {self.clip.name} reads the first {read} of them."
            )
        return self.clip.embed_text([sentence])[0]

    def _see(self, picture: Path | str) -> Floats:
        path = Path(picture).expanduser()
        return self._embed([to_square(decode(read_file(path), str(path)), self.clip.size)])[0]

    def _look(self) -> tuple[list[tuple[str, _Known]], Floats]:
        """See what was not seen yet: every picture with its path, and their vectors (N, D)."""
        known: dict[str, _Known] = {}
        new: dict[bytes, Record] = {}
        with self._kept("pictures") as vectors, ThreadPoolExecutor(_num_decoders()) as pool:
            for number, record in enumerate(self.source):
                path, key = str(record), self._try_key(record)
                if path in known:
                    known[path].captions = tuple(dict.fromkeys(known[path].captions + record.captions))
                elif key is not None:
                    known[path] = _Known(key, number, record.captions)
                    if key not in vectors:
                        new[key] = record
                if len(new) == _AT_ONCE:
                    self._see_new(new, vectors, pool)
                    new.clear()
                self._progress(number + 1, len(self.source))
            self._see_new(new, vectors, pool)
            found = [(path, one) for path, one in known.items() if one.key in vectors]
            keys = [one.key for _, one in found]
            vectors.keep(keys)
        if not found:
            raise DataError(
                f"{self.source.path}: none of the {len(self.source)} pictures can be read. {self.skipped[0]}"
            )
        return found, vectors.get(keys)

    def _see_new(self, new: Mapping[bytes, Record], vectors: Vectors, pool: ThreadPoolExecutor) -> None:
        seen: dict[bytes, NDArray[np.uint8]] = {}
        for key, square in zip(new, pool.map(self._try_square, new.values()), strict=True):
            if isinstance(square, DataError):
                self.skipped.append(str(square))
            else:
                seen[key] = square
        if seen:
            vectors.add(seen, self._embed(list(seen.values())))
        if time.monotonic() > self._saved_s + _SAVE_EVERY_S:
            self._save(vectors)

    def _captions(self, captions: Sequence[str]) -> Floats:
        """Read what is not read yet: vectors (N, D) of N different captions."""
        keys = [blake2b(caption.encode(), digest_size=KEY_BYTES).digest() for caption in captions]
        with self._kept("captions") as vectors:
            for i, (key, caption) in enumerate(zip(keys, captions, strict=True), start=1):
                if key not in vectors:
                    vectors.add([key], self.clip.embed_text([caption]))
                self._progress(i, len(captions))
            vectors.keep(keys)
        return vectors.get(keys)

    @contextmanager
    def _kept(self, kind: str) -> Iterator[Vectors]:
        """The vectors of earlier searches; whatever happens, what is added is kept for later ones."""
        told = f"{self.clip.hash}\n{self.source.path.resolve()}"
        name = f"{sha256(told.encode()).hexdigest()[:24]}-{kind}.safetensors"
        vectors = Vectors(home() / "cache" / "search" / name, self.clip.dim)
        self._saved_s = time.monotonic()
        try:
            yield vectors
        finally:
            self._save(vectors)

    def _save(self, vectors: Vectors) -> None:
        self._saved_s = time.monotonic()
        try:
            vectors.save()
        except StorageError as error:
            note = f"What was seen is not kept, so the next search will take as long. {error}"
            self.notes = list(dict.fromkeys([*self.notes, note]))

    def _try_key(self, record: Record) -> bytes | None:
        """What a picture is known by while it stays the same; None, and a note, where there is no file."""
        try:
            return _key(record)
        except OSError as error:
            sentence = f"{record}: the image cannot be read ({error.strerror})."
            if sentence not in self.skipped:
                self.skipped.append(sentence)
            return None

    def _try_square(self, record: Record) -> NDArray[np.uint8] | DataError:
        """A picture as (4, size, size), premultiplied, or why there is none."""
        try:
            return to_square(record.picture(), self.clip.size)
        except DataError as error:
            return error

    def _embed(self, squares: Sequence[NDArray[np.uint8]]) -> Floats:
        x = images.on_background(images.from_uint8(np.stack(squares)))
        return self.clip.embed_images(np.clip(x, 0, 1))


def _key(record: Record) -> bytes:
    """What a picture is known by while it stays the same. Raises OSError where there is no file."""
    if isinstance(record.image, bytes):
        told, data = f"{record.window}\n", record.image
    else:
        file = record.image.stat()
        told, data = f"{record.window}\n{record.id}\n{file.st_size}\n{file.st_mtime_ns}", b""
    return blake2b(told.encode(errors="surrogateescape") + data, digest_size=KEY_BYTES).digest()


def _best(scores_N: Floats, top: int) -> list[int]:
    if top < 1:
        raise ConfigError(f"top must be at least 1; got {top}.")
    return [int(i) for i in np.argsort(-scores_N, kind="stable")[:top]]


def _short_name(found: Found) -> str:
    name = Path(found.path).name
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def _num_decoders() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_DECODERS)
