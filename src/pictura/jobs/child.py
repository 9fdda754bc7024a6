"""One program beside ours, kept alive: started, started anew where it died, stopped in the end.

`crew` does the same for workers, and takes back what dead ones held.
"""

import logging
import subprocess
import threading
import time
from collections.abc import Sequence

log = logging.getLogger("pictura.child")
LOOK_S = 0.25
LONG_ENOUGH_S = 10.0
"""A program that lived so long is started anew at once; others after a pause that grows."""
LONGEST_PAUSE_S = 30.0
STOP_S = 15.0
"""In which it must end when it is told to."""


class Child:
    """A program that runs as long as ours."""

    def __init__(self, name: str, command: Sequence[str], keep_open: Sequence[int] = ()) -> None:
        """Plan it; `start` begins.

        Args:
            name: for the log.
            command: the program and its arguments.
            keep_open: files and sockets of ours that it goes on with.
        """
        self.name, self._command, self._keep_open = name, list(command), tuple(keep_open)
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, or ran last; None before the start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, and watch it from a thread."""
        self._process = self._launch()
        self._thread.start()

    def end(self) -> None:
        """Tell it to end, and go on meanwhile; `stop` waits for it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """Stop it; if it does not end in time it is killed."""
        self.end()
        if self._process is None:
            return
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            log.error("%s did not stop; it is killed", self.name)
            self._process.kill()
            self._process.wait()

    def _watch(self) -> None:
        began, pause_s = time.monotonic(), 0.0
        while not self._stopping.wait(LOOK_S):
            assert self._process is not None
            if self._process.poll() is None:
                continue
            early = time.monotonic() - began < LONG_ENOUGH_S
            pause_s = min(LONGEST_PAUSE_S, max(1.0, 2 * pause_s)) if early else 0.0
            again = f"in {pause_s:g} s" if pause_s else "at once"
            code = self._process.returncode
            log.error("%s ended with code %d; it is started anew %s", self.name, code, again)
            if self._stopping.wait(pause_s):
                return
            self._process, began = self._launch(), time.monotonic()

    def _launch(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603  # our own program
            self._command, stdin=subprocess.DEVNULL, pass_fds=self._keep_open
        )
