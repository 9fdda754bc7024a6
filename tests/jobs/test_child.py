"""A program beside ours: started anew when it dies, stopped with us."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pictura.jobs.child import Child

PROGRAM = """
import os, signal, sys, time
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
time.sleep(60)
"""


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_program_that_died_is_started_anew_and_stopped_in_the_end(tmp_path: Path) -> None:
    notes = tmp_path / "pids"
    child = Child("a program", [sys.executable, "-c", PROGRAM, str(notes)])
    assert child.pid is None
    child.start()
    wait_for(lambda: notes.exists() and len(notes.read_text().split()) == 1)
    first = int(notes.read_text())
    assert child.pid == first
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(notes.read_text().split()) == 2)
    second = int(notes.read_text().split()[1])
    assert is_alive(second)
    child.stop()
    assert not is_alive(second)
    assert not is_alive(first)
