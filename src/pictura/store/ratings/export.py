"""Ratings as a Parquet file, written piece by piece, so that it may be longer than memory.

Two kinds: what can be learnt from (`learning.pairs`, in the form of Pick-a-Pic), and every act as it was.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Select, select

from pictura.core.errors import MissingExtraError, StorageError
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.ratings.learning import RatedPair
from pictura.store.tables import Pair, Rating, User

Hide = Callable[[str], str]
"""From the id of a user to what stands for it in the file."""
Row = TypeVar("Row", Rating, Pair)
_ROWS = 1000
_ROWS_WITH_PICTURES = 50


def pairs_file(pairs: Iterable[RatedPair], hide: Hide, pictures: Files | None = None) -> Iterator[bytes]:
    """Pairs as the parts of a Parquet file.

    Args:
        pairs: see `learning.pairs`.
        hide: users' ids are not told.
        pictures: also the pictures' files, from there; null where one is gone.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    pa = _arrow()
    columns = {
        "prompt": pa.string(),
        "image_0": pa.string(),
        "image_1": pa.string(),
        "label_0": pa.float32(),
        "label_1": pa.float32(),
        "weight": pa.float32(),
        "user": pa.string(),
        "model": pa.string(),
        "model_hash": pa.string(),
        "kind": pa.string(),
        "side": pa.string(),
        "ms": pa.int32(),
        "repeat": pa.bool_(),
        "ts": pa.float64(),
    }
    if pictures is not None:
        columns |= {"png_0": pa.binary(), "png_1": pa.binary()}
    rows = (_pair(pair, hide, pictures) for pair in pairs)
    return _written(rows, columns, _ROWS if pictures is None else _ROWS_WITH_PICTURES)


def acts_file(database: Database, hide: Hide, *, user_id: str | None, consent: bool) -> Iterator[bytes]:
    """Every act and every answered pair, as the parts of a Parquet file.

    Args:
        database: that keeps them.
        hide: users' ids are not told.
        user_id: whose; None is everybody's.
        consent: only what models may learn from.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    pa = _arrow()
    columns = {
        "id": pa.string(),
        "kind": pa.string(),
        "image_id": pa.string(),
        "slot": pa.int32(),
        "shown_ids": pa.list_(pa.string()),
        "surface": pa.string(),
        "choice": pa.string(),
        "chosen_by": pa.string(),
        "repeat_of": pa.string(),
        "ms": pa.int32(),
        "user": pa.string(),
        "model": pa.string(),
        "model_hash": pa.string(),
        "consent": pa.bool_(),
        "ts": pa.float64(),
    }
    rows = (_act(row, hide) for row in _acts(database, user_id, consent))
    return _written(rows, columns, _ROWS)


def _acts(database: Database, user_id: str | None, consent: bool) -> Iterator[Rating | Pair]:
    acts = select(Rating).join(User, User.id == Rating.user_id)
    pairs = select(Pair).join(User, User.id == Pair.user_id).where(Pair.choice.is_not(None))
    if consent:
        acts = acts.where(Rating.consent, User.train_on_ratings)
        pairs = pairs.where(Pair.consent, User.train_on_ratings)
    if user_id is not None:
        acts, pairs = acts.where(User.id == user_id), pairs.where(User.id == user_id)
    yield from _paged(database, acts, Rating)
    yield from _paged(database, pairs, Pair)


def _paged(database: Database, query: Select[Row], kind: type[Row]) -> Iterator[Row]:
    last = ""
    while True:
        with database.read() as session:
            page = session.scalars(query.where(kind.id > last).order_by(kind.id).limit(_ROWS)).all()
        if not page:
            return
        last = page[-1].id
        yield from page


def _pair(pair: RatedPair, hide: Hide, pictures: Files | None) -> dict[str, Any]:
    row = {
        "prompt": pair.prompt,
        "image_0": pair.better,
        "image_1": pair.worse,
        "label_0": 0.5 if pair.tie else 1.0,
        "label_1": 0.5 if pair.tie else 0.0,
        "weight": pair.weight,
        "user": hide(pair.user),
        "model": pair.model,
        "model_hash": pair.model_hash,
        "kind": pair.kind,
        "side": pair.side,
        "ms": pair.ms,
        "repeat": pair.repeat,
        "ts": pair.ts,
    }
    if pictures is not None:
        row |= {"png_0": _file(pictures, pair.better_path), "png_1": _file(pictures, pair.worse_path)}
    return row


def _act(row: Rating | Pair, hide: Hide) -> dict[str, Any]:
    same = {
        "id": row.id,
        "user": hide(row.user_id),
        "model": row.model,
        "model_hash": row.model_hash,
        "consent": row.consent,
    }
    if isinstance(row, Pair):
        return same | {
            "kind": "pair",
            "image_id": row.right_id if row.choice == "right" else row.left_id,
            "slot": {"left": 0, "right": 1}.get(row.choice or ""),
            "shown_ids": [row.left_id, row.right_id],
            "surface": "rank",
            "choice": row.choice,
            "chosen_by": row.chosen_by,
            "repeat_of": row.repeat_of,
            "ms": row.ms,
            "ts": row.answered_at,
        }
    return same | {
        "kind": row.kind,
        "image_id": row.image_id,
        "slot": row.slot,
        "shown_ids": row.shown_ids,
        "surface": row.surface,
        "ts": row.created_at,
    }


def _file(files: Files, path: str) -> bytes | None:
    try:
        return files.read(path)
    except StorageError:
        return None


def _written(rows: Iterator[dict[str, Any]], columns: dict[str, Any], at_once: int) -> Iterator[bytes]:
    pa = _arrow()
    from pyarrow import parquet

    sink, schema = _Sink(), pa.schema(list(columns.items()))
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while part := list(islice(rows, at_once)):
            writer.write_table(pa.Table.from_pylist(part, schema=schema))
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What a writer wrote since it was last taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts, self._at = list[bytes](), 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep bytes."""
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        """How many bytes came so far."""
        return self._at

    def taken(self) -> bytes:
        """The bytes that came, which are then forgotten."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(
            "Parquet files need pyarrow, which is not installed: pip install 'pictura[studio]'."
        ) from error
    return pyarrow
