"""What is committed is on the disk, one writes at a time, tables go up and down, errors are sentences."""

import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text

from pictura.core.errors import ConfigError, DatabaseError, StorageError
from pictura.store import database as module
from pictura.store.database import Database
from pictura.store.tables import Base, Event, Job, Setting, User, new_id
from tests.jobs.programs import Programs, count_up


def test_a_commit_waits_for_the_disk(database: Database) -> None:
    with database.read() as session:
        if database.on_sqlite:
            assert session.scalar(text("PRAGMA journal_mode")) == "wal"
            assert session.scalar(text("PRAGMA synchronous")) == 2  # FULL
        else:
            assert session.scalar(text("SHOW synchronous_commit")) == "on"
            assert session.scalar(text("SHOW transaction_isolation")) == "read committed"


def test_the_migrations_make_the_tables_that_the_code_has(database: Database) -> None:
    def is_table(name: str | None, *_: object) -> bool:
        return "words" not in (name or "")  # full text is each database's own; searching tests it

    with database.read() as session:
        options = {"compare_type": True, "include_name": is_table}
        context = MigrationContext.configure(session.connection(), opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_tables_go_down_and_up_again(database: Database) -> None:
    with database.write() as session:
        session.add(User(name="ann"))
    database.downgrade("base")
    with database.read() as session:
        assert set(inspect(session.connection()).get_table_names()) == {"alembic_version"}
    database.upgrade()
    database.upgrade()  # what is up stays
    with database.write() as session:
        assert session.scalars(select(User)).all() == []
        session.add(User(name="ann"))


def test_a_connection_in_use_is_closed_when_it_comes_back_to_a_closed_database(database: Database) -> None:
    with database.read() as session:
        theirs = session.connection().connection.dbapi_connection
        assert theirs is not None
        database.close()
        assert session.scalar(text("SELECT 1")) == 1  # it may finish
    with pytest.raises(Exception, match=r"closed"):
        theirs.cursor().execute("SELECT 1")
    with database.read() as session:  # and a new one opens
        assert session.scalar(text("SELECT 1")) == 1


def test_tables_of_a_newer_pictura_are_named_and_left_alone(database: Database) -> None:
    with database.write() as session:
        ours = session.scalar(text("SELECT version_num FROM alembic_version"))
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(DatabaseError, match=r"does not know .*9999.* Use the Pictura that made them"):
            database.upgrade()
    finally:
        with database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :ours"), {"ours": ours})


def test_an_error_takes_back_the_whole_block(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            session.add(User(name="ann"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as session:
        assert session.scalars(select(User)).all() == []


def test_numbers_of_events_are_never_used_twice(database: Database) -> None:
    def add() -> int:
        with database.write() as session:
            session.add(event := Event(job_id=job_id, kind="progress", payload={}, at=0.0))
            session.flush()
            return event.id

    job_id = new_id()
    with database.write() as session:
        session.add(user := User(name="ann"))
        session.flush()
        session.add(
            Job(
                id=job_id,
                user_id=user.id,
                lane="fast",
                kind="",
                request={},
                num_images=0,
                max_attempts=1,
                created_at=0.0,
            )
        )
    first = add()
    with database.write() as session:
        session.delete(session.get_one(Event, first))
    assert add() > first


def test_ids_rise_even_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    assert new_id() < first < new_id(after=first)
    assert len(new_id()) == len(new_id(after=first)) == len(first) == 22


def test_processes_that_open_and_write_at_once_lose_nothing(database: Database, tmp_path: Path) -> None:
    """Each of them finds no tables, on SQLite no file either, and wants to make them."""
    if database.on_sqlite:
        database = Database(f"sqlite:///{tmp_path / 'new' / 'studio.db'}")
    else:
        database.downgrade("base")
    programs = Programs(database, tmp_path)
    try:
        for name in ("one", "two", "three", "four"):
            programs.start(name, count_up, 20)
        programs.until(lambda: all(programs.said(name) == ["done"] for name in programs.running))
    finally:
        programs.kill_all()
    with database.read() as session:
        assert session.get_one(Setting, "count").value == {"is": 80}
    database.close()


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.write() as session:
        session.add(User(name="ann"))
        session.flush()
        start = time.monotonic()
        with database.read() as other:
            assert other.scalars(select(User)).all() == []
        assert time.monotonic() - start < 5


def test_a_writer_that_never_ends_is_reported(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.05)
    with (
        pytest.raises(DatabaseError, match=r"Another writer of this program held .* for over 0.05 s"),
        database.write(),
        database.write(),
    ):
        raise AssertionError


def test_a_full_disk_is_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with database.write() as session:
            session.execute(text("PRAGMA max_page_count = 1"))  # as it stands, no page more
            session.add(Setting(key="long", value={"text": "x" * 100_000}))

    database = Database.open(f"sqlite:///{tmp_path / 'studio.db'}")
    with pytest.raises(
        StorageError, match=r"Cannot write .*: database or disk is full\. Nothing was changed"
    ):
        fill()
    with database.read() as session:
        assert session.scalars(select(Setting)).all() == []
    database.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:////proc/nowhere/studio.db", "unable to open database file"),
        ("postgresql://ann:secret@/studio?host=/nowhere", "No such file or directory"),
        ("sqlite:///{folder}/text.db", "file is not a database"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path, url: str, reason: str) -> None:
    (tmp_path / "text.db").write_text("not a database, by far" * 100)
    with pytest.raises(DatabaseError, match=rf"The database .* cannot be used: .*{reason}") as caught:
        Database.open(url.format(folder=tmp_path))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://ann:secret@host/x", "studio.db", "sqlite://", "sqlite:///:memory:"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"named as sqlite:///FILE or postgresql://") as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_without_a_url_it_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    monkeypatch.delenv("PICTURA_DATABASE", raising=False)
    assert Database().url.database == str(tmp_path / "studio" / "studio.db")
    monkeypatch.setenv("PICTURA_DATABASE", "postgres://ann:secret@host/x")
    assert Database().name == "postgresql+psycopg://ann:***@host/x"
