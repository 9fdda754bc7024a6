"""A captioned image set: what every layout reader yields, and one pass over it that counts what is bad.

A reader makes a `Source` of `Record`s; `Source.pictures` decodes them. A picture that cannot be used
(unreadable, over a limit, without caption) is named in the log, skipped and counted; above 1 % the pass
stops.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from pictura.core.errors import DataError
from pictura.data import guard

MAX_BAD_SHARE = 0.01
"""A pass in which a larger share of the pictures is bad ends in an error."""
CAPTION_COLUMNS = (
    "captions", "caption", "text", "texts", "txt", "prompt", "prompts", "description", "sentences",
    "sentence", "name",
)  # fmt: skip
"""Columns that may hold captions; the first that is there is taken."""

Progress = Callable[[int, int], None]
"""Called with (done, total) as a long pass goes on."""

log = logging.getLogger("pictura.data")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One picture, not yet decoded, with what is known of it."""

    id: str
    """Unique in its source and the same on every pass."""
    image: bytes | Path
    """The encoded picture, or the file that holds it."""
    captions: tuple[str, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the source has: name, style, class, split, licence, …"""
    where: str = ""
    """Names the picture in messages; the file if empty."""
    window: tuple[int, int, int, int] | None = None
    """Left, top, right, bottom in pixels of the part that is taken; what lies outside the picture is left
    out. None takes all of it."""

    def __str__(self) -> str:
        return self.where or str(self.image if isinstance(self.image, Path) else self.id)

    def read(self) -> bytes:
        """The encoded picture. Raises DataError if its file cannot be read."""
        return self.image if isinstance(self.image, bytes) else guard.read_file(self.image)

    def picture(self) -> Image.Image:
        """What is taken of it, RGB or RGBA. Raises DataError if it is unreadable, over a limit or nothing."""
        picture = guard.decode(self.read(), str(self))
        if self.window is None:
            return picture
        left, top, right, bottom = self.window
        inside = (max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height))
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            raise DataError(f"{self}: the window {self.window} lies outside its {picture.size} pixels.")
        return picture.crop(inside)


class Source:
    """A captioned image set of known length, iterated as often as needed, always in the same order."""

    def __init__(self, path: Path, layout: str, size: int, records: Callable[[], Iterator[Record]]) -> None:
        """Made by the readers; `open_source` finds the right one.

        Args:
            path: where the set lies.
            layout: one phrase that says what it was recognised as.
            size: number of records.
            records: starts a new pass.
        """
        self.path = path
        self.layout = layout
        self.bad: list[str] = []
        """One sentence for each bad picture of the latest pass of `pictures`."""
        self._size = size
        self._records = records

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Record]:
        return self._records()

    @property
    def errors(self) -> int:
        """Number of bad pictures of the latest pass of `pictures`."""
        return len(self.bad)

    def pictures(
        self,
        *,
        keep: Callable[[Record], bool] | None = None,
        limit: int | None = None,
        progress: Progress | None = None,
        stop: bool = True,
    ) -> Iterator[tuple[Record, Image.Image]]:
        """Decode the set, skipping and counting bad pictures.

        Args:
            keep: picks the records wanted; None keeps all.
            limit: stop after so many kept records.
            progress: told (done, total) after each record.
            stop: False counts bad pictures only, however many there are; `check` can be called later.

        Raises:
            DataError: more than 1 % of the kept records are bad: at once when certain, else at the end.
        """
        self.bad = []
        seen = 0
        total = len(self) if limit is None else min(limit, len(self))
        for record in self:
            if limit is not None and seen >= limit:
                break
            if keep is not None and not keep(record):
                continue
            seen += 1
            try:
                if not record.captions:
                    raise DataError(f"{record}: the picture has no caption.")
                picture = record.picture()
            except DataError as error:
                log.warning("Skipped: %s", error)
                self.bad.append(str(error))
                if stop:
                    self._stop_if_over(total, seen)
            else:
                yield record, picture
            if progress is not None:
                progress(seen, total)
        if stop:
            self.check(seen)

    def check(self, seen: int) -> None:
        """Judge the latest pass, which saw `seen` records. Raises DataError if more than 1 % were bad."""
        self._stop_if_over(seen, seen)

    def _stop_if_over(self, total: int, seen: int) -> None:
        if not too_many_bad(len(self.bad), total):
            return
        named = " ".join(self.bad[:3]) + (" …" if len(self.bad) > 3 else "")
        of = f"of {seen}" if seen == total else f"of the first {seen} (of at most {total})"
        raise DataError(
            f"{self.path}: {len(self.bad)} {of} pictures cannot be used, and at most 1 % may be bad. "
            f"Mend or remove them: {named}"
        )


def too_many_bad(bad: int, total: int) -> bool:
    """Whether more than 1 % are bad."""
    return bad > MAX_BAD_SHARE * total


def caption_column(columns: Iterable[str]) -> str | None:
    """The column that holds captions, or None. Case does not matter."""
    by_lower = {str(c).lower(): c for c in columns}
    return next((by_lower[name] for name in CAPTION_COLUMNS if name in by_lower), None)


def as_captions(value: Any) -> tuple[str, ...]:
    """One caption or a list of them: spaces tidied, empty and repeated ones dropped."""
    rows = value if isinstance(value, (list, tuple)) else [value]
    tidy = (" ".join(row.split()) for row in rows if isinstance(row, str))
    return tuple(dict.fromkeys(caption for caption in tidy if caption))
