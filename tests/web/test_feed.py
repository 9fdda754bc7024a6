"""The first page in a real browser: write, see, choose."""

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.web.web_kit import Pages, Visit, until, visiting

SLOW = {"num_steps": 1000, "num_images": 32}


def cards(visit: Visit) -> Locator:
    return visit.page.get_by_role("article")


def shots(card: Locator) -> Locator:
    return card.get_by_role("button", name="look closer")


def test_a_sentence_becomes_pictures_that_are_liked_varied_ranked_and_found(visit: Visit) -> None:
    visit.go()
    expect(visit.page.get_by_text("Nothing painted yet")).to_be_visible()
    visit.page.get_by_label("Prompt", exact=True).fill("a red fox on a white background")
    expect(visit.page.get_by_text("4 pictures", exact=True)).to_be_visible()
    visit.page.keyboard.press("Enter")
    expect(shots(cards(visit).first)).to_have_count(4)
    expect(visit.page.get_by_text("Nothing painted yet")).to_be_hidden()
    shots(cards(visit).first).first.hover()
    like = cards(visit).first.get_by_role("button", name="Like picture 1")
    like.click()
    expect(like).to_have_attribute("aria-pressed", "true")
    until(lambda: visit.jobs()[0]["images"][0]["liked"])
    cards(visit).first.get_by_role("button", name="Vary a little (V), picture 1").click()
    expect(cards(visit)).to_have_count(2)
    expect(cards(visit).first.get_by_text("Variation", exact=True)).to_be_visible()
    expect(shots(cards(visit).first)).to_have_count(4)
    varied, painted = visit.jobs()
    assert (varied["kind"], varied["parent_id"]) == ("vary", painted["id"])
    assert varied["source_image_id"] == painted["images"][0]["id"]
    visit.page.reload()
    expect(cards(visit)).to_have_count(2)
    again = cards(visit).last.get_by_role("button", name="Like picture 1")
    expect(again).to_have_attribute("aria-pressed", "true")
    visit.page.get_by_role("link", name="Rank").click()
    expect(visit.page.get_by_role("button", name="The left one is better")).to_be_enabled()
    visit.page.keyboard.press("2")
    until(lambda: visit.api.get("/api/v1/pairs/stats").json()["pairs"] == 1)
    visit.page.get_by_role("link", name="Gallery").click()
    visit.page.get_by_role("searchbox", name="Search prompts").fill("fox white")
    expect(visit.page.locator(f'a[href="/picture/{painted["images"][0]["id"]}"]')).to_be_visible()


def test_mistakes_are_marked_while_one_types_and_parameters_are_chips(visit: Visit) -> None:
    visit.go()
    text = visit.page.get_by_label("Prompt", exact=True)
    paint = visit.page.get_by_role("button", name="Paint")
    text.fill("a {red, blue} fox --ar 3x2 --chaos 20")
    expect(visit.page.locator(".prompt-mirror mark")).to_have_text("--ar 3x2")
    expect(visit.page.get_by_text("expected whole numbers W:H, like 16:9")).to_be_visible()
    expect(text).to_have_attribute("aria-invalid", "true")
    expect(paint).to_have_attribute("aria-disabled", "true")
    text.press("Enter")
    visit.page.get_by_role("button", name="Remove --ar 3x2").click()
    expect(text).to_have_value("a {red, blue} fox --chaos 20")
    expect(visit.page.locator(".prompt-mirror mark")).to_have_count(0)
    expect(visit.page.get_by_text("2 jobs, 8 pictures")).to_be_visible()
    visit.page.get_by_label("Shape").select_option("3:2")
    expect(text).to_have_value("a {red, blue} fox --chaos 20 --ar 3:2")
    assert visit.jobs() == []


def test_what_the_studio_refuses_is_said_where_it_happened(visit: Visit) -> None:
    visit.paint("a red fox --model tiny")
    visit.go("/?prompt=a%20fox%20--model%20flwo")
    visit.page.get_by_role("button", name="Paint").click()
    expect(visit.page.locator("form.prompt")).to_contain_text("No model is named 'flwo'")
    shots(cards(visit)).nth(1).click()
    box = visit.page.get_by_role("dialog", name="Picture")
    box.get_by_role("button", name="Make square").click()
    expect(box.get_by_role("alert")).to_contain_text("square already")
    assert len(visit.jobs()) == 1


