"""Sweeps now and then, in one of all the programs that share a database.

When the last sweep ended, and who sweeps now, stands in the table of settings. A program that dies in the
midst of a sweep holds the next one up for `LEASE_S`; two at once would do no harm.
"""

import logging
import secrets
import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete

from pictura.core.errors import DatabaseError, StorageError
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.gallery import Swept, sweep
from pictura.store.tables import Bucket, Setting

log = logging.getLogger("pictura.sweeper")
KEY = "sweep"
LEASE_S = 900.0
"""For one sweep."""
LOOK_S = 60.0
"""Between looks whether it is time, and before the first one."""
FULL_AFTER_S = 120.0
"""When a bucket of requests is full again, whatever it was: then it needs no row."""


class Sweeper:
    """Sweeps a studio, from a thread of its own."""

    def __init__(
        self, database: Database, files: Files, *, every_s: float | None, look_s: float = LOOK_S
    ) -> None:
        """Plan it; `start` begins.

        Args:
            database: that names files.
            files: to clear.
            every_s: from the end of one sweep, by whomever, to the next; None is never.
            look_s: between looks whether it is time.
        """
        self._database, self._files = database, files
        self._every_s, self._look_s = every_s, look_s
        self._name = secrets.token_hex(8)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, once."""
        if self._every_s is not None and self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
            self._thread.start()

    def stop(self, wait_s: float = 5.0) -> None:
        """End; a sweep that takes longer is left to the end of the program, which harms nothing."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(wait_s)
            self._thread = None

    def turn(self) -> Swept | None:
        """Sweep if it is time and nobody else does.

        Raises:
            DatabaseError: the database does not work.
            StorageError: files cannot be listed or removed.
        """
        if self._every_s is None or not (self._is_time() and self._begin()):
            return None
        swept = sweep(self._database, self._files)
        with self._database.write() as session:
            now = self._database.now(session)
            session.execute(delete(Bucket).where(Bucket.at < now - FULL_AFTER_S))
            told = {"ended_at": now, "images": swept.num_images, "files": swept.num_files}
            session.merge(Setting(key=KEY, value=told, changed_at=now))
        log.info("swept: %d deleted pictures and %d files forgotten", swept.num_images, swept.num_files)
        return swept

    def _run(self) -> None:
        while not self._stopping.wait(self._look_s):
            try:
                self.turn()
            except (DatabaseError, StorageError) as error:
                log.error("sweeping failed, and is tried again when its lease is over: %s", error)

    def _is_time(self) -> bool:
        with self._database.read() as session:
            row = session.get(Setting, KEY)
            return self._may(row.value if row else {}, self._database.now(session))

    def _begin(self) -> bool:
        """Take the sweep, unless another was faster."""
        with self._database.write() as session:
            row, now = session.get(Setting, KEY), self._database.now(session)
            before = row.value if row else {}
            if not self._may(before, now):
                return False
            told = {**before, "by": self._name, "until": now + LEASE_S}
            session.merge(Setting(key=KEY, value=told, changed_at=now))
            return True

    def _may(self, told: Mapping[str, Any], now: float) -> bool:
        """Whether it is time; a clock that was set back delays nothing."""
        assert self._every_s is not None
        ended, until = told.get("ended_at", 0.0), told.get("until", 0.0)
        is_held = now < until <= now + LEASE_S
        return not is_held and not now - self._every_s < ended <= now
