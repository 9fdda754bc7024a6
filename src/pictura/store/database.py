"""The database of the studio: SQLite in a file, or PostgreSQL, with the same promises.

What is committed is on the disk: SQLite keeps a write-ahead log with ``synchronous=FULL``, PostgreSQL
``synchronous_commit=on``. One transaction writes at a time, on both: SQLite by ``BEGIN IMMEDIATE``,
PostgreSQL by an advisory lock. So whoever writes has seen everything written before, and counting, choosing
and numbering need no further care. Writers are short; pictures are stored before (`store.files`).
"""

import contextlib
import functools
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy import exc as sql
from sqlalchemy.orm import Session

from pictura.core.errors import ConfigError, DatabaseError, PicturaError, StorageError
from pictura.store.models import home

WAIT_S = 30
"""For another writer, before giving up."""
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
_WRITER = 0x70696374
"""Number of the advisory lock that the one writer holds."""
_OUR_MISTAKES = (sql.IntegrityError, sql.ProgrammingError, sql.DataError, sql.NotSupportedError)


class Database:
    """A database that may be shared by threads and processes; on PostgreSQL, by machines."""

    def __init__(self, url: str | None = None) -> None:
        """Name a database; nothing is opened yet.

        Args:
            url: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``. None is
                ``$PICTURA_DATABASE``, or else ``studio/studio.db`` in the folder of a user's data.

        Raises:
            ConfigError: another kind of URL.
        """
        self.url = _read_url(url or os.environ.get("PICTURA_DATABASE") or f"sqlite:///{_default_file()}")
        self.name = self.url.render_as_string(hide_password=True)
        self.on_sqlite = self.url.drivername == "sqlite"
        self._in_turn = threading.Lock()  # threads of one process need not poll for the file's lock
        self._reader = _make_engine(self.url)
        self._times_closed = 0
        event.listen(self._reader, "checkout", self._mark)
        event.listen(self._reader, "checkin", self._take_back)
        self._writer = self._reader.execution_options(pictura_writes="FULL")
        self._unsynced = self._reader.execution_options(pictura_writes="NORMAL")

    @classmethod
    def open(cls, url: str | None = None) -> "Database":
        """Open a database and bring its tables up to date; an SQLite file is made if missing.

        Raises:
            ConfigError: another kind of URL.
            DatabaseError: it is not there, does not answer, or was made by a newer Pictura.
        """
        database = cls(url)
        if database.on_sqlite and database.url.database:
            with contextlib.suppress(OSError):  # opening it will say what is wrong
                Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
        database.upgrade()
        return database

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one moment (on PostgreSQL: each statement sees its own) and writes nothing.

        Raises:
            DatabaseError: the database is not there or does not answer.
        """
        with self._explained(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextlib.contextmanager
    def write(self, *, synced: bool = True) -> Iterator[Session]:
        """A session in which nobody else writes. What it wrote is on the disk when the block ends.

        An error in the block takes all of it back. What was loaded stays readable afterwards.

        Args:
            synced: False does not wait for the disk: if the machine stops, the newest of such blocks may be
                lost, whole. For what may be lost.

        Raises:
            DatabaseError: the database is not there, does not answer, or another writer takes over 30 s.
            StorageError: its disk is full.
        """
        with self._alone(synced) as connection, Session(connection, expire_on_commit=False) as session:
            yield session
            session.flush()

    def now(self, session: Session) -> float:
        """Seconds since 1970 by the clock that all users of this database share."""
        if self.on_sqlite:
            return time.time()
        return float(session.scalars(select(func.extract("epoch", func.clock_timestamp()))).one())

    def upgrade(self, revision: str = "head") -> None:
        """Bring the tables up to a revision; what is there already stays.

        Raises:
            DatabaseError: it is not there, does not answer, or was made by a newer Pictura.
        """
        self._migrate("upgrade", revision)

    def downgrade(self, revision: str) -> None:
        """Take the tables back to an older revision; ``base`` removes them with all they hold."""
        self._migrate("downgrade", revision)

    def close(self) -> None:
        """Close all connections, those in use as soon as they are not; the next use opens new ones."""
        self._times_closed += 1
        self._reader.dispose()

    def _mark(self, _: object, record: Any, __: object) -> None:
        record.info["times_closed"] = self._times_closed

    def _take_back(self, _: object, record: Any) -> None:
        """Disposing forgets connections in use: nobody would close them."""
        if record.info.get("times_closed") != self._times_closed:
            record.close()

    def _migrate(self, way: str, revision: str) -> None:
        import alembic.command
        import alembic.config
        import alembic.util

        config = alembic.config.Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
        try:
            with self._alone() as connection:
                config.attributes["connection"] = connection
                getattr(alembic.command, way)(config, revision)
        except alembic.util.CommandError as error:
            raise DatabaseError(
                f"The tables of {self.name} are of a revision that this Pictura does not know ({error}). "
                "Use the Pictura that made them, or a newer one."
            ) from error

    @contextlib.contextmanager
    def _alone(self, synced: bool = True) -> Iterator[Connection]:
        """A connection in a transaction that nobody else writes beside."""
        writer = self._writer if synced else self._unsynced
        with self._explained(), self._turn(), writer.begin() as connection:
            if not self.on_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(_WRITER)))
                if not synced:
                    connection.execute(text("SET LOCAL synchronous_commit = off"))
            yield connection

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._in_turn.acquire(timeout=WAIT_S):
            raise DatabaseError(f"Another writer of this program held {self.name} for over {WAIT_S} s.")
        try:
            yield
        finally:
            self._in_turn.release()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in one sentence what is wrong with the database."""
        try:
            yield
        except (sql.DBAPIError, sql.TimeoutError) as error:
            if isinstance(error, _OUR_MISTAKES):
                raise
            raise self._in_words(error) from error

    def _in_words(self, error: sql.DBAPIError | sql.TimeoutError) -> PicturaError:
        reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0].rstrip(".")
        if "is full" in reason or "No space left" in reason:
            return StorageError(f"Cannot write {self.name}: {reason}. Nothing was changed; free space.")
        return DatabaseError(f"The database {self.name} cannot be used: {reason}. Nothing was changed.")


def _default_file() -> Path:
    return home() / "studio" / "studio.db"


def _read_url(given: str) -> URL:
    try:
        url = make_url(given)
    except sql.ArgumentError:
        url = None
    if url is not None and url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
        return url
    if url is not None and url.drivername in _POSTGRES:
        return url.set(drivername="postgresql+psycopg")
    raise ConfigError(
        "A database is named as sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; "
        f"got {url.render_as_string(hide_password=True) if url is not None else given!r}."
    )


def _make_engine(url: URL) -> Engine:
    more: dict[str, Any] = {
        "hide_parameters": True,  # an error's text must not tell a prompt
        "pool_size": 10,
        "max_overflow": 40,  # the threads of a web server
        "json_serializer": functools.partial(json.dumps, allow_nan=False),  # PostgreSQL takes no NaN
    }
    if url.drivername == "sqlite":
        engine = create_engine(url, connect_args={"timeout": WAIT_S}, **more)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True, **more)
    event.listen(engine, "connect", _prepare_postgres)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("pictura_writes")
    if writes:
        connection.exec_driver_sql(f"PRAGMA synchronous={writes}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_postgres(connection: Any, _: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = '{WAIT_S}s'")
        # A writer whose machine stopped in the midst of its transaction must not hold up the others.
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{WAIT_S // 2}s'")
    connection.commit()
