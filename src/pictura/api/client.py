"""A running studio on this machine, as `pictura imagine` uses it. A plain install has this too."""

import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any

from PIL import Image

import pictura
from pictura.core.errors import PicturaError
from pictura.store.models import home
from pictura.store.pictures import Picture

KEY = "PICTURA_KEY"
NOTE = "studio.json"
"""In the folder of a user's data, for as long as a studio runs."""
_GREET_S, _ANSWER_S = 2.0, 60.0
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StudioError(PicturaError):
    """The studio refused, or is gone."""

    code = "studio_gone"
    http_status = 502
    exit_code = 25

    @classmethod
    def told(cls, problem: Mapping[str, Any]) -> "StudioError":
        """What a studio said, with the code and the exit code that it would have here."""
        error = cls(str(problem.get("detail") or problem.get("message") or "The studio could not do it."))
        error.code = str(problem.get("code") or cls.code)
        here = {kind.code: kind.exit_code for kind in PicturaError.__subclasses__()}
        error.exit_code = here.get(error.code, cls.exit_code)
        return error


class RunningStudio:
    """A studio that answers."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url, self._key = url, key

    def paint(
        self, asked: Mapping[str, Any], on_step: Callable[[int, int], None] | None = None
    ) -> list[Picture]:
        """Let a studio paint one job.

        Args:
            asked: as `POST /api/v1/jobs` takes it.
            on_step: called with (network steps done, network steps in all).

        Raises:
            StudioError: it refused, failed, or is gone.
        """
        job = self._json("POST", "/api/v1/jobs", asked)["jobs"][0]
        for kind, data in self._events(f"/api/v1/jobs/{job['id']}/events"):
            if kind == "progress" and on_step:
                on_step(data["done"], data["total"])
            elif kind == "error":
                raise StudioError.told(data)
            elif kind == "cancelled":
                raise StudioError(f"Job {job['id']} was cancelled in the studio.")
        done = self._json("GET", f"/api/v1/jobs/{job['id']}")
        if done["status"] != "done":
            raise StudioError(
                f"The studio at {self.url} stopped before job {job['id']} was done. It paints the job "
                "when it starts again; --local paints here."
            )
        return [self._picture(image) for image in done["images"]]

    def _picture(self, told: Mapping[str, Any]) -> Picture:
        with self._open("GET", told["url"]) as response:
            image = Image.open(io.BytesIO(_read(response)), formats=("PNG",))
            image.load()
        image.info.clear()
        details = dict(told["details"])
        notices = tuple(details.pop("notices", ()))
        return Picture(image=image, notices=notices, **details)

    def _events(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        kind = ""
        with self._open("GET", path) as response:
            try:
                for raw in response:
                    name, _, value = raw.decode().rstrip("\n").partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        yield kind, json.loads(value)
            except (OSError, HTTPException, ValueError):
                return  # whoever waits asks how the job is

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with self._open(method, path, body) as response:
            found: dict[str, Any] = json.loads(_read(response))
        return found

    def _open(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> HTTPResponse:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, method=method)  # noqa: S310  # our own note's
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if self._key:
            request.add_header("Authorization", f"Bearer {self._key}")
        try:
            response: HTTPResponse = _direct.open(request, timeout=_ANSWER_S)
        except urllib.error.HTTPError as error:
            raise StudioError.told(_problem(error)) from error
        except (OSError, HTTPException) as error:
            raise StudioError(
                f"The studio at {self.url} does not answer; --local paints without it."
            ) from error
        return response


def find_studio() -> RunningStudio | None:
    """The studio of this user on this machine, if it runs, is of this version, and lets us in."""
    try:
        note = json.loads((home() / NOTE).read_text(encoding="utf-8"))
        os.kill(int(note["pid"]), 0)
        with _direct.open(f"{note['url']}/healthz", timeout=_GREET_S) as response:
            said = json.loads(response.read(10_000))
        studio = RunningStudio(str(note["url"]), os.environ.get(KEY))
        if said["version"] != pictura.__version__:
            return None
        studio._json("GET", "/api/v1/session")
    except (OSError, ValueError, KeyError, TypeError, HTTPException, StudioError):
        return None
    return studio


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read()
    except (OSError, HTTPException) as error:
        raise StudioError(
            "The studio broke off in the midst of an answer; --local paints without it."
        ) from error


def _problem(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        with error:
            found = json.loads(error.read(100_000))
    except (OSError, ValueError):
        found = {}
    return found if isinstance(found, dict) else {}
