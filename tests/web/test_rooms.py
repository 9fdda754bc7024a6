"""Gallery, rank page, queue, models and settings in a real browser."""

import io
import re
from typing import Any

import httpx2 as httpx
import pyarrow.parquet as parquet
from playwright.sync_api import Browser, Locator, expect

from pictura.web.rooms.models import what_was_learnt
from tests.web.web_kit import Pages, Visit, until, visiting

SLOW = {"num_steps": 1000, "num_images": 64}
"""More than a user may ask for: it takes long enough to be cancelled."""


def tiles(visit: Visit) -> Locator:
    return visit.page.locator(".wall-link")


def test_a_picture_is_found_by_a_word_liked_deleted_and_restored(visit: Visit) -> None:
    visit.paint("a red fox", num_images=2)
    ball = visit.paint("a blue ball on a white background", num_images=1)["images"][0]
    visit.go("/gallery")
    expect(tiles(visit)).to_have_count(3)
    visit.page.get_by_role("searchbox", name="Search prompts").fill("blue ball")
    expect(tiles(visit)).to_have_count(1)
    expect(tiles(visit)).to_have_attribute("href", f"/picture/{ball['id']}")
    expect(visit.page).to_have_url(re.compile(r"/gallery\?q=blue\+ball$"))
    visit.page.get_by_role("button", name="Like", exact=True).click()
    until(lambda: visit.api.get(f"/api/v1/images/{ball['id']}").json()["liked"])
    visit.page.get_by_role("searchbox", name="Search prompts").fill("nothing like it")
    expect(visit.page.get_by_text("Nothing fits")).to_be_visible()
    expect(visit.page.get_by_role("searchbox", name="Search prompts")).to_have_value("nothing like it")
    visit.page.get_by_role("searchbox", name="Search prompts").fill("")
    visit.page.get_by_role("button", name="Liked").click()
    expect(tiles(visit)).to_have_count(1)
    visit.page.get_by_role("button", name="Delete", exact=True).click()
    visit.page.get_by_role("button", name="Yours").click()
    expect(tiles(visit)).to_have_count(2)
    visit.page.get_by_role("button", name="Deleted").click()
    expect(tiles(visit)).to_have_count(1)
    visit.page.get_by_role("button", name="Restore").click()
    until(lambda: visit.api.get(f"/api/v1/images/{ball['id']}").json()["deleted_at"] is None)
    visit.go("/gallery?q=ball")
    expect(tiles(visit)).to_have_count(1)
    visit.page.get_by_label("Model").select_option(index=1)
    expect(tiles(visit)).to_have_count(1)


def test_the_gallery_goes_on_where_its_end_is_seen_and_arrows_go_from_picture_to_picture(
    visit: Visit,
) -> None:
    for _ in range(4):
        visit.paint(num_images=13, num_steps=1)
    visit.go("/gallery")
    expect(tiles(visit)).to_have_count(48)
    visit.page.mouse.wheel(0, 20_000)
    expect(tiles(visit)).to_have_count(52)
    tiles(visit).first.focus()
    visit.page.keyboard.press("ArrowRight")
    expect(tiles(visit).nth(1)).to_be_focused()
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("ArrowUp")
    expect(tiles(visit).nth(1)).to_be_focused()


def test_a_pair_is_ranked_by_keys_and_found_in_the_database(visit: Visit) -> None:
    visit.paint("a red fox", num_images=4)
    visit.go("/rank")
    left = visit.page.get_by_role("button", name="The left one is better")

    def shown() -> list[str]:
        sources = [str(one.get_attribute("src")) for one in visit.page.locator(".duel-side img").all()]
        return [source.split("/")[2] for source in sources]

    before = shown()
    expect(left).to_be_enabled()
    visit.page.keyboard.press("1")
    expect(visit.page.get_by_role("heading", name="1 pair ranked")).to_be_visible()
    (kept,) = [one for one in visit.api.get("/api/v1/ratings").json()["items"] if one["kind"] == "pair"]
    assert kept["choice"] == "left"
    assert kept["image_id"] in before
    assert 0 <= kept["ms"] < 60_000
    for key, told in (("0", "As good1"), (" ", "Skipped1")):
        expect(left).to_be_enabled()
        visit.page.keyboard.press(key)
        expect(visit.page.locator(".rank-side .facts")).to_contain_text(told)
    expect(left).to_be_enabled()
    visit.page.get_by_role("button", name="The right one is better").click()
    until(lambda: visit.api.get("/api/v1/pairs/stats").json()["pairs"] >= 2)
    expect(visit.page.get_by_role("link", name="Allow it in the settings")).to_be_visible()


