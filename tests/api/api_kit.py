"""Studios for tests: a real one in processes of its own, and apps inside the test's process."""

import base64
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
from fastapi.testclient import TestClient
from PIL import Image

from pictura.api.access import accounts
from pictura.api.app import create_app
from pictura.api.config import ApiConfig, Role
from pictura.api.studio import Studio
from pictura.store.tables import User

PASSWORD = "correct horse"
START_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A studio that runs."""

    url: str
    process: "subprocess.Popen[str]"
    home: Path
    log: Path

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **more)

    def stop(self) -> str:
        """Ask it to end, and return what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        return self.log.read_text()


def make_home(folder: Path, tiny: Path) -> Path:
    """A home whose default model is a tiny one."""
    shutil.copytree(tiny / "models" / "tiny", folder / "models" / "flow")
    shutil.copytree(tiny / "models" / "tiny", folder / "models" / "tiny")
    return folder


def start(home: Path, *options: str, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """`pictura studio` on any port, a process of its own, its log in its home; `--web-port` has pages."""
    pages = () if "--web-port" in options else ("--no-web",)
    command = [sys.executable, "-m", "pictura.cli", "studio", "--port", "0", "--no-browser", *pages, *options]
    given = {"PICTURA_HOME": str(home), "OMP_NUM_THREADS": "1", **(environment or {})}
    with (home / "log").open("w") as log:
        return subprocess.Popen(command, env=os.environ | given, stdout=log, stderr=log, text=True)


@contextlib.contextmanager
def served(home: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """A studio that answers; it is stopped in the end."""
    process = start(home, *options, environment=environment)
    try:
        until = time.monotonic() + START_S
        while not (home / "studio.json").exists() or not _answers(home):
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        url = json.loads((home / "studio.json").read_text())["url"]
        yield Served(url=url, process=process, home=home, log=home / "log")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(40)


def _answers(home: Path) -> bool:
    try:
        url = json.loads((home / "studio.json").read_text())["url"]
        return httpx.get(f"{url}/readyz", timeout=1).status_code == 200
    except (OSError, ValueError, httpx.HTTPError):
        return False


@contextlib.contextmanager
def app_client(folder: Path, **config: Any) -> Iterator[TestClient]:
    """A client of an app in this process, without workers."""
    places = {"database": f"sqlite:///{folder / 'studio.db'}", "files": str(folder / "pictures")}
    chosen = ApiConfig(**{**places, **config})
    with TestClient(create_app(chosen), base_url="http://127.0.0.1") as client:
        yield client


def studio_of(client: TestClient) -> Studio:
    found: Studio = client.app.state.studio  # type: ignore[attr-defined]
    return found


def add_user(client: TestClient, name: str, role: Role = "user", password: str | None = None) -> User:
    return accounts.add_user(studio_of(client).database, name, password, role)


def key_of(client: TestClient, user: User, *scopes: Any) -> dict[str, str]:
    """The header of a new key."""
    _, key = accounts.add_key(studio_of(client).database, user.id, scopes or ("generate", "rate", "admin"))
    return {"Authorization": f"Bearer {key}"}


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Server-sent events, each with `id`, `event` and decoded `data`."""
    found: dict[str, Any] = {}
    for line in response.iter_lines():
        if not line and found:
            yield found
            found = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = json.loads(value) if name == "data" else value


def finished(client: httpx.Client | TestClient, job_id: str, wait_s: float = 30) -> dict[str, Any]:
    """A job, when it has ended."""
    until = time.monotonic() + wait_s
    while True:
        job: dict[str, Any] = client.get(f"/api/v1/jobs/{job_id}").json()
        if job["status"] not in ("queued", "running"):
            return job
        assert time.monotonic() < until, job
        time.sleep(0.03)


def png(size: tuple[int, int] = (64, 64), colour: Any = (200, 30, 30, 255), **more: Any) -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGBA", size, colour).save(file, "PNG", **more)
    return file.getvalue()


def opened(data: bytes | str) -> Image.Image:
    """A picture, given as bytes or base64."""
    image = Image.open(io.BytesIO(base64.b64decode(data) if isinstance(data, str) else data))
    image.load()
    return image
