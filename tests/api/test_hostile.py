"""What a hostile client may try: it is refused with a reason, and nothing else suffers."""

import base64
import json
import logging
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pictura.api.telling.waiting import JobEndedError
from tests.api.api_kit import Served, add_user, app_client, key_of, png, studio_of


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with app_client(tmp_path_factory.mktemp("hostile")) as client:
        yield client


def bomb(side: int = 20_000) -> bytes:
    """A PNG of few bytes that claims 400 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


PATHS = (
    "/api/v1/images/..%2f..%2f..%2fetc%2fpasswd/file",
    "/api/v1/images/%2e%2e/file",
    "/api/v1/images/..\\..\\secret/thumb",
    "/api/v1/images/%00/file",
    "/api/v1/images/a%0d%0aSet-Cookie:x/file",
    "/api/v1/jobs/..%2f..%2fimages",
    "/api/v1/jobs/%00/events",
    "/api/v1/jobs/" + "a" * 5000,
    "/v1/models/..%2f..%2fetc",
)


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers
    assert len(answer.content) < 1000


@pytest.mark.parametrize("model", ["/etc", "../flow", "./flow", "flow/../flow", "\x00", "/srv/model", ""])
def test_models_are_named_never_pathed(client: TestClient, model: str) -> None:
    answer = client.post("/api/v1/jobs", json={"prompt": "a fox", "model": model})
    assert answer.status_code in (404, 422) if model else answer.status_code in (202, 404)
    answer = client.post("/api/v1/jobs", json={"prompt": f"a fox --model {model or 'x/y'}"})
    assert answer.status_code in (404, 422)


@pytest.mark.parametrize(
    "asked",
    [
        {"size": [-64, 64]},
        {"size": [0, 0]},
        {"size": [1e9, 1e9]},
        {"size": [1024, 16]},
        {"num_images": -1},
        {"num_images": 10**30},
        {"num_steps": 0},
        {"seed": -1},
        {"seed": 2**64},
        {"guidance_scale": "NaN"},
        {"solver": "rm -rf"},
        {"lane": "urgent"},
        {"candidates": 129},
        {"unknown": 1},
        {"prompt": ""},
        {"prompt": " \n "},
        {"prompt": "x" * 8193},
        {"prompt": "a " * 4000},
        {"prompt": "{" * 3000},
        {"prompt": "a" + " {b,c}" * 60},
        {"prompt": "a fox --repeat 41"},
        {"prompt": "http://127.0.0.1/secret a fox"},
        {"prompt": None},
        {"prompt": ["a"]},
    ],
)
def test_what_cannot_be_painted_never_reaches_the_queue(client: TestClient, asked: dict[str, Any]) -> None:
    before = len(client.get("/api/v1/jobs").json()["items"])
    answer = client.post("/api/v1/jobs", json={"prompt": "a fox", **asked})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 2000
    assert len(client.get("/api/v1/jobs").json()["items"]) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"a"',
        b"\xff\xfe",
        b'{"prompt": "\\ud800"}',
        b'{"prompt": "a", "guidance_scale": NaN, "cfg_scale": NaN, "n": NaN}',
        b'{"prompt": "a", "guidance_scale": 1e999, "cfg_scale": 1e999, "n": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 20_000,
    ],
)
def test_bodies_that_are_no_requests_are_refused(client: TestClient, body: bytes) -> None:
    for path in ("/api/v1/jobs", "/v1/images/generations", "/sdapi/v1/txt2img"):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), (path, answer.text)


def test_a_prompt_may_hold_any_text(client: TestClient) -> None:
    prompt = "a fox \x00 \u202e\U0001f98a ' OR 1=1; -- ${jndi:ldap://x} <script>"
    answer = client.post("/api/v1/jobs", json={"prompt": prompt, "language": False})
    assert answer.status_code == 202
    job_id = answer.json()["jobs"][0]["id"]
    assert client.get(f"/api/v1/jobs/{job_id}").json()["prompt"] == prompt


def test_ten_megabytes_of_prompt_are_refused_unread(studio: Served) -> None:
    body = b'{"prompt": "' + b"a" * 10_000_000 + b'"}'
    with studio.client() as client:
        for path in ("/api/v1/jobs", "/v1/images/generations"):
            answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 413, answer.text
        assert "at most 256 KB" in answer.text
        assert client.get("/healthz").status_code == 200
        endless = client.post("/api/v1/jobs", content=(b"a" * 500_000 for _ in range(20)))
        assert endless.status_code == 413
    with socket.create_connection(("127.0.0.1", int(studio.url.rpartition(":")[2])), timeout=5) as raw:
        raw.sendall(
            b"POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (bomb(), "image: the image claims"),
        (png((5000, 4000)), "at most 16 million"),
        (b"GIF89a" + b"\x00" * 40, "expected a PNG, JPEG or WebP image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "expected a PNG, JPEG or WebP image"),
        (b"%PDF-1.7", "expected a PNG, JPEG or WebP image"),
        (b"", "an empty file came"),
        (png()[:-30], "truncated or damaged"),
        (png((4, 1)), "from 16 to 1024 pixels; got 4x1"),
    ],
)
def test_uploads_that_are_no_safe_pictures_are_refused(
    client: TestClient, data: bytes, sentence: str
) -> None:
    answer = client.post("/v1/images/edits", data={"prompt": "a fox"}, files={"image": ("a.png", data)})
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]["message"]
    body = {"prompt": "a fox", "init_images": [base64.b64encode(data).decode()]}
    assert client.post("/sdapi/v1/img2img", json=body).status_code == 422


def test_too_large_uploads_are_refused_before_they_are_read(client: TestClient) -> None:
    data = b"\x89PNG" + b"\x00" * (25 * 2**20)
    start = time.monotonic()
    answer = client.post("/v1/images/edits", data={"prompt": "a"}, files={"image": ("a.png", data)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert time.monotonic() - start < 5
    many = [("image", (f"{i}.png", png((16, 16)))) for i in range(30)]
    assert client.post("/v1/images/edits", data={"prompt": "a"}, files=many).status_code == 400
    two = [("image[]", (f"{i}.png", png())) for i in range(2)]
    answer = client.post("/v1/images/edits", data={"prompt": "a"}, files=two)
    assert answer.json()["error"]["message"] == "2 pictures in image came; at most 1 are read."


def test_pictures_are_never_fetched_by_address(client: TestClient) -> None:
    address = "http://169.254.169.254/latest/meta-data"
    answer = client.post("/v1/images/edits", data={"prompt": "a fox", "image": address})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "body.image: a picture must be sent as a file."
    body = {"prompt": "a fox", "init_images": [address]}
    assert client.post("/sdapi/v1/img2img", json=body).status_code == 422


@pytest.mark.parametrize(
    "cursor", ["'", "../..", "\x00", "zz", "0" * 65, "1-x-y", "-", "0-99999999999999999999"]
)
def test_cursors_are_not_trusted(client: TestClient, cursor: str) -> None:
    for path in ("/api/v1/jobs", "/api/v1/images"):
        assert client.get(path, params={"cursor": cursor}).status_code in (200, 422)


@pytest.mark.parametrize("number", ["-1", "x", "9" * 30, "1.5"])
def test_event_numbers_are_not_trusted(client: TestClient, number: str) -> None:
    job_id = client.post("/api/v1/jobs", json={"prompt": "a fox"}).json()["jobs"][0]["id"]
    answer = client.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": number})
    assert answer.status_code == 422


@pytest.mark.parametrize("key", ["", "a\tb", "k" * 256, "é".encode()])
def test_idempotency_keys_are_not_trusted(client: TestClient, key: Any) -> None:
    answer = client.post("/api/v1/jobs", json={"prompt": "a fox"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422


def test_a_page_of_another_site_reaches_nothing_of_a_studio_without_login(client: TestClient) -> None:
    asked = {"prompt": "a fox"}
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        answer = client.post("/api/v1/jobs", json=asked, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), headers
    assert client.get("/api/v1/jobs", headers={"Host": "evil.example:7860"}).status_code == 403
    simple = client.post("/api/v1/jobs", content=json.dumps(asked), headers={"Content-Type": "text/plain"})
    assert simple.status_code == 422
    for host in ("localhost:7860", "127.0.0.1:1", "[::1]:7860"):
        assert client.get("/api/v1/jobs", headers={"Host": host}).status_code == 200


def test_keys_of_any_shape_are_refused_alike(tmp_path: Path) -> None:
    with app_client(tmp_path, login=True) as client:
        good = key_of(client, add_user(client, "anna"))["Authorization"]
        values = [
            good[:-1],
            good + "x",
            good.lower(),
            "Bearer",
            "Bearer ",
            "Basic !!!",
            "Basic Og==",
            "Bearer é",
        ]
        for value in values:
            answer = client.get("/api/v1/jobs", headers={b"Authorization": value.encode()})
            assert answer.status_code == 401, value
            assert answer.headers["www-authenticate"] == "Bearer"
        for cookie in ("pictura_login=x", "pictura_login=" + "y" * 4000, "=;=;", '"'):
            assert client.get("/api/v1/jobs", headers={"Cookie": cookie}).status_code == 401


def test_refusals_are_logged_without_what_was_sent(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="pictura")
    client.post("/api/v1/jobs", json={"prompt": "zanzibar --ar 3x2"})
    client.get("/api/v1/images/zanzibar/file?signature=zanzibar")
    assert "POST /api/v1/jobs 422" in caplog.text
    assert "GET /api/v1/images/{image_id}/file 404" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("pictura")]
    assert len(ours) == 2
    assert not [line for line in ours if "zanzibar" in line]
    assert "zanzibar" not in client.get("/metrics").text


def test_our_own_mistakes_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with app_client(tmp_path) as client:
        studio = studio_of(client)
        monkeypatch.setattr(studio.queue, "get", lambda *_: 1 / 0)
        quiet = TestClient(client.app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        answer = quiet.get("/api/v1/jobs/abc")
        assert answer.status_code == 500
        assert "division" not in answer.text
        assert answer.json()["code"] == "internal"


def test_a_failed_job_tells_its_own_status() -> None:
    assert JobEndedError("bad_prompt", "No.").http_status == 422
    assert JobEndedError("internal", "No.").http_status == 500
