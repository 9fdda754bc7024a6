"""The pages in a real browser: who visits them, and what no visit may ever cause."""

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, WebSocket, expect

from pictura.api.access import accounts
from pictura.api.config import Role
from pictura.store.database import Database
from pictura.web.wire import COOKIE, CSRF_HEADER
from tests.api.api_kit import PASSWORD, Served

DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
WAIT_S = 20.0
expect.set_options(timeout=1000 * WAIT_S)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pages:
    """A studio that runs with its pages; people log in."""

    studio: Served
    url: str
    database: Database

    def add_user(self, role: Role = "user") -> tuple[str, str]:
        """A new user: the name, and the token of a login."""
        name = f"visitor-{secrets.token_hex(4)}"
        accounts.add_user(self.database, name, PASSWORD, role)
        return name, accounts.log_in(self.database, name, PASSWORD)

    def client(self, token: str) -> httpx.Client:
        """The API in the name of a login."""
        client = httpx.Client(base_url=self.studio.url, cookies={COOKIE: token}, timeout=30)
        client.headers[CSRF_HEADER] = client.get("/api/v1/session").json()["csrf_token"]
        return client


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One user, with a browser that is logged in, and the API beside it."""

    name: str
    pages: Pages
    page: Page
    api: httpx.Client
    wrong: list[str] = field(default_factory=list)
    """What no visit may cause: errors of scripts, requests to other hosts."""

    def go(self, path: str = "/") -> None:
        """Open a page, and wait until it listens."""
        self.page.goto(f"{self.pages.url}{path}")
        self.page.wait_for_function("window.did_handshake === true")

    def paint(self, prompt: str = "a red fox", **asked: Any) -> dict[str, Any]:
        """Have a job painted by the API, quickly."""
        body = {"prompt": prompt, "size": [64, 64], "num_steps": 2, **asked}
        answer = self.api.post("/api/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return self.ended(answer.json()["jobs"][0]["id"])

    def ended(self, job_id: str) -> dict[str, Any]:
        """A job, when it has ended."""

        def look() -> dict[str, Any] | None:
            job: dict[str, Any] = self.api.get(f"/api/v1/jobs/{job_id}").json()
            return None if job["status"] in ("queued", "running") else job

        return until(look)

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs of this user, the newest first."""
        found: list[dict[str, Any]] = self.api.get("/api/v1/jobs").json()["items"]
        return found


def until(look: Callable[[], Any], wait_s: float = WAIT_S) -> Any:
    """What `look` gives as soon as it gives anything."""
    end = time.monotonic() + wait_s
    while not (found := look()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def visiting(
    pages: Pages,
    browser: Browser,
    *,
    role: Role = "user",
    viewport: dict[str, int] | None = None,
    **more: Any,
) -> Iterator[Visit]:
    """A new user's browser; in the end nothing may have gone wrong in it."""
    name, token = pages.add_user(role)
    context = browser.new_context(viewport=viewport or DESKTOP, **more)  # type: ignore[arg-type]
    context.set_default_timeout(1000 * WAIT_S)
    context.add_cookies([{"name": COOKIE, "value": token, "url": pages.url, "httpOnly": True}])
    api = pages.client(token)
    visit = Visit(name=name, pages=pages, page=context.new_page(), api=api)
    watch(visit.page, pages.url, visit.wrong)
    try:
        yield visit
    finally:
        context.close()
        api.close()
    assert visit.wrong == []


def watch(page: Page, url: str, wrong: list[str]) -> None:
    """Write down what goes wrong in a page."""
    host = urlsplit(url).netloc

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            wrong.append(f"console: {message.text} {message.location}")

    def asked(what: Request | WebSocket) -> None:
        parts = urlsplit(what.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != host:
            wrong.append(f"another host: {what.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("request", asked)
    page.on("websocket", asked)


def address_of_pages(studio: Served) -> str:
    """Where the pages of a running studio are."""
    found: str = json.loads((studio.home / "studio.json").read_text())["pages"]
    return found
