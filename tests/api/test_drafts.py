"""Drafts over HTTP: a real worker paints them by the student, or by the model what that never learnt."""

import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from pictura.store.models import read_model
from tests.api.api_kit import Served, finished
from tests.tiny_model import make_student

Told = dict[str, Any]


@pytest.fixture(scope="module")
def client(studio: Served) -> Iterator[httpx.Client]:
    models = studio.home / "models"
    make_student(read_model(models / "tiny"), models / "schooled")
    with studio.client() as client:
        end = time.monotonic() + 10  # names are a few seconds old at most
        while "schooled" not in client.get("/api/v1/models").text:
            assert time.monotonic() < end
            time.sleep(0.1)
        yield client
    shutil.rmtree(models / "schooled")  # the studio is that of all tests


@pytest.fixture(scope="module")
def draft(client: httpx.Client) -> Told:
    """A job with one draft."""
    return done(client, client.post("/api/v1/jobs", json={"prompt": "a fox --draft", "model": "schooled"}))


def done(client: httpx.Client, answer: httpx.Response) -> Told:
    assert answer.status_code == 202, answer.text
    (job,) = answer.json()["jobs"]
    told = finished(client, job["id"])
    assert told["status"] == "done", told["error"]
    return told


def settings(job: Told) -> Told:
    said: Told = job["images"][0]["details"]["settings"]
    return said


def test_a_draft_is_by_the_student_and_so_is_its_reroll(client: httpx.Client, draft: Told) -> None:
    again = done(client, client.post(f"/api/v1/jobs/{draft['id']}/reroll", json={}))
    for job in (draft, again):
        said = settings(job)
        assert (said["num_steps"], said["guidance_scale"], said["size"]) == (2, 1.0, [128, 128])
        assert len(said["student"]) == 12


def test_with_other_words_the_model_paints_in_all_its_steps(client: httpx.Client, draft: Told) -> None:
    other = done(client, client.post(f"/api/v1/jobs/{draft['id']}/reroll", json={"prompt": "a ball"}))
    assert (settings(other)["num_steps"], settings(other)["guidance_scale"]) == (3, 2.0)
    assert "student" not in settings(other)


def test_what_begins_with_a_picture_the_model_drafts(client: httpx.Client, draft: Told) -> None:
    asked = {"prompt": "a ball --draft", "model": "schooled", "image_id": draft["images"][0]["id"]}
    made = done(client, client.post("/api/v1/jobs", json=asked))
    assert settings(made)["guidance_scale"] == 2.0
    assert "student" not in settings(made)
