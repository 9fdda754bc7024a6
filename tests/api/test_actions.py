"""Actions over HTTP: a real worker does each, the parent is kept, and what cannot be is refused by name."""

import base64
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import select

from pictura.jobs.values import JobRequest
from pictura.store.tables import Job, Rating
from tests.api.api_kit import Served, add_user, app_client, finished, key_of, opened, png, studio_of

SIDE = 64
Told = dict[str, Any]


@pytest.fixture(scope="module")
def client(studio: Served) -> Iterator[httpx.Client]:
    with studio.client() as client:
        yield client


@pytest.fixture(scope="module")
def grid(client: httpx.Client) -> Told:
    """A job with two pictures."""
    return paint(client, prompt="a red fox --no white", num_images=2, size=[SIDE, SIDE])


@pytest.fixture
def still(tmp_path: Path) -> Iterator[TestClient]:
    """A studio without a worker."""
    with app_client(tmp_path) as client:
        yield client


def ended(client: httpx.Client, answer: httpx.Response) -> Told:
    assert answer.status_code == 202, answer.text
    (job,) = answer.json()["jobs"]
    done = finished(client, job["id"])
    assert done["status"] == "done", done["error"]
    return done


def paint(client: httpx.Client, **asked: Any) -> Told:
    return ended(client, client.post("/api/v1/jobs", json=asked))


def act(client: httpx.Client, image_id: str, **asked: Any) -> Told:
    body = asked if asked["action"] == "upscale" else {"num_images": 1, **asked}
    return ended(client, client.post(f"/api/v1/images/{image_id}/actions", json=body))


def pixels(client: Any, image: Told) -> Any:
    return np.asarray(opened(client.get(image["url"]).content).convert("RGBA"))