def test_the_feed_and_the_lightbox_are_used_by_keys_alone(visit: Visit) -> None:
    job = visit.paint("a blue ball")
    ids = [image["id"] for image in job["images"]]
    visit.go()
    keys = visit.page.keyboard
    text = visit.page.get_by_label("Prompt", exact=True)
    expect(text).to_be_focused()
    expect(shots(cards(visit))).to_have_count(4)
    for _ in range(10):
        keys.press("Tab")
        if visit.page.evaluate("document.activeElement.className") == "shot":
            break
    expect(shots(cards(visit)).nth(0)).to_be_focused()
    keys.press("ArrowRight")
    keys.press("ArrowDown")
    expect(shots(cards(visit)).nth(3)).to_be_focused()
    keys.press("l")
    until(lambda: visit.jobs()[0]["images"][3]["liked"])
    keys.press("Enter")
    box = visit.page.get_by_role("dialog", name="Picture")
    shown = box.locator(".light-picture")
    expect(shown).to_have_attribute("src", f"/media/{ids[3]}/file")
    keys.press("ArrowLeft")
    expect(shown).to_have_attribute("src", f"/media/{ids[2]}/file")
    keys.press("1")
    expect(shown).to_have_attribute("src", f"/media/{ids[0]}/file")
    keys.press("?")
    expect(box.get_by_text("upscale to twice the size")).to_be_visible()
    keys.press("r")
    until(lambda: [one["kind"] for one in visit.jobs()].count("reroll") == 1)
    keys.press("2")
    keys.press("Escape")
    expect(box).to_be_hidden()
    expect(shots(cards(visit).last).nth(1)).to_be_focused()


def test_a_running_job_is_there_again_after_a_reload_and_can_be_cancelled(
    pages: Pages, browser: Browser
) -> None:
    with visiting(pages, browser, role="admin") as visit:  # others may not ask for so many steps
        follow_and_cancel(visit)


def follow_and_cancel(visit: Visit) -> None:
    answer = visit.api.post("/api/v1/jobs", json={"prompt": "a green apple", "size": [64, 64], **SLOW})
    job_id = answer.json()["jobs"][0]["id"]
    visit.go()
    expect(cards(visit).get_by_text(re.compile(r"Painting, [1-9]\d? %"))).to_be_visible()
    expect(cards(visit).locator(".shot-preview").first).to_be_visible()
    visit.page.reload()
    expect(cards(visit).get_by_text(re.compile(r"Painting, \d+ %"))).to_be_visible()
    cards(visit).get_by_role("button", name="Cancel").click()
    expect(cards(visit).get_by_text(re.compile("^Cancelled"))).to_be_visible()
    assert visit.ended(job_id)["status"] == "cancelled"


def test_jobs_from_elsewhere_appear_and_old_ones_come_by_scrolling(visit: Visit) -> None:
    for number in range(14):
        visit.paint(f"a red fox --seed {number}", num_images=1, num_steps=1)
    visit.go()
    expect(cards(visit)).to_have_count(12)
    cards(visit).nth(11).scroll_into_view_if_needed()
    expect(cards(visit)).to_have_count(14)
    visit.paint("a blue ball from elsewhere", num_images=1)
    expect(cards(visit)).to_have_count(15)
    expect(cards(visit).first).to_contain_text("a blue ball from elsewhere")


@pytest.mark.parametrize("viewport", [{"width": 390, "height": 844}, {"width": 1280, "height": 860}])
def test_nothing_is_wider_than_the_window(visit: Visit, viewport: dict[str, int]) -> None:
    visit.page.set_viewport_size(viewport)  # type: ignore[arg-type]
    visit.paint("a red fox::2 on a background --chaos 20 --weird 100", num_images=2, num_steps=2)
    visit.go("/?prompt=a%20very%20long%20sentence%20that%20goes%20on%20--chaos%2020%20--ar%203:2")
    expect(shots(cards(visit))).to_have_count(2)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    shots(cards(visit)).first.click(position={"x": 20, "y": 60})
    side = visit.page.locator(".light-side")
    expect(side).to_be_visible()
    assert side.evaluate("side => side.scrollWidth <= side.clientWidth")
