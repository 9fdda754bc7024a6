"""Programs that tests run beside each other, and kill: each a process of its own, ready at once.

They are forked from a server that has imported everything and opened nothing.
Job NUMBER has NUMBER % 3 + 1 pictures; its picture INDEX is `picture(10 * NUMBER + INDEX)`.
"""

import contextlib
import multiprocessing
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pictura.core.errors import LeaseLostError, QueueFullError
from pictura.jobs.queue import Queue
from pictura.jobs.values import Claimed, JobRequest, QueueConfig
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.tables import Setting, User
from tests.jobs.queue_kit import picture

CONFIG = QueueConfig(max_attempts=1000, max_pending_per_user=10)
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["pytest", "psycopg", "alembic.command", "tests.jobs.programs"])


class Programs:
    """Programs on one database, by name; each says lines into a file of its own."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.url = database.url.render_as_string(hide_password=False)
        self.folder = folder
        self.running: dict[str, Any] = {}

    def start(self, name: str, program: Callable[..., None], *args: object) -> None:
        """Run ``program(url, folder, say, *args)``."""
        process = _SERVER.Process(target=_run, args=(program, self.url, self.folder, name, args))
        process.start()
        self.running[name] = process

    def said(self, name: str) -> list[str]:
        """Its whole lines, those of earlier programs of that name included."""
        path = self.folder / name
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def kill(self, name: str) -> bool:
        """Whether it still ran."""
        self.running[name].kill()
        self.running[name].join()
        return bool(self.running[name].exitcode == -9)

    def kill_all(self) -> None:
        for name in self.running:
            self.kill(name)

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for that, and for no program to break down."""
        end = time.monotonic() + seconds
        while not condition():
            for process in self.running.values():
                assert process.exitcode in (None, 0, -9), (self.folder / "errors").read_text()
            assert time.monotonic() < end, "it never came to that"
            time.sleep(0.02)


def _run(program: Callable[..., None], url: str, folder: Path, name: str, args: tuple[object, ...]) -> None:
    with (folder / name).open("a", buffering=1) as file:
        try:
            program(url, folder, lambda *words: file.write(" ".join(map(str, words)) + "\n"), *args)
        except BaseException:
            (folder / "errors").write_text(traceback.format_exc())
            raise


def num_images(number: int) -> int:
    return number % 3 + 1


def ask(url: str, folder: Path, say: Callable[..., None], user: str, first: int, last: int) -> None:
    """Submit jobs `first` to `last` and say NUMBER ID; what was submitted before is the same by its key."""
    queue = Queue(Database(url), Files(folder / "pictures"), CONFIG)
    for number in range(first, last):
        request = JobRequest(num_images=num_images(number), request={"number": number})
        while True:
            try:
                job = queue.submit(request, user, ("draft", "fast", "relax")[number % 3], f"key-{number}")
                break
            except QueueFullError:
                time.sleep(0.05)
        say(number, job.id)


def work(url: str, folder: Path, say: Callable[..., None], name: str, lease_s: float) -> None:
    """Do jobs until killed, and say ID of each that is done."""
    queue = Queue(Database(url), Files(folder / "pictures"), CONFIG)
    while True:
        claims = queue.claim(name, 2, lease_s)
        for claim in claims:
            with contextlib.suppress(LeaseLostError):
                _do(queue, claim)
                say(claim.job.id)
        if not claims:
            time.sleep(0.05)


def _do(queue: Queue, claim: Claimed) -> None:
    number = claim.job.request["number"]
    for index in set(range(claim.job.num_images)) - claim.committed:
        queue.heartbeat([claim])
        queue.progress([(claim, {"index": index})])
        queue.commit_image(claim, index, picture(10 * number + index), {"number": number, "index": index})
    queue.finish(claim)


def count_up(url: str, folder: Path, say: Callable[..., None], times: int) -> None:
    """Make the tables if they are missing, then raise a number by one, again and again."""
    database = Database.open(url)
    for _ in range(times):
        with database.write() as session:
            setting = session.get(Setting, "count") or Setting(key="count", value={"is": 0})
            setting.value = {"is": setting.value["is"] + 1}
            session.add(setting)
    say("done")


def hold(url: str, folder: Path, say: Callable[..., None]) -> None:
    """Begin to write, and never end."""
    with Database(url).write() as session:
        session.add(User(name="bob"))
        session.flush()
        say("in")
        time.sleep(600)