def mask(size: tuple[int, int] = (SIDE, SIDE)) -> str:
    image = Image.new("L", size, 0)
    image.paste(255, (size[0] // 2, 0, *size))
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_variation_is_a_child_that_knows_where_it_comes_from(client: httpx.Client, grid: Told) -> None:
    source = grid["images"][1]
    done = act(client, source["id"], action="vary", strength="subtle", num_images=3)
    assert (done["kind"], done["parent_id"], done["source_image_id"]) == ("vary", grid["id"], source["id"])
    assert done["action"]["strength"] == "subtle"
    assert done["resolved"] == "a red fox --no white"
    assert len(done["images"]) == 3
    for image in done["images"]:
        origin = image["details"]["origin"]
        assert (origin["action"], origin["parent_id"]) == ("vary", grid["id"])
        assert origin["source_image_ids"] == [source["id"]]
        assert (image["width"], image["height"]) == (SIDE, SIDE)
    said = opened(client.get(done["images"][0]["url"]).content).info["pictura"]
    assert f'"of": ["{source["id"]}"]' in said
    assert f'"parent_id": "{grid["id"]}"' in said


def test_canvases_keep_every_pixel_that_was_there(client: httpx.Client, grid: Told) -> None:
    source = grid["images"][0]
    before = pixels(client, source)
    pan = act(client, source["id"], action="pan", direction="right")["images"][0]
    assert (pan["width"], pan["height"]) == (SIDE * 3 // 2, SIDE)
    np.testing.assert_array_equal(pixels(client, pan)[:, :SIDE], before)
    square = act(client, pan["id"], action="square")["images"][0]
    assert (square["width"], square["height"]) == (SIDE * 3 // 2, SIDE * 3 // 2)
    np.testing.assert_array_equal(pixels(client, square)[16:80], pixels(client, pan))
    region = act(client, source["id"], action="region", mask=mask(), prompt="a blue ball")
    assert region["prompt"] == "a blue ball"
    assert "mask" not in str(region["action"])
    after = pixels(client, region["images"][0])
    np.testing.assert_array_equal(after[:, : SIDE // 2], before[:, : SIDE // 2])
    assert (after[:, SIDE // 2 :] != before[:, SIDE // 2 :]).any()
    zoom = act(client, source["id"], action="zoom", factor=1.5)["images"][0]
    assert (zoom["width"], zoom["height"]) == (SIDE, SIDE)


def test_a_picture_is_enlarged_and_stays_who_it_was(client: httpx.Client, grid: Told) -> None:
    source = grid["images"][0]
    done = act(client, source["id"], action="upscale", factor=2)
    (large,) = done["images"]
    assert (large["width"], large["height"]) == (2 * SIDE, 2 * SIDE)
    for name in ("prompt", "seed", "index", "model", "model_hash"):
        assert large["details"][name] == source["details"][name]
    assert large["details"]["settings"]["scaling"] == done["action"]["by"] == "upsampler"
    refused = client.post(f"/api/v1/jobs/{done['id']}/reroll", json={})
    assert refused.status_code == 422
    assert "nothing left to chance" in refused.json()["detail"]


def test_a_remix_paints_on_by_another_prompt(client: httpx.Client, grid: Told) -> None:
    done = act(client, grid["images"][0]["id"], action="remix", prompt="a blue ball --no red")
    assert done["resolved"].startswith("a blue ball --no red")
    assert done["images"][0]["details"]["prompt"] == "a blue ball"


def test_a_reroll_is_the_same_request_with_another_seed(client: httpx.Client, grid: Told) -> None:
    again = ended(client, client.post(f"/api/v1/jobs/{grid['id']}/reroll", json={}))
    assert (again["kind"], again["parent_id"], again["prompt"]) == ("reroll", grid["id"], grid["prompt"])
    assert again["seed"] != grid["seed"]
    same = {name: value for name, value in grid["choices"].items() if name != "seed"}
    assert {name: value for name, value in again["choices"].items() if name != "seed"} == same
    assert again["images"][0]["details"]["origin"]["action"] == "reroll"
    pan = act(client, grid["images"][0]["id"], action="pan", direction="up")
    other = ended(client, client.post(f"/api/v1/jobs/{pan['id']}/reroll", json={"prompt": "a blue ball"}))
    assert other["action"]["direction"] == "up"
    assert other["source_image_id"] == grid["images"][0]["id"]
    assert (other["images"][0]["width"], other["images"][0]["height"]) == (SIDE, SIDE * 3 // 2)
    assert other["resolved"] == "a blue ball"


def test_pictures_are_blended_by_who_is_asked_for(client: httpx.Client, grid: Told) -> None:
    ids = [image["id"] for image in grid["images"]]
    asked = {"image_ids": ids, "num_images": 1}
    steps = ended(client, client.post("/api/v1/blend", json={**asked, "model": "tiny"}))
    assert (steps["kind"], steps["source_image_id"]) == ("blend", ids[0])
    assert steps["images"][0]["details"]["origin"]["source_image_ids"] == ids
    imagined = ended(client, client.post("/api/v1/blend", json={**asked, "prompt": "a red fox"}))
    assert imagined["model"] == "unclip", "what is between pictures is best imagined"


def test_a_prompt_may_come_with_a_picture(client: httpx.Client, grid: Told) -> None:
    source = grid["images"][0]["id"]
    done = paint(client, prompt="a blue ball --iw 2", image_id=source, num_images=1)
    assert (done["kind"], done["parent_id"], done["source_image_id"]) == ("imagine", grid["id"], source)
    assert (done["action"]["action"], done["action"]["iw"]) == ("image_prompt", 2.0)
    assert done["choices"]["size"] == [SIDE, SIDE]
    photo = base64.b64encode(png((300, 200))).decode()
    sent = paint(client, prompt="a blue ball", image=photo, num_images=1)
    assert (sent["parent_id"], sent["action"]["iw"]) == (None, 1.0)
    width, height = sent["choices"]["size"]
    assert width / height == pytest.approx(1.5, abs=0.02)


def test_a_clip_describes_pictures_and_weighs_words(client: httpx.Client, grid: Told) -> None:
    answers = [
        client.post("/api/v1/describe", json=body)
        for body in ({"image_id": grid["images"][0]["id"]}, {"image": base64.b64encode(png()).decode()})
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["captions"]) == 4
    answer = client.post("/api/v1/shorten", json={"prompt": "a very red fox on blue --ar 3:2"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [one["word"] for one in found["tokens"]] == ["a", "very", "red", "fox", "on", "blue"]
    assert 0 < len(found["prompts"]) <= 5
    assert all(text.endswith(" --ar 3:2") for text in found["prompts"])
    jobs = client.get("/api/v1/jobs?limit=3").json()["items"]
    assert {job["kind"] for job in jobs} == {"describe", "shorten"}
    assert jobs[0]["result"]["prompts"]


def source(client: TestClient, size: tuple[int, int] = (SIDE, SIDE), who: Any = None) -> str:
    """A picture of a studio without a worker, and its id."""
    studio = studio_of(client)
    user = who or client.get("/api/v1/session").json()["user"]["id"]
    studio.queue.submit(JobRequest(num_images=1, request={"choices": {"seed": 1}}), user)
    (claim,) = studio.queue.claim("w", 1)
    image = studio.queue.commit_image(claim, 0, png(size), {"prompt": "a fox", "model": "gone"})
    studio.queue.finish(claim)
    return image.id


def refused(client: TestClient, image_id: str, **body: Any) -> tuple[int, str]:
    answer = client.post(f"/api/v1/images/{image_id}/actions", json=body)
    return answer.status_code, answer.json().get("detail", "")


def bomb() -> str:
    """A small PNG that claims 20,000 by 20,000 pixels."""
    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def test_masks_that_are_none_are_refused(still: TestClient) -> None:
    image_id, dark = source(still), Image.new("L", (SIDE, SIDE), 0)
    file = io.BytesIO()
    dark.save(file, "PNG")
    wrong = {
        "must be as large as its picture, 64x64; got 32x64": mask((32, SIDE)),
        "dark all over": base64.b64encode(file.getvalue()).decode(),
        "at most": bomb(),
        "expected a picture in base64": "§§§",
        "of something else came": base64.b64encode(b"no picture").decode(),
    }
    for sentence, text in wrong.items():
        status, detail = refused(still, image_id, action="region", mask=text)
        assert status == 422, detail
        assert sentence in detail
    for text in (bomb(), "AAAA"):
        assert still.post("/api/v1/describe", json={"image": text}).status_code == 422
        assert still.post("/api/v1/jobs", json={"prompt": "a", "image": text}).status_code == 422


def test_what_cannot_be_done_is_refused_by_name(still: TestClient) -> None:
    image_id, wide = source(still), source(still, (128, 64))
    cases: list[tuple[str, Told, str]] = [
        (image_id, {"action": "square"}, "is square already"),
        (wide, {"action": "pan", "direction": "left"}, "at most 2:1"),
        (source(still, (600, 600)), {"action": "upscale"}, "sides have at most 1024"),
        (image_id, {"action": "remix", "prompt": "a fox --ar 2:1"}, "--ar stands in the prompt"),
        (image_id, {"action": "remix", "prompt": "{a, b}"}, "at most 1 are allowed"),
        (image_id, {"action": "remix", "prompt": "a --model dalle"}, "another model beside it"),
        (image_id, {"action": "vary", "strength": "strong", "num_images": 64, "seed": -1}, "seed"),
        (image_id, {"action": "zoom", "factor": 3}, "factor"),
        (image_id, {"action": "burn"}, "action"),
        (image_id, {"action": "vary", "strength": "subtle", "noise_level": 1}, "noise_level"),
    ]
    for where, body, sentence in cases:
        status, detail = refused(still, where, **body)
        assert status == 422, detail
        assert sentence in detail
    answer = still.post("/api/v1/jobs", json={"prompt": "a fox --iw 1"})
    assert "none came: send image_id or image" in answer.json()["detail"]
    both = {"prompt": "a", "image_id": image_id, "image": base64.b64encode(png()).decode()}
    assert still.post("/api/v1/jobs", json=both).status_code == 422
    blend = still.post("/api/v1/blend", json={"image_ids": [image_id]})
    assert blend.status_code == 422
    named = {"image_ids": [image_id, wide], "model": "dalle"}
    assert "family dalle cannot do blend" in still.post("/api/v1/blend", json=named).json()["detail"]


def test_a_model_that_is_gone_or_cannot_is_replaced_and_that_is_told(still: TestClient) -> None:
    answer = still.post(
        f"/api/v1/images/{source(still)}/actions", json={"action": "pan", "direction": "up"}
    ).json()
    (job,) = answer["jobs"]
    assert job["model"] == "flow"
    assert job["warnings"] == ["The model 'gone' that painted the picture is not here; 'flow' does it."]


def test_actions_are_ratings_with_what_was_shown(still: TestClient) -> None:
    image_id = source(still)
    act_on = f"/api/v1/images/{image_id}/actions"
    still.post(act_on, json={"action": "pan", "direction": "up", "surface": "lightbox"})
    still.post(act_on, json={"action": "upscale"})
    still.post(f"/api/v1/jobs/{image_id[:-2]}/reroll", json={})
    with studio_of(still).database.read() as session:
        found = [(one.kind, one.image_id, one.surface) for one in session.scalars(select(Rating))]
    assert found == [
        ("vary", image_id, "lightbox"),
        ("upscale", image_id, "api"),
        ("reroll", image_id, "api"),
    ]


def test_requests_name_pictures_and_hold_none(still: TestClient) -> None:
    image_id = source(still)
    still.post(f"/api/v1/images/{image_id}/actions", json={"action": "region", "mask": mask()})
    with studio_of(still).database.read() as session:
        request = session.scalars(select(Job.request).where(Job.kind == "region")).one()
    assert set(request["pictures"]) == {"image", "mask"}
    assert all(len(path) < 128 for path in request["pictures"].values())
    assert len(str(request)) < 2000


def test_nobody_acts_on_what_they_may_not_see(tmp_path: Path) -> None:
    with app_client(tmp_path, login=True) as client:
        anna, ben = add_user(client, "anna"), add_user(client, "ben")
        hers, his = key_of(client, anna), key_of(client, ben)
        image_id = source(client, who=anna.id)
        bodies = (
            ("/api/v1/blend", {"image_ids": [image_id, image_id]}),
            ("/api/v1/describe", {"image_id": image_id}),
            ("/api/v1/jobs", {"prompt": "a", "image_id": image_id}),
            (f"/api/v1/images/{image_id}/actions", {"action": "upscale"}),
        )
        for path, body in bodies:
            assert client.post(path, json=body, headers=his).status_code == 404
            assert client.post(path, json=str(body), headers=his).status_code == 422
        client.patch(f"/api/v1/images/{image_id}", json={"visibility": "public"}, headers=hers)
        acted = client.post(bodies[3][0], json={"action": "upscale"}, headers=his)
        assert acted.status_code == 202
        assert client.get(f"/api/v1/jobs/{acted.json()['jobs'][0]['id']}", headers=hers).status_code == 404
        client.delete(f"/api/v1/images/{image_id}", headers=hers)
        assert client.post(bodies[3][0], json={"action": "upscale"}, headers=hers).status_code == 404


def test_words_need_a_worker_and_the_job_is_taken_back(
    still: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pictura.api.telling.waiting.WORDS_S", 0.2)
    answer = still.post("/api/v1/shorten", json={"prompt": "a red fox"})
    assert (answer.status_code, answer.json()["code"]) == (503, "no_worker")
    assert "No worker of the studio answered within 0.2 s" in answer.json()["detail"]
    (job,) = still.get("/api/v1/jobs").json()["items"]
    assert finished(still, job["id"])["status"] == "cancelled"
