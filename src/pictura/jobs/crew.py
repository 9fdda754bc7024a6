"""Workers as child processes: started, started anew where one died, stopped in the end.

A worker that dies gives nothing back; its jobs are taken back at once by its name, not only when their
leases are over.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pictura.core.errors import PicturaError
from pictura.jobs.queue import Queue

log = logging.getLogger("pictura.crew")
LOOK_S = 0.25
LONG_ENOUGH_S = 10.0
"""A worker that lived so long is started anew at once; others after a pause that grows."""
LONGEST_PAUSE_S = 30.0
STOP_S = 20.0
"""In which a worker must give back what it holds."""


@dataclass(kw_only=True, slots=True)
class _Member:
    """One place in the crew."""

    name: str
    process: "subprocess.Popen[bytes]"
    began: float
    died: float | None = None
    """When its process was found dead; None while it lives."""
    pause_s: float = 0.0


class Crew:
    """A number of workers, kept alive."""

    def __init__(
        self,
        queue: Queue,
        num: int,
        *,
        name: str,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Plan them; `start` begins.

        Args:
            queue: from which they claim; it takes back what dead ones held.
            num: of workers.
            name: of this crew; its workers are NAME-0, NAME-1, …
            options: for `python -m pictura.jobs`.
            environment: for the workers, beside this program's own.
        """
        self._queue, self._num, self._name = queue, num, name
        self._options, self._environment = list(options), dict(environment or {})
        self._members: list[_Member] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="crew", daemon=True)

    def start(self) -> None:
        """Start the workers, and watch them from a thread."""
        for i in range(self._num):
            name = f"{self._name}-{i}"
            self._members.append(_Member(name=name, process=self._launch(name), began=time.monotonic()))
        self._thread.start()

    def stop(self) -> None:
        """Stop them: each gives back what it holds; one that does not end in time is killed."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for member in self._members:
            if member.process.poll() is None:
                member.process.terminate()
        until = time.monotonic() + STOP_S
        for member in self._members:
            try:
                member.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("worker %s did not stop; it is killed", member.name)
                member.process.kill()
                member.process.wait()
                self._take_back(member)

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_S):
            for member in self._members:
                if member.died is None and member.process.poll() is not None:
                    self._mourn(member)
                elif member.died is not None and time.monotonic() - member.died >= member.pause_s:
                    member.process, member.began = self._launch(member.name), time.monotonic()
                    member.died = None

    def _mourn(self, member: _Member) -> None:
        now = time.monotonic()
        early = now - member.began < LONG_ENOUGH_S
        member.pause_s = min(LONGEST_PAUSE_S, max(1.0, 2 * member.pause_s)) if early else 0.0
        member.died = now
        again = f"in {member.pause_s:g} s" if member.pause_s else "at once"
        code = member.process.returncode
        log.error("worker %s ended with code %d; it is started anew %s", member.name, code, again)
        self._take_back(member)

    def _take_back(self, member: _Member) -> None:
        try:
            self._queue.recover(member.name)
        except PicturaError as error:  # then the leases run out
            log.error("what %s held cannot be taken back yet: %s", member.name, error)

    def _launch(self, name: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "pictura.jobs", "--name", name, "--parent", str(os.getpid())]
        return subprocess.Popen(  # noqa: S603  # our own program
            [*command, *self._options],
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
        )
