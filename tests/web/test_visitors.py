"""Who sees what: logins, two users at once, and pages whose process dies."""

import json
import os
import signal
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, expect

from pictura.api.serve import listen
from pictura.core.errors import ConfigError
from tests.api.api_kit import PASSWORD
from tests.web.web_kit import Pages, Visit, until, visiting


def test_two_users_at_once_never_see_each_others_pictures(pages: Pages, browser: Browser) -> None:
    with visiting(pages, browser) as ann, visiting(pages, browser) as ben:
        job = ann.paint("a red fox of ann")
        image = job["images"][0]["id"]
        for visit in (ann, ben):
            visit.go()
        expect(ann.page.get_by_role("article")).to_contain_text("a red fox of ann")
        expect(ben.page.get_by_text("Nothing painted yet")).to_be_visible()
        ann.page.get_by_label("Prompt", exact=True).fill("a blue ball of ann")
        ann.page.keyboard.press("Enter")
        expect(ann.page.get_by_role("article")).to_have_count(2)
        until(lambda: len(ann.jobs()) == 2 and ann.jobs()[0]["status"] == "done")
        ben.page.wait_for_timeout(3500)  # longer than a page looks for what is new
        expect(ben.page.get_by_role("article")).to_have_count(0)
        for path in (f"/media/{image}/file", f"/media/{image}/thumb"):
            mine, other = (visit.page.request.get(f"{pages.url}{path}") for visit in (ann, ben))
            assert (mine.status, other.status) == (200, 404)
            assert mine.headers["content-type"].startswith("image/")
            tag = {"If-None-Match": mine.headers["etag"]}
            assert ann.page.request.get(f"{pages.url}{path}", headers=tag).status == 304
            assert mine.headers["vary"] == "Cookie"
        saved = ann.page.request.get(f"{pages.url}/media/{image}/file?download&format=webp")
        assert saved.headers["content-disposition"].startswith("attachment")
        assert saved.headers["content-type"] == "image/webp"
        assert httpx.get(f"{pages.url}/media/{image}/file").status_code == 401
        ben.wrong.clear()  # the browser reports the 404 that was asked for
        ben.go(f"/picture/{image}")
        expect(ben.page.get_by_text("There is no such picture")).to_be_visible()
        assert "of ann" not in ben.page.content()


def test_a_login_says_what_is_wrong_and_then_leads_on(pages: Pages, browser: Browser) -> None:
    with visiting(pages, browser) as visit:
        visit.page.context.clear_cookies()
        visit.go("/queue")
        expect(visit.page).to_have_url(f"{pages.url}/login?next=/queue")
        visit.page.get_by_label("Name").fill(visit.name)
        visit.page.get_by_label("Password").fill("wrong")
        visit.page.keyboard.press("Enter")
        expect(visit.page.get_by_role("alert")).to_contain_text("password")
        visit.wrong.clear()  # the browser reports the 401 that was asked for
        visit.page.get_by_label("Password").fill(PASSWORD)
        visit.page.keyboard.press("Enter")
        expect(visit.page).to_have_url(f"{pages.url}/queue")
        (cookie,) = visit.page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        visit.page.get_by_role("button", name="Log out").click()
        expect(visit.page).to_have_url(f"{pages.url}/login")
        assert visit.page.context.cookies() == []


def test_pages_whose_process_died_come_back_by_themselves(visit: Visit) -> None:
    visit.paint("a red fox")
    visit.go()
    expect(visit.page.get_by_role("article")).to_have_count(1)
    os.kill(child_of(visit.pages), signal.SIGKILL)
    expect(visit.page.locator("#popup")).to_have_attribute("aria-hidden", "false")
    visit.page.wait_for_event("load")  # the page loads itself anew
    visit.page.wait_for_function("window.did_handshake === true")
    expect(visit.page.get_by_role("article")).to_have_count(1)
    visit.page.get_by_label("Prompt", exact=True).fill("a blue ball")
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("article")).to_have_count(2)
    visit.wrong[:] = [one for one in visit.wrong if "WebSocket" not in one and "ERR_" not in one]


def test_the_api_leads_browsers_to_the_pages(pages: Pages) -> None:
    answer = httpx.get(f"{pages.studio.url}/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{pages.url}/")
    assert json.loads((pages.studio.home / "studio.json").read_text())["pages"] == pages.url
    nowhere = httpx.get(f"{pages.url}/nonsense")
    assert nowhere.status_code == 404
    assert "There is nothing here" in nowhere.text
    with pytest.raises(ConfigError, match=r"Choose another with --web-port\."):
        listen("127.0.0.1", int(pages.url.rpartition(":")[2]), option="--web-port")


def child_of(pages: Pages) -> int:
    """The process of the pages."""
    pid = pages.studio.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (found,) = [one for one in children if b"pictura.web" in Path(f"/proc/{one}/cmdline").read_bytes()]
    return int(found)
