"""A painted picture that knows how it was painted, and many of them on one sheet."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pictura.core.sheets import sheet
from pictura.store.atomic import atomic_file
from pictura.store.metadata import on_white, save_picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A painted picture that knows how it was painted."""

    image: Image.Image
    """RGBA with straight alpha, or RGB."""
    prompt: str
    seed: int
    index: int
    """Its number among the pictures of its seed, from 0."""
    settings: dict[str, Any]
    """What the model takes (`sample.request`), size and painted_size (width, height), scaling (``enlarger``,
    ``lanczos`` or none), enlarged_by (name and start of the hash of the enlarger that did it), device;
    strength where the model has a delta; given: the tokens that a completed picture began with; candidates,
    scored_by and score where it was chosen among many."""
    model: str
    model_hash: str
    version: str
    notices: tuple[str, ...] = ()
    """What a person should know of how it was painted; no part of the metadata."""

    def metadata(self) -> dict[str, Any]:
        """Everything but the pixels, as JSON can hold it."""
        names = ("prompt", "seed", "index", "settings", "model", "model_hash", "version")
        return {name: getattr(self, name) for name in names}

    def save(self, path: Path | str, *, format: str = "png") -> Path:  # noqa: A002
        """Write the picture with its metadata, whole or not at all.

        Args:
            path: of the file.
            format: ``png``, ``webp`` or ``jpeg`` (on white).

        Raises:
            StorageError: the disk is full or the place cannot be written.
        """
        with atomic_file(Path(path)) as temporary:
            save_picture(self.image, temporary, self.metadata(), format=format)
        return Path(path)

    def to_bytes(self, *, told: bool = True) -> bytes:
        """The PNG file that `save` writes; without metadata if it shall not be told how it was painted."""
        file = io.BytesIO()
        if told:
            save_picture(self.image, file, self.metadata())
        else:
            self.image.save(file, "PNG")
        return file.getvalue()


def grid(pictures: Sequence[Picture]) -> Image.Image:
    """Pictures side by side on white, as square as they go: four make 2x2.

    Args:
        pictures: at least one, all of one size.

    Returns:
        RGB image with a gutter of 1/32 of a picture's longer side.
    """
    return sheet([on_white(picture.image) for picture in pictures])