def test_a_job_is_followed_and_cancelled_in_the_queue(pages: Pages, browser: Browser) -> None:
    with visiting(pages, browser, role="admin") as visit:
        visit.go("/queue")
        expect(visit.page.get_by_text("No jobs yet")).to_be_visible()
        body = {"prompt": "a blue ball", "size": [64, 64], "lane": "relax", **SLOW}
        first, second = (visit.api.post("/api/v1/jobs", json=body).json()["jobs"][0]["id"] for _ in "ab")
        row = visit.page.locator(f"[data-job='{second}']")
        expect(row).to_contain_text("Relax lane")
        row.get_by_role("button", name="Cancel").click()
        expect(row).to_have_attribute("data-state", "cancelled")
        assert visit.api.get(f"/api/v1/jobs/{second}").json()["status"] == "cancelled"
        expect(visit.page.locator(f"[data-job='{first}'] progress[value]")).to_be_visible()
        visit.api.delete(f"/api/v1/jobs/{first}")
        expect(visit.page.locator(f"[data-job='{first}']")).to_contain_text("Cancelled")
        expect(visit.page.get_by_text("Nothing waits.")).to_be_visible()


def test_models_are_shown_with_what_they_painted_and_what_was_learnt(visit: Visit) -> None:
    visit.paint(num_images=1, model="tiny")
    visit.go("/models")
    card = visit.page.get_by_role("article", name="Model tiny")
    expect(card.get_by_role("link")).to_have_count(1)
    expect(card).to_contain_text("Licence")
    expect(visit.page.get_by_role("article", name="Model flow")).to_contain_text("Default")
    expect(visit.page.get_by_role("region", name="Learnt from ratings")).to_contain_text("Nothing yet")


def test_settings_hold_consent_keys_looks_and_ones_ratings(visit: Visit, pages: Pages) -> None:
    image = visit.paint(num_images=2)["images"][0]
    event = {"kind": "like", "image_id": image["id"], "surface": "api"}
    assert visit.api.post("/api/v1/ratings", json={"events": [event]}).status_code == 202
    visit.go("/settings")

    def consents() -> bool:
        return bool(visit.api.get("/api/v1/session").json()["settings"]["train_on_ratings"])

    assert not consents()
    visit.page.get_by_role("switch", name="Models may learn from my ratings").check()
    until(consents)
    visit.page.get_by_label("rate pictures").check()
    visit.page.get_by_role("button", name="Make a key").click()
    key = visit.page.locator(".new-key code").inner_text()
    header = {"Authorization": f"Bearer {key}"}
    told = httpx.get(f"{pages.studio.url}/api/v1/session", headers=header).json()
    assert (told["user"]["name"], told["scopes"]) == (visit.name, ["generate", "rate"])
    visit.page.get_by_role("button", name="Revoke").click()
    expect(visit.page.get_by_text("There is no key yet.")).to_be_visible()
    assert httpx.get(f"{pages.studio.url}/api/v1/session", headers=header).status_code == 401
    visit.page.get_by_label("Dark", exact=True).check()
    expect(visit.page.locator("html")).to_have_attribute("data-theme", "dark")
    with visit.page.expect_download() as saved:
        visit.page.get_by_role("link", name="Export all").click()
    rows = parquet.read_table(io.BytesIO(saved.value.path().read_bytes())).to_pylist()
    assert [row["kind"] for row in rows] == ["like"]
    visit.page.get_by_role("button", name="Delete all", exact=True).click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Delete all ratings").click()
    until(lambda: not ratings(visit))
    expect(visit.page.get_by_text("All your ratings are forgotten.")).to_be_visible()


def ratings(visit: Visit) -> list[Any]:
    found: list[Any] = visit.api.get("/api/v1/ratings").json()["items"]
    return found


def test_public_pictures_hang_in_everybodys_gallery_and_only_their_own_can_delete_them(
    visit: Visit, pages: Pages, browser: Browser
) -> None:
    image = visit.paint(f"a green apple of {visit.name}", num_images=1)["images"][0]
    visit.api.patch(f"/api/v1/images/{image['id']}", json={"visibility": "public"})
    with visiting(pages, browser) as other:
        other.go(f"/gallery?which=public&q={visit.name}")
        expect(tiles(other)).to_have_count(1)
        expect(other.page.get_by_role("button", name="Delete", exact=True)).to_be_hidden()
        tiles(other).click()
        expect(other.page.get_by_role("heading", name="a green apple")).to_be_visible()
        expect(other.page.get_by_role("button", name="Delete")).to_be_hidden()
        expect(other.page.get_by_role("button", name="Vary subtly")).to_be_visible()


def test_a_version_is_told_in_words_with_its_intervals() -> None:
    numbers = {
        "pairs": 200,
        "explicit": 200,
        "left_out": 12,
        "prompts": 68,
        "raters": 2,
        "raters_left_out": 1,
        "accuracy": [0.698, 0.59, 0.789],
        "wins": [0.992, 0.977, 1.0],
        "glyphbench": {
            "before": 0.387,
            "after": 0.382,
            "difference": [-0.005, -0.018, 0.009],
            "num_prompts": 553,
        },
        "diversity": 0.973,
    }
    assert dict(what_was_learnt(numbers)) == {
        "Choices": "200 about 68 prompts, people: 2",
        "Left out": "12 choices, people: 1",
        "Held-out choices told right": "0.698 (0.590 to 0.789)",
        "New pictures preferred": "0.992 (0.977 to 1.000)",
        "GlyphBench": "0.387 before, 0.382 after",
        "Its difference": "-0.005 (-0.018 to 0.009), 553 prompts",
        "Diversity": "0.97 of the base's",
    }
    assert list(what_was_learnt({})) == []
