"""Fifty users at once: how long each waits for a picture, by how the server shares its machine.

    python -m benchmarks.serve [--users 50] [--write]

Three servers, one after another, each asked by the real `openai` client at the same moment for one picture of
256 px by each user: the studio with its engine, the same with one network call at a time, and a diffusers
pipeline behind FastAPI with a lock (`serve_peer.py`). Needs diffusers (pip install diffusers).
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from openai import AsyncOpenAI

from benchmarks.report import machine, table, write_section

MODEL = "flow"
WORDS = ("red apple", "blue car", "fox", "panda", "yellow star", "tree", "robot", "fish", "crown", "house")


@contextlib.contextmanager
def running(*commands: Sequence[str], home: Path) -> Iterator[None]:
    """Processes that end with the block."""
    env = {**os.environ, "PICTURA_HOME": str(home)}
    processes = [subprocess.Popen([sys.executable, *command], env=env) for command in commands]
    try:
        yield
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Until a server answers at all."""
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5)
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise SystemExit("The server did not answer within a minute.")


async def ask_all(port: int, users: int) -> list[float]:
    """Seconds that each user waits, all asking at once."""
    client = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", timeout=600, max_retries=0)

    async def ask(number: int) -> float:
        start = time.perf_counter()
        made = await client.images.generate(
            model=MODEL,
            prompt=f"a {WORDS[number % len(WORDS)]}",
            n=1,
            size="256x256",
            response_format="b64_json",
        )
        assert made.data
        assert made.data[0].b64_json
        return time.perf_counter() - start

    await ask(0)  # loads the model
    return sorted(await asyncio.gather(*(ask(i) for i in range(users))))


def measure(name: str, commands: Sequence[Sequence[str]], port: int, home: Path, users: int) -> list[str]:
    """One server: a row of the table."""
    with running(*commands, home=home):
        wait_for(port)
        waits = asyncio.run(ask_all(port, users))
    p50, p95 = statistics.median(waits), waits[round(0.95 * (len(waits) - 1))]
    return [name, f"{p50:.1f}", f"{p95:.1f}", f"{users / waits[-1]:.1f}"]


def studio(port: int, *more: str) -> list[list[str]]:
    """The API without workers, and a worker."""
    api = ["-m", "pictura.cli", "studio", "--port", str(port), "--workers", "0", "--no-browser", "--no-web"]
    return [api, ["-m", "pictura.jobs", "--warm", MODEL, *more]]


def main() -> None:
    """Measure and print, or write docs/benchmarks.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    args = parser.parse_args()
    rows = []
    for name, more in (("studio", ()), ("studio, one call at a time", ("--calls", "1", "--cores", "1"))):
        with tempfile.TemporaryDirectory() as place:
            port = free_port()
            rows.append(measure(name, studio(port, *more), port, Path(place), args.users))
    with tempfile.TemporaryDirectory() as place:
        port = free_port()
        peer = [["-m", "benchmarks.serve_peer", str(port)]]
        rows.append(measure("diffusers, FastAPI and a lock", peer, port, Path(place), args.users))
    text = table(["server", "half waited, s", "95 % waited, s", "pictures/s"], rows)
    told = f"{args.users} users at once, one picture each. {machine()}.\n\n{text}"
    if args.write:
        write_section("Fifty users at once", told)
    sys.stdout.write(told + "\n")


if __name__ == "__main__":
    main()
