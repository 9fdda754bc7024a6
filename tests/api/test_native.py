"""The native API without workers: pages, repeats, deletion, formats, live errors of prompts."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import PngImagePlugin

from pictura.api.config import ApiConfig
from pictura.core.errors import ConfigError
from pictura.jobs.values import JobRequest
from pictura.store.database import Database
from tests.api.api_kit import app_client, opened, png, studio_of


@pytest.fixture
def client(tmp_path: Path, database: Database) -> Iterator[TestClient]:
    with app_client(tmp_path, database=database.url.render_as_string(hide_password=False)) as client:
        yield client


def paint(client: TestClient, num_images: int = 1, **picture: Any) -> str:
    """A job that is done, and its id."""
    studio = studio_of(client)
    user = client.get("/api/v1/session").json()["user"]["id"]
    job = studio.queue.submit(JobRequest(num_images=num_images, request={"choices": {"seed": 1}}), user)
    (claim,) = studio.queue.claim("w", 1)
    settings = {"solver": "ab2", "num_steps": 3, "guidance_scale": 2, "size": [64, 64]}
    for index in range(num_images):
        details = {"prompt": "a fox", "seed": 1, "index": index, "model": "tiny", "model_hash": "0" * 64}
        data = png(colour=(200, index, 0, 100), **picture)
        studio.queue.commit_image(claim, index, data, {**details, "settings": settings, "version": "0"})
    studio.queue.finish(claim)
    return job.id


def pages(client: TestClient, path: str, limit: int) -> list[list[str]]:
    found, more = [], ""
    while True:
        page = client.get(f"{path}{'&' if '?' in path else '?'}limit={limit}{more}").json()
        found.append([one["id"] for one in page["items"]])
        if page["next_cursor"] is None:
            return found
        more = f"&cursor={page['next_cursor']}"


def test_jobs_are_paged_the_newest_first(client: TestClient) -> None:
    ids = [client.post("/api/v1/jobs", json={"prompt": "a fox"}).json()["jobs"][0]["id"] for _ in range(5)]
    assert pages(client, "/api/v1/jobs", 2) == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    assert pages(client, "/api/v1/jobs", 5) == [ids[::-1]]
    client.delete(f"/api/v1/jobs/{ids[2]}")
    assert pages(client, "/api/v1/jobs?status=cancelled", 5) == [[ids[2]]]
    assert client.get(f"/api/v1/jobs/{ids[3]}").json()["position"] == 2


def test_pictures_are_paged_in_their_order_within_each_job(client: TestClient) -> None:
    first, second = paint(client, 12), paint(client, 3)
    expected = [f"{second}-{i}" for i in range(3)] + [f"{first}-{i}" for i in range(12)]
    found = pages(client, "/api/v1/images", 4)
    assert [len(page) for page in found] == [4, 4, 4, 3]
    assert list(itertools.chain(*found)) == expected


def test_the_same_key_gives_the_same_jobs_and_another_body_is_refused(client: TestClient) -> None:
    key = {"Idempotency-Key": "one"}
    asked = {"prompt": "a {red, blue} fox"}
    first = client.post("/api/v1/jobs", json=asked, headers=key)
    again = client.post("/api/v1/jobs", json=asked, headers=key)
    assert again.json() == first.json()
    assert len(client.get("/api/v1/jobs").json()["items"]) == 2
    other = client.post("/api/v1/jobs", json={"prompt": "a fox"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")


def test_a_deleted_picture_is_out_of_sight_until_it_is_restored(client: TestClient) -> None:
    job_id = paint(client, 2)
    address = f"/api/v1/images/{job_id}-0"
    assert client.delete(address).json()["deleted_at"] is not None
    assert [one["index"] for one in client.get("/api/v1/images").json()["items"]] == [1]
    assert [one["index"] for one in client.get(f"/api/v1/jobs/{job_id}").json()["images"]] == [1]
    assert [one["index"] for one in client.get("/api/v1/images?deleted=true").json()["items"]] == [0]
    assert client.post(f"{address}/restore").json()["deleted_at"] is None
    assert len(client.get("/api/v1/images").json()["items"]) == 2


def test_files_come_in_other_formats_and_on_white(client: TestClient) -> None:
    address = f"/api/v1/images/{paint(client)}-0/file"
    stored = opened(client.get(address).content)
    assert (stored.format, stored.mode, stored.getpixel((0, 0))) == ("PNG", "RGBA", (200, 0, 0, 100))
    webp = opened(client.get(address, params={"format": "webp"}).content)
    assert (webp.format, webp.getpixel((0, 0))) == ("WEBP", (200, 0, 0, 100))
    jpeg = client.get(address, params={"format": "jpeg"})
    assert (jpeg.headers["content-type"], opened(jpeg.content).mode) == ("image/jpeg", "RGB")
    white = opened(client.get(address, params={"background": "opaque"}).content)
    assert white.getpixel((0, 0)) == (233, 155, 155)
    tags = {client.get(address, params={"format": kind}).headers["etag"] for kind in ("png", "webp", "jpeg")}
    assert len(tags) == 3


def test_one_switch_takes_the_metadata_out_of_all_files(client: TestClient) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("parameters", "a fox")
    address = f"/api/v1/images/{paint(client, pnginfo=chunks)}-0/file"
    with_it = client.get(address)
    assert b"parameters" in with_it.content
    assert b"fox" in client.get(address, params={"format": "webp"}).content
    client.put("/api/v1/settings", json={"metadata": False})
    without = client.get(address, headers={"If-None-Match": with_it.headers["etag"]})
    assert without.status_code == 200
    assert b"parameters" not in without.content
    assert opened(without.content).tobytes() == opened(with_it.content).tobytes()
    assert b"fox" not in client.get(address, params={"format": "webp"}).content
    job = client.post("/api/v1/jobs", json={"prompt": "a fox"}).json()["jobs"][0]
    with studio_of(client).database.read():
        assert studio_of(client).queue.get(job["id"], None).request["metadata"] is False


def test_a_prompt_is_explained_while_it_is_typed(client: TestClient) -> None:
    def read(prompt: str) -> Any:
        return client.post("/api/v1/prompts/parse", json={"prompt": prompt}).json()

    good = read("a {red, blue} fox::2 grass --ar 3:2 --repeat 2")
    assert (good["ok"], good["num_jobs"], len(good["prompts"])) == (True, 4, 2)
    first, second = good["prompts"][0]["parts"]
    assert (first, second) == (["a red fox", pytest.approx(2 / 3)], ["grass", pytest.approx(1 / 3)])
    assert good["prompts"][0]["parameters"]["aspect"] == [3, 2]
    bad = read("a fox --ar 16x9")
    assert (bad["ok"], bad["error"]["column"], bad["error"]["found"]) == (False, 7, "--ar 16x9")
    assert bad["error"]["message"].startswith("`--ar 16x9` (column 7): expected whole numbers W:H, like 16:9")
    assert read("")["error"]["column"] is None


def test_a_problem_has_the_standards_fields(client: TestClient) -> None:
    answer = client.post("/api/v1/jobs", json={"prompt": "a fox --ar 3x2"})
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["type"], told["status"]) == ("urn:pictura:problem:bad_prompt", 422)
    assert (told["title"], told["column"]) == ("Bad prompt", 7)
    missing = client.post("/api/v1/jobs", json={}).json()
    assert missing["errors"] == [{"where": "body.prompt", "message": "Field required"}]
    assert client.get("/nowhere").json()["code"] == "no_such_address"
    assert client.put("/api/v1/jobs").status_code == 405


def test_a_failed_job_says_why_and_can_be_tried_again(client: TestClient) -> None:
    job_id = client.post("/api/v1/jobs", json={"prompt": "a fox"}).json()["jobs"][0]["id"]
    studio = studio_of(client)
    (claim,) = studio.queue.claim("w", 1)
    studio.queue.fail(claim, "bad_prompt", "It cannot be painted.")
    job = client.get(f"/api/v1/jobs/{job_id}").json()
    assert (job["status"], job["error"]) == (
        "failed",
        {"code": "bad_prompt", "message": "It cannot be painted."},
    )
    assert client.post(f"/api/v1/jobs/{job_id}/retry").json()["status"] == "queued"


def test_numbers_are_counted_for_prometheus(client: TestClient) -> None:
    client.post("/api/v1/jobs", json={"prompt": "a fox", "lane": "relax"})
    client.get("/api/v1/jobs/abc")
    text = client.get("/metrics").text
    assert 'pictura_requests_total{method="GET",route="/api/v1/jobs/{job_id}",status="404"} 1.0' in text
    assert 'pictura_jobs{state="queued"} 1.0' in text
    assert 'pictura_jobs_waiting{lane="relax"} 1.0' in text


def test_a_database_that_is_gone_is_told_as_such(tmp_path: Path) -> None:
    with app_client(tmp_path) as client:
        assert client.get("/readyz").status_code == 200
        studio_of(client).database.close()
        (tmp_path / "studio.db").unlink()
        (tmp_path / "studio.db").mkdir()
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_database")


@pytest.mark.parametrize("url", ["studio.example.org", "https://a/b", "ftp://a", "https://a b"])
def test_public_addresses_are_checked(url: str) -> None:
    with pytest.raises(ConfigError, match="The public address is https://HOST"):
        ApiConfig(public_url=url)
