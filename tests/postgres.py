"""A PostgreSQL server for tests: its own folder, its own socket, no network, run by an ordinary user."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

PATIENCE_S = 60


def programs() -> Path | None:
    """The folder of the newest installed server's programs; None if there is none."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if folders:
        return max(folders, key=lambda folder: int(folder.parent.name))
    found = shutil.which("postgres")
    return Path(found).parent if found else None


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run a server for the block; its URL, with an empty database `studio`.

    A server refuses to run as root: then the user `postgres` of the system, or `nobody`, runs it.
    """
    folder = Path(tempfile.mkdtemp(prefix="pictura-pg-"))  # a socket's path must be short
    who = _ordinary_user()
    if who:
        shutil.chown(folder, who)
    bin_ = programs()
    assert bin_ is not None
    data = folder / "data"
    more: Any = {"user": who, "extra_groups": []} if who else {}
    try:
        init = [bin_ / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(list(map(str, init)), check=True, capture_output=True, cwd=folder, **more)
        command = [bin_ / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, cwd=folder, **more)
        try:
            _wait(process, folder)
            yield f"postgresql://tester@/studio?host={folder}"
        finally:
            process.send_signal(signal.SIGQUIT)  # stop at once: nothing here is worth a last checkpoint
            process.wait(PATIENCE_S)
    finally:
        shutil.rmtree(folder)


def _ordinary_user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with psycopg.connect(
                f"postgresql://tester@/postgres?host={folder}", autocommit=True
            ) as connection:
                connection.execute("CREATE DATABASE studio")
            return
        except psycopg.OperationalError:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.02)
