"""Take the pictures of docs/web.md: python docs/web/take.py

A studio with the model that ships is started, some people's work is done in it, and every page is looked at
in Debian's Chromium: wide, on a phone, and in the dark. The files are written beside this script.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
NAME, PASSWORD = "ada", "analytical engine"
PROMPTS = (
    "a red fox on a light blue background",
    "a purple flower under a cloud",
    "two blue balls --ar 3:2",
    "a pink heart above a green leaf",
    "a yellow star on a dark background --seed 3",
    "a {red, green} apple on a white background",
    "an orange cat --chaos 30",
    "a green apple and a yellow banana",
)
TYPED = "a {red, blue} boat on a yellow background --ar 3:2 --chaos 20"
LOOKS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 800}},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
EXACT, NEAR = 64, 128
"""Colours of a file: the most frequent ones as they are (the page's own), and near ones for all else."""
NUM_RANKED = 24
WAIT_S = 600.0


@contextlib.contextmanager
def studio(home: Path) -> Iterator[dict[str, str]]:
    """A studio with pages and one administrator; gives the addresses of both."""
    command = [sys.executable, "-m", "pictura.cli", "studio", "--no-browser", "--admin", NAME]
    ports = ["--port", "0", "--web-port", "0"]
    given = {"PICTURA_HOME": str(home), "PICTURA_ADMIN_PASSWORD": PASSWORD}
    process = subprocess.Popen([*command, *ports], env=os.environ | given)
    try:
        until(lambda: (home / "studio.json").exists())
        told: dict[str, str] = json.loads((home / "studio.json").read_text())
        until(lambda: answers(f"{told['url']}/readyz") and answers(f"{told['pages']}/login"))
        yield told
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).is_success
    except httpx.HTTPError:
        return False


def until(look: Any) -> None:
    end = time.monotonic() + WAIT_S
    while not look():
        if time.monotonic() > end:
            raise SystemExit("The studio did not come so far in time.")
        time.sleep(0.2)


class Work:
    """What people do in a studio, by the API."""

    def __init__(self, url: str) -> None:
        self.api = httpx.Client(base_url=f"{url}/api/v1", timeout=60)
        token = self._do("POST", "/session", {"name": NAME, "password": PASSWORD})["csrf_token"]
        self.api.headers["x-csrf-token"] = token

    def paint(self) -> dict[str, Any]:
        """Paint all prompts; of the first one a picture is varied, and one of its children again."""
        self.submit(PROMPTS[0])
        self.settle()
        first = self.jobs()[0]["images"][1]
        for action in ({"action": "vary", "strength": "strong"}, {"action": "zoom", "factor": 1.5}):
            self._do("POST", f"/images/{first['id']}/actions", action)
        self.settle()
        varied = next(job for job in self.jobs() if job["kind"] == "vary")["images"][2]
        self._do("POST", f"/images/{varied['id']}/actions", {"action": "vary", "strength": "subtle"})
        for prompt in PROMPTS[1:]:
            self.submit(prompt)
        self.settle()
        liked = [job["images"][i]["id"] for job in self.jobs()[:4] for i in (0, 2)]
        events = [{"kind": "like", "image_id": one, "surface": "gallery"} for one in liked]
        self._do("POST", "/ratings", {"events": events})
        return dict(varied)

    def rank(self) -> None:
        """Choose now the left, now the right one."""
        for number in range(NUM_RANKED):
            token = self._do("GET", "/pairs/next")["token"]
            choice = ("left", "right", "right", "tie")[number % 4]
            self._do("POST", "/pairs", {"token": token, "choice": choice, "ms": 1400})

    def submit(self, prompt: str) -> None:
        """Ask for pictures."""
        self._do("POST", "/jobs", {"prompt": prompt})

    def settle(self) -> None:
        """Wait until nothing waits."""
        until(lambda: not any(job["status"] in ("queued", "running") for job in self.jobs()))

    def cancel(self) -> None:
        """Take back what waits."""
        for job in self.jobs():
            if job["status"] in ("queued", "running"):
                self._do("DELETE", f"/jobs/{job['id']}")
        self.settle()

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, the newest first."""
        return list(self._do("GET", "/jobs")["items"])

    def _do(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.api.request(method, path, json=body)
        answer.raise_for_status()
        return dict(answer.json())


def take(browser: Browser, look: str, pages: str, varied: str) -> Page:
    """Look at every page but the queue in one way."""
    page = browser.new_context(**LOOKS[look]).new_page()
    page.goto(f"{pages}/login")
    save(page, look, "login")
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{pages}/")
    for name in ("create", "gallery", "rank", "models", "settings"):
        go(page, pages, "" if name == "create" else name)
        if name == "create":
            page.get_by_label("Prompt", exact=True).fill(TYPED)
            page.get_by_text("2 jobs, 8 pictures").wait_for(state="attached")
        save(page, look, name)
    go(page, pages, f"picture/{varied}")
    save(page, look, "picture")
    page.get_by_role("region", name="Family").evaluate("(one) => one.scrollIntoView({block: 'end'})")
    save(page, look, "family")
    page.evaluate("scrollTo(0, 0)")
    paint_mask(page)
    save(page, look, "region")
    return page


def take_queue(page: Page, look: str, pages: str, work: Work) -> None:
    """Look at the queue while something is being painted."""
    for prompt in ("a red boat on a blue sea --quality 4", "a green tree", "a white dog --ar 3:2"):
        work.submit(prompt)
    until(lambda: any(job["status"] == "running" for job in work.jobs()))
    go(page, pages, "queue")
    page.locator(".job .bar[value]").first.wait_for()
    save(page, look, "queue")
    work.cancel()


def go(page: Page, pages: str, path: str) -> None:
    page.goto(f"{pages}/{path}")
    page.wait_for_function("window.did_handshake === true")
    page.wait_for_function(
        "[...document.images].every((one) => one.complete || one.getBoundingClientRect().top > innerHeight)"
    )
    page.mouse.move(640, 70)


def paint_mask(page: Page) -> None:
    """Open the picture under the brush, and paint a stroke."""
    page.get_by_role("button", name="Vary a region").click()
    canvas = page.get_by_role("img", name="Mask on the picture")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    for x, y in ((0.42, 0.3), (0.58, 0.36), (0.7, 0.5)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
    page.mouse.up()
    page.evaluate("scrollTo(0, 0)")


def save(page: Page, look: str, name: str) -> None:
    """Write what is seen, with few colours."""
    page.wait_for_timeout(400)
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    few(image).save(HERE / f"{name}-{look}.png", optimize=True)


def few(image: Image.Image) -> Image.Image:
    """The same with a palette."""
    counted = image.getcolors(image.width * image.height) or []
    frequent: list[Any] = [colour for _, colour in sorted(counted, reverse=True)[:EXACT]]
    near = image.quantize(NEAR, Image.Quantize.FASTOCTREE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in frequent for value in colour] + near)
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder)) as told:
        work = Work(told["url"])
        varied = work.paint()
        work.rank()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            seen = {look: take(browser, look, told["pages"], varied["id"]) for look in LOOKS}
            for look, page in seen.items():
                take_queue(page, look, told["pages"], work)
            browser.close()
    size = sum(path.stat().st_size for path in HERE.glob("*.png"))
    print(f"{len(list(HERE.glob('*.png')))} pictures, {size / 1024:,.0f} KB")


if __name__ == "__main__":
    main()
