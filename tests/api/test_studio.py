"""`pictura studio` from start to end: one command, real processes, real pictures."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from pictura.api.config import ApiConfig
from pictura.api.serve import listen
from pictura.core.errors import ConfigError
from tests.api.api_kit import Served, events, finished, make_home, opened, served

SLOW = {"prompt": "a red fox", "num_steps": 1000, "num_images": 4, "size": [64, 64]}


@pytest.fixture
def client(studio: Served) -> Iterator[httpx.Client]:
    with studio.client() as client:
        yield client


def submit(client: httpx.Client, **asked: object) -> str:
    answer = client.post("/api/v1/jobs", json={"prompt": "a red fox", "size": [64, 64], **asked})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["jobs"][0]["id"]
    return job_id


def workers_of(studio: Served) -> list[int]:
    """Process ids of the studio's children."""
    path = Path(f"/proc/{studio.process.pid}/task/{studio.process.pid}/children")
    return [int(one) for one in path.read_text().split()]


def test_a_job_is_followed_to_its_pictures(client: httpx.Client) -> None:
    job_id = submit(client, num_images=2, seed=11)
    with client.stream("GET", f"/api/v1/jobs/{job_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        found = list(events(stream))
    kinds = [one["event"] for one in found]
    assert kinds[:2] == ["queued", "started"]
    assert kinds[-1] == "done"
    assert [one["data"]["index"] for one in found if one["event"] == "image"] == [0, 1]
    numbers = [int(one["id"]) for one in found]
    assert numbers == sorted(set(numbers))
    job = client.get(f"/api/v1/jobs/{job_id}").json()
    assert [image["index"] for image in job["images"]] == [0, 1]
    image = client.get(job["images"][1]["url"])
    assert opened(image.content).size == (64, 64)
    assert "immutable" in image.headers["cache-control"]
    again = client.get(job["images"][1]["url"], headers={"If-None-Match": image.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert opened(client.get(job["images"][1]["thumb_url"]).content).format == "WEBP"


def test_a_stream_goes_on_behind_the_last_event_that_was_seen(client: httpx.Client) -> None:
    job_id = submit(client, num_images=1)
    finished(client, job_id)
    address = f"/api/v1/jobs/{job_id}/events"
    with client.stream("GET", address) as stream:
        whole = list(events(stream))
    with client.stream("GET", address, headers={"Last-Event-ID": whole[1]["id"]}) as stream:
        assert list(events(stream)) == whole[2:]
    with client.stream("GET", address, headers={"Last-Event-ID": whole[-1]["id"]}) as stream:
        assert list(events(stream)) == []  # it has ended: nothing is waited for


def test_the_pictures_are_those_of_the_command_line(
    client: httpx.Client, studio: Served, tmp_path: Path
) -> None:
    prompt = "a red fox::2 a blue ball --ar 2:1 --seed 5 --chaos 30"
    answer = client.post("/api/v1/jobs", json={"prompt": prompt, "num_images": 2})
    job = finished(client, answer.json()["jobs"][0]["id"])
    command = [sys.executable, "-m", "pictura.cli", "imagine", prompt, "--n", "2", "--no-grid", "--local"]
    environment = os.environ | {"PICTURA_HOME": str(studio.home), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--out", str(tmp_path)], check=True, env=environment, capture_output=True)
    painted = [client.get(image["url"]).content for image in job["images"]]
    ours = [path.read_bytes() for path in sorted(tmp_path.glob("*.png"))]
    assert [opened(one).tobytes() for one in painted] == [opened(one).tobytes() for one in ours]


def test_a_running_job_is_cancelled_within_a_step(client: httpx.Client) -> None:
    answer = client.post("/api/v1/jobs", json=SLOW).json()["jobs"][0]
    with client.stream("GET", f"/api/v1/jobs/{answer['id']}/events") as stream:
        kinds = []
        for event in events(stream):
            kinds.append(event["event"])
            if event["event"] == "progress":
                assert client.delete(f"/api/v1/jobs/{answer['id']}").status_code == 202
    assert kinds[-1] == "cancelled"
    assert finished(client, answer["id"])["status"] == "cancelled"


def test_who_hangs_up_takes_the_request_back(client: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post(
            "/v1/images/generations",
            json={"prompt": "a fox --stop 99", "n": 10, "size": "1024x1024"},
            timeout=0.5,
        )
    job_id = client.get("/api/v1/jobs?limit=1").json()["items"][0]["id"]
    assert finished(client, job_id)["status"] == "cancelled"


def test_a_worker_that_dies_is_replaced_and_its_job_done(client: httpx.Client, studio: Served) -> None:
    (worker,) = workers_of(studio)
    job_id = submit(client, num_steps=300, num_images=2)
    start = time.monotonic()
    with client.stream("GET", f"/api/v1/jobs/{job_id}/events") as stream:
        attempts = []
        for event in events(stream):
            if event["event"] == "started":
                attempts.append(event["data"]["attempt"])
                if len(attempts) == 1:
                    os.kill(worker, signal.SIGKILL)
    assert attempts == [1, 2]
    assert time.monotonic() - start < 25, "its lease of 30 s is not waited for"
    assert finished(client, job_id)["status"] == "done"


def test_the_log_has_no_prompts(client: httpx.Client, studio: Served) -> None:
    finished(client, submit(client, prompt="a zanzibarian fox", num_images=1))
    client.post("/v1/images/generations", json={"prompt": "a zanzibarian fox", "size": "64x64"})
    client.post("/api/v1/jobs", json={"prompt": "a zanzibarian fox --ar 3x2"})
    log = studio.log.read_text()
    assert "POST /v1/images/generations 200" in log
    assert "zanzibarian" not in log


def test_the_studio_says_where_it_listens_and_stops_cleanly(tiny_home: Path, tmp_path: Path) -> None:
    home = make_home(tmp_path, tiny_home)
    with served(home, "--model", "tiny") as studio:
        assert json.loads((home / "studio.json").read_text()) == {
            "url": studio.url,
            "pid": studio.process.pid,
        }
        (worker,) = workers_of(studio)
        with studio.client() as client:
            job_id = client.post("/api/v1/jobs", json=SLOW).json()["jobs"][0]["id"]
            with client.stream("GET", f"/api/v1/jobs/{job_id}/events") as stream:
                for event in events(stream):
                    if event["event"] == "progress":
                        studio.process.send_signal(signal.SIGINT)
                        break
        studio.process.wait(40)  # a second SIGINT would cut it short
        log = studio.log.read_text()
    assert studio.process.returncode == 0
    assert f"The studio listens on {studio.url} (Ctrl-C stops it)." in log
    assert "given back" in log
    assert "Traceback" not in log
    assert not (home / "studio.json").exists()
    assert not Path(f"/proc/{worker}").exists()


def test_what_cannot_be_served_is_refused_at_the_start(studio: Served, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is taken, perhaps by another studio"):
        listen("127.0.0.1", int(studio.url.rpartition(":")[2]))
    with pytest.raises(ConfigError, match=r"Cannot listen on 192\.0\.2\.1, port 0"):
        listen("192.0.2.1", 0)
    with pytest.raises(ConfigError, match=r"Whoever reaches 0\.0\.0\.0 could do everything"):
        ApiConfig(host="0.0.0.0")
    command = [sys.executable, "-m", "pictura.cli", "studio", "--admin", "anna"]
    environment = os.environ | {"PICTURA_HOME": str(tmp_path)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: A password is needed for anna: start where")


def test_imagine_lets_a_running_studio_paint(client: httpx.Client, studio: Served, tmp_path: Path) -> None:
    def imagine(*options: str) -> dict[str, Any]:
        command = [
            sys.executable,
            "-m",
            "pictura.cli",
            "imagine",
            "a red fox --ar 2:1",
            "--seed",
            "3",
            "--json",
        ]
        environment = os.environ | {"PICTURA_HOME": str(studio.home), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, "--n", "2", *options], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 4), done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def newest() -> str:
        job_id: str = client.get("/api/v1/jobs?limit=1").json()["items"][0]["id"]
        return job_id

    before = newest()
    there = imagine("--out", str(tmp_path / "there"))
    after = newest()
    assert after != before
    here = imagine("--out", str(tmp_path / "here"), "--local")
    assert newest() == after
    for one, other in zip(there["pictures"], here["pictures"], strict=True):
        assert opened(Path(one).read_bytes()).tobytes() == opened(Path(other).read_bytes()).tobytes()
    assert there["grid"]
    assert (there["seed"], there["settings"]["size"]) == (here["seed"], here["settings"]["size"])
    assert imagine("--model", "flwo")["error"] == "model_not_found"
