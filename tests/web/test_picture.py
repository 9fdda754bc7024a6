"""The page of one picture in a real browser: family, actions, remix, and masks that are painted there."""

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.api.api_kit import opened
from tests.web.web_kit import PHONE, Pages, Visit, until, visiting


def pixels(visit: Visit, image_id: str) -> np.ndarray[Any, Any]:
    return np.asarray(opened(visit.api.get(f"/api/v1/images/{image_id}/file").content))


def child_of(visit: Visit, image_id: str) -> dict[str, Any]:
    """The newest job that was made of a picture, when it has ended."""
    found = until(lambda: next((job for job in visit.jobs() if job["source_image_id"] == image_id), None))
    return visit.ended(found["id"])


def across(canvas: Locator, visit: Visit, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a line with the mouse; places are shares of the canvas."""
    box = canvas.bounding_box()
    assert box is not None
    mouse = visit.page.mouse
    mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
    mouse.down()
    mouse.move(box["x"] + end[0] * box["width"], box["y"] + end[1] * box["height"], steps=6)
    mouse.up()


def test_a_painted_mask_makes_a_child_that_keeps_all_else(visit: Visit) -> None:
    parent = visit.paint("a red fox --seed 4", num_images=1)["images"][0]
    visit.go(f"/picture/{parent['id']}")
    visit.page.get_by_role("button", name="Vary a region").click()
    canvas = visit.page.get_by_role("img", name="Mask on the picture")
    send = visit.page.get_by_role("button", name="Paint it anew")
    expect(send).to_be_disabled()
    across(canvas, visit, (0.05, 0.1), (0.95, 0.1))
    told = visit.page.get_by_text("of the picture will be painted anew")
    expect(told).to_be_visible()
    canvas.press("i")
    canvas.press("z")
    expect(visit.page.get_by_text("Nothing is painted yet")).to_be_hidden()
    visit.page.get_by_label("What shall be there").fill("a blue ball")
    send.click()
    expect(visit.page.get_by_text("Region varied: done")).to_be_visible()
    expect(canvas).to_be_hidden()
    job = child_of(visit, parent["id"])
    assert (job["kind"], job["status"]) == ("region", "done")
    before, after = pixels(visit, parent["id"]), pixels(visit, job["images"][0]["id"])
    assert (before[40:] == after[40:]).all()
    assert (before[:12] != after[:12]).any()
    family = visit.page.get_by_role("region", name="Family")
    expect(family.get_by_role("region", name="Region varied").get_by_role("link")).to_have_count(4)
    family.get_by_role("region", name="Region varied").get_by_role("link").first.click()
    expect(visit.page.get_by_role("region", name="Comes from").get_by_role("link")).to_have_attribute(
        "href", f"/picture/{parent['id']}"
    )


def test_the_mask_is_undone_erased_inverted_and_painted_by_keys(visit: Visit) -> None:
    parent = visit.paint(num_images=1)["images"][0]
    visit.go(f"/picture/{parent['id']}")
    visit.page.get_by_role("button", name="Vary a region").click()
    canvas = visit.page.get_by_role("img", name="Mask on the picture")
    told = visit.page.locator(".mask-told")
    expect(told).to_have_text("Nothing is painted yet.")
    visit.page.get_by_role("button", name="Invert").click()
    expect(told).to_have_text("100 % of the picture will be painted anew.")
    visit.page.get_by_role("button", name="Erase").click()
    across(canvas, visit, (0.1, 0.5), (0.9, 0.5))
    expect(told).not_to_have_text("100 % of the picture will be painted anew.")
    visit.page.get_by_role("button", name="Undo").click()
    expect(told).to_have_text("100 % of the picture will be painted anew.")
    visit.page.get_by_role("button", name="Clear").click()
    expect(told).to_have_text("Nothing is painted yet.")
    visit.page.get_by_role("button", name="Paint", exact=True).click()
    canvas.focus()
    for key in ("]", "ArrowLeft", "ArrowUp", " "):
        visit.page.keyboard.press(key)
    expect(told).to_contain_text("of the picture")
    visit.page.get_by_role("button", name="Close").click()
    expect(canvas).to_be_hidden()


def test_a_finger_paints_too_and_no_page_is_wider_than_a_phone(pages: Pages, browser: Browser) -> None:
    with visiting(pages, browser, viewport=PHONE, has_touch=True, is_mobile=True) as visit:
        image = visit.paint(num_images=1)["images"][0]
        for path in ("/gallery", "/rank", "/queue", "/models", "/settings", f"/picture/{image['id']}"):
            visit.go(path)
            assert visit.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], path
        visit.page.get_by_role("button", name="Vary a region").tap()
        canvas = visit.page.get_by_role("img", name="Mask on the picture")
        canvas.tap()
        expect(visit.page.locator(".mask-told")).to_contain_text("of the picture will be painted anew")


def test_remix_paints_the_same_picture_by_other_words(visit: Visit) -> None:
    parent = visit.paint("a red fox", num_images=1)["images"][0]
    visit.go(f"/picture/{parent['id']}")
    visit.page.get_by_text("Remix: the same picture by other words").click()
    words = visit.page.get_by_label("Prompt", exact=True)
    expect(words).to_have_value("a red fox")
    words.fill("a green apple --ar 9x9")
    visit.page.get_by_role("button", name="Remix strongly").click()
    expect(visit.page.locator("#remix").get_by_role("alert")).to_contain_text("expected whole numbers")
    words.fill("a green apple")
    visit.page.get_by_role("button", name="Remix strongly").click()
    job = child_of(visit, parent["id"])
    assert (job["kind"], job["prompt"], job["action"]["strength"]) == ("remix", "a green apple", "strong")


def test_a_picture_is_blended_with_another_and_painted_with_by_words(visit: Visit) -> None:
    other = visit.paint("a blue ball", num_images=1)["images"][0]
    image = visit.paint("a red fox", num_images=1)["images"][0]
    visit.go(f"/picture/{image['id']}")
    visit.page.get_by_text("Blend it with others").click()
    send = visit.page.get_by_role("button", name="Blend", exact=True)
    expect(send).to_be_disabled()
    visit.page.get_by_role("button", name="Picture 1: a blue ball").click()
    send.click()
    expect(visit.page.get_by_text("Blended: done")).to_be_visible()
    job = visit.jobs()[0]
    assert (job["kind"], job["images"][0]["details"]["origin"]["source_image_ids"]) == (
        "blend",
        [image["id"], other["id"]],
    )
    visit.page.get_by_text("Paint with it: something new").click()
    visit.page.get_by_label("Words").fill("a green apple")
    visit.page.get_by_label("How much the picture counts").select_option("most")
    visit.page.get_by_role("button", name="Paint with it").click()
    expect(visit.page.get_by_text("Painted with it: done")).to_be_visible()
    job = visit.jobs()[0]
    assert (job["prompt"], job["source_image_id"]) == ("a green apple --iw 3", image["id"])


def test_what_cannot_be_done_is_said_where_it_was_asked(visit: Visit) -> None:
    image = visit.paint("a red fox --seed 7", num_images=1)["images"][0]
    visit.go(f"/picture/{image['id']}")
    visit.page.get_by_role("button", name="Make square").click()
    alert = visit.page.get_by_role("region", name="Make of it").get_by_role("alert")
    expect(alert).to_contain_text("square")
    visit.page.get_by_role("button", name="Upscale to 2x").click()
    expect(visit.page.get_by_text("Upscaled: done")).to_be_visible()
    expect(alert).to_be_hidden()
    expect(visit.page.get_by_role("region", name="How it was painted")).to_contain_text("Seed7")


def test_a_picture_is_liked_made_public_deleted_and_restored_on_its_page(visit: Visit) -> None:
    image = visit.paint(num_images=1)["images"][0]

    def now() -> dict[str, Any]:
        found: dict[str, Any] = visit.api.get(f"/api/v1/images/{image['id']}").json()
        return found

    visit.go(f"/picture/{image['id']}")
    visit.page.get_by_role("button", name="Like").click()
    expect(visit.page.get_by_role("button", name="Like")).to_have_attribute("aria-pressed", "true")
    assert now()["liked"]
    visit.page.get_by_role("button", name="Private").click()
    expect(visit.page.get_by_role("button", name="Public")).to_be_visible()
    assert now()["visibility"] == "public"
    visit.page.get_by_role("button", name="Delete").click()
    visit.page.get_by_role("button", name="Restore").click()
    expect(visit.page.get_by_role("button", name="Restore")).to_be_hidden()
    assert now()["deleted_at"] is None


def test_nobody_sees_somebody_elses_picture(visit: Visit, pages: Pages, browser: Browser) -> None:
    image = visit.paint(num_images=1)["images"][0]
    with visiting(pages, browser) as other:
        other.go(f"/picture/{image['id']}")
        expect(other.page.get_by_text("There is no such picture")).to_be_visible()
        assert other.page.request.get(f"{pages.url}/media/{image['id']}/file").status == 404
        other.go("/gallery")
        expect(other.page.get_by_text("No pictures yet")).to_be_visible()


@pytest.mark.parametrize("size", [(96, 64), (64, 96)])
def test_the_mask_is_as_large_as_the_picture(visit: Visit, size: tuple[int, int]) -> None:
    image = visit.paint(num_images=1, size=list(size))["images"][0]
    visit.go(f"/picture/{image['id']}")
    visit.page.get_by_role("button", name="Vary a region").click()
    canvas = visit.page.get_by_role("img", name="Mask on the picture")
    found = canvas.evaluate("(one) => [one.width, one.height, one.clientWidth / one.clientHeight]")
    assert found[:2] == list(size)
    assert abs(found[2] - size[0] / size[1]) < 0.02
