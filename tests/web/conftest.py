"""One real studio with pages for all tests, and a real browser for each file of them."""

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, sync_playwright

from pictura.api.access import accounts
from pictura.store.database import Database
from tests.api.api_kit import PASSWORD, START_S, make_home, served
from tests.web.web_kit import Pages, Visit, address_of_pages, until, visiting

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def pages(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """A studio with one worker, a tiny model, logins and pages; `boss` is its administrator."""
    home = make_home(tmp_path_factory.mktemp("pages"), tiny_home)
    options = ("--web-port", "0", "--admin", "boss", "--model", "tiny")
    with served(home, *options, environment={"PICTURA_ADMIN_PASSWORD": PASSWORD}) as studio:
        url = address_of_pages(studio)
        until(lambda: answers(url), START_S)
        database = Database.open(f"sqlite:///{studio.home / 'studio' / 'studio.db'}")
        with pytest.MonkeyPatch.context() as patch:  # how much work a password is worth is not asked here
            patch.setattr(accounts, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
            yield Pages(studio=studio, url=url, database=database)
        database.close()
    assert studio.process.returncode == 0
    assert "Traceback" not in studio.log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; not for longer than a file, for its event loop allows no other beside it."""
    if not CHROMIUM.exists():
        pytest.skip("no Chromium is installed; see packages.debian")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(pages: Pages, browser: Browser) -> Iterator[Visit]:
    """A new user with a browser of their own."""
    with visiting(pages, browser) as found:
        yield found


def answers(url: str) -> bool:
    """Whether pages are served."""
    try:
        return httpx.get(f"{url}/login", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
