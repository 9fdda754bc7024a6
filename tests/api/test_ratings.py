"""Ratings over HTTP: kept and told to their user alone, asked for in pairs, exported, forgotten; search."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pyarrow import parquet

from pictura.store.tables import Image
from tests.api.api_kit import add_user, app_client, key_of, studio_of
from tests.store.gallery_kit import coloured, paint, show

API = "/api/v1"
FOUR = tuple(coloured(red) for red in (10, 80, 150, 220))


HOSTILE: tuple[tuple[dict[str, Any], int], ...] = (
    ({"q": '" OR NEAR(* ^ : {'}, 200),
    ({"q": "'; DROP TABLE images; --"}, 200),
    ({"q": "fox\0hen"}, 200),
    ({"q": "a" * 10_000}, 422),
    ({"q": "word " * 100}, 422),
    ({"q": ""}, 200),
    ({"model": "\0"}, 200),
    ({"parent": "\0"}, 200),
    ({"kind": "' OR 1=1"}, 200),
    ({"seed": -1}, 422),
    ({"seed": 2**70}, 422),
    ({"since": "nan"}, 422),
    ({"since": "1e400"}, 422),
    ({"min_width": 0}, 422),
    ({"liked": "maybe"}, 422),
)


class Person:
    """A user with a key."""

    def __init__(self, client: TestClient, name: str, role: Any = "user") -> None:
        user = add_user(client, name, role)
        self.id, self._client, self._headers = user.id, client, key_of(client, user)

    def paint(self, prompt: str, **more: Any) -> list[Image]:
        return paint(studio_of(self._client).queue, self.id, prompt, FOUR, **more)

    def call(self, method: str, path: str, **more: Any) -> Any:
        return self._client.request(method, API + path, headers=self._headers, **more)

    def get(self, path: str, **query: Any) -> Any:
        found = self.call("GET", path, params=query)
        assert found.status_code == 200, found.text
        return found.json()

    def rate(self, kind: str, image: Image, **more: Any) -> Any:
        event = {"kind": kind, "image_id": image.id, **more}
        return self.call("POST", "/ratings", json={"events": [event]})

    def prompts(self, **query: Any) -> list[str]:
        return sorted({one["details"]["prompt"] for one in self.get("/images", **query)["items"]})

    def exported(self, **query: Any) -> list[dict[str, Any]]:
        found = self.call("GET", "/ratings/export", params=query)
        assert found.headers["content-type"] == "application/vnd.apache.parquet"
        rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(found.content)).to_pylist()
        return rows


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with app_client(tmp_path, login=True) as client:
        yield client


@pytest.fixture
def ann(client: TestClient) -> Person:
    return Person(client, "ann")


@pytest.fixture
def ben(client: TestClient) -> Person:
    return Person(client, "ben")


def test_likes_are_shown_to_who_likes_and_filter_their_gallery(
    client: TestClient, ann: Person, ben: Person
) -> None:
    [fox, *_] = ann.paint("a red fox")
    [hen, *_] = ann.paint("a blue hen", model="unclip")
    show(studio_of(client).database, fox)
    assert ann.rate("like", fox, slot=0, surface="lightbox").status_code == 202
    ann.rate("dislike", hen)
    assert (ann.get(f"/images/{fox.id}")["liked"], ann.get(f"/images/{fox.id}")["rating"]) == (True, "like")
    assert (ann.get(f"/images/{hen.id}")["liked"], ann.get(f"/images/{hen.id}")["rating"]) == (
        False,
        "dislike",
    )
    assert ben.get(f"/images/{fox.id}")["liked"] is False
    (job,) = [one for one in ann.get("/jobs")["items"] if one["id"] == fox.job_id]
    assert [one["liked"] for one in job["images"]] == [True, False, False, False]
    assert ann.prompts(liked=True) == ["a red fox"]
    assert ben.prompts(liked=True, public=True) == []
    assert ben.prompts(q="fox", public=True) == ["a red fox"]
    assert ben.prompts(q="fox") == []
    assert ann.prompts(q="blue", model="unclip", seed=1, kind="imagine", min_width=16) == ["a blue hen"]
    assert ann.prompts(q="blue", since=1.0, until=2.0) == []
    facets = ann.get("/images/facets")
    assert facets["models"] == [{"name": "flow", "count": 4}, {"name": "unclip", "count": 4}]
    assert facets["kinds"] == [{"name": "imagine", "count": 8}]
    assert ben.get("/images/facets") == {"models": [], "kinds": []}


def test_pages_of_a_search_go_on_where_they_ended(ann: Person) -> None:
    images = ann.paint("a fox") + ann.paint("a fox")
    first = ann.get("/images", q="fox", limit=5)
    rest = ann.get("/images", q="fox", limit=5, cursor=first["next_cursor"])
    found = [one["id"] for one in (*first["items"], *rest["items"])]
    assert found == [image.id for image in images[4:] + images[:4]]
    assert rest["next_cursor"] is None
    for cursor in ("x", "-1", "9" * 30, images[0].id, "１"):
        refused = ann.call("GET", "/images", params={"cursor": cursor})
        assert (refused.status_code, refused.json()["code"]) == (422, "bad_config")


def test_hostile_searches_are_answered_or_refused(ann: Person) -> None:
    ann.paint("a fox")
    for query, status in HOSTILE:
        assert ann.call("GET", "/images", params=query).status_code == status, query


def test_what_one_rated_is_listed_deleted_and_nobody_elses(ann: Person, ben: Person) -> None:
    images = ann.paint("a fox")
    (rating,) = ann.rate("view", images[1]).json()["ids"]
    ann.rate("star", images[0])
    assert ben.rate("like", images[0]).status_code == 404
    star, view = ann.get("/ratings")["items"]
    assert (star["kind"], star["consent"], star["model"]) == ("star", False, "flow")
    assert (view["id"], view["slot"], view["shown_ids"]) == (rating, 1, [image.id for image in images])
    page = ann.get("/ratings", limit=1)
    assert [one["id"] for one in ann.get("/ratings", cursor=page["next_cursor"])["items"]] == [rating]
    assert ben.call("DELETE", f"/ratings/{rating}").status_code == 404
    assert ann.call("DELETE", f"/ratings/{rating}").json() == {"ratings": 1, "pairs": 0}
    assert ben.call("DELETE", "/ratings").json() == {"ratings": 0, "pairs": 0}
    assert ann.call("DELETE", "/ratings").json() == {"ratings": 1, "pairs": 0}
    assert ann.get("/ratings")["items"] == ann.exported(what="events") == ann.exported() == []
    assert ann.get(f"/images/{images[0].id}")["rating"] is None


def test_events_that_are_none_are_refused(ann: Person) -> None:
    [image, *_] = ann.paint("a fox")
    for event in (
        {"kind": "love"},
        {"surface": "moon"},
        {"slot": -1},
        {"shown_ids": ["x"] * 201},
        {"image_id": ""},
        {"ts": 1},
    ):
        asked = {"kind": "like", "image_id": image.id, **event}
        assert ann.call("POST", "/ratings", json={"events": [asked]}).status_code == 422, event
    assert ann.call("POST", "/ratings", json={"events": []}).status_code == 422


def test_downloads_and_deletions_are_remembered_and_looking_is_not(ann: Person) -> None:
    [image, *_] = ann.paint("a fox")
    shown = ann.call("GET", f"/images/{image.id}/file")
    assert shown.headers["content-disposition"].startswith("inline")
    assert ann.get("/ratings")["items"] == []
    kept = ann.call("GET", f"/images/{image.id}/file", params={"download": True})
    assert kept.headers["content-disposition"].startswith("attachment")
    for _ in range(2):
        ann.call("DELETE", f"/images/{image.id}")
    assert [one["kind"] for one in ann.get("/ratings")["items"]] == ["delete", "download"]


def test_pairs_are_asked_answered_counted_and_private(client: TestClient, ann: Person, ben: Person) -> None:
    nothing = ann.call("GET", "/pairs/next")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "no_pairs")
    ann.paint("a fox")
    asked = ann.get("/pairs/next")
    assert ann.get("/pairs/next")["token"] == asked["token"]
    assert (asked["prompt"], asked["number"]) == ("a fox", 1)
    assert asked["left"]["id"] != asked["right"]["id"]
    assert ann.call("GET", "/pairs/next", params={"model": "unclip"}).status_code == 404
    answer = {"token": asked["token"], "choice": "left", "ms": 900}
    assert ben.call("POST", "/pairs", json=answer).status_code == 404
    kept = ann.call("POST", "/pairs", json=answer)
    assert kept.status_code == 201
    assert (kept.json()["choice"], kept.json()["repeat"]) == ("left", False)
    assert ann.call("POST", "/pairs", json={**answer, "choice": "tie"}).json()["code"] == "conflict"
    ann.call("POST", "/pairs", json={"token": ann.get("/pairs/next")["token"], "choice": "skip"})
    stats = ann.get("/pairs/stats")
    assert (stats["pairs"], stats["skips"], stats["consistency"], stats["raters"]) == (1, 1, None, None)
    assert stats["by_model"]["flow"]["pairs"] == 1
    assert ben.get("/pairs/stats")["pairs"] == 0
    assert ben.call("GET", "/pairs/next").status_code == 404
    assert [one["choice"] for one in ann.get("/ratings")["items"]] == ["skip", "left"]
    root = Person(client, "root", "admin")
    assert root.call("GET", "/pairs/next").status_code == 404  # nobody ranks what others keep private
    (rater,) = root.get("/pairs/stats", everybody=True)["raters"].values()
    assert (rater["pairs"], rater["median_ms"]) == (1, 900)


def test_an_export_of_all_holds_who_allowed_it_without_names(
    client: TestClient, ann: Person, ben: Person
) -> None:
    root = Person(client, "root", "admin")
    for person in (ann, ben):
        [image, *_] = person.paint("a fox")
        assert person.get("/session")["settings"] == {"train_on_ratings": False}
        if person is ann:
            told = person.call("PATCH", "/session", json={"train_on_ratings": True}).json()
            assert told["settings"] == {"train_on_ratings": True}
        person.rate("like", image)
        person.call("POST", "/pairs", json={"token": person.get("/pairs/next")["token"], "choice": "right"})
    every = root.exported(everybody=True)
    assert [row["kind"] for row in every] == ["pair", "like", "like", "like"]
    (user,) = {row["user"] for row in every}
    assert user not in (ann.id, ben.id)
    assert {row["user"] for row in ann.exported()} == {user}
    assert {row["user"] for row in root.exported(everybody=True, what="events")} == {user}
    (pair,) = [row for row in ben.exported(pictures=True) if row["kind"] == "pair"]
    assert (pair["prompt"], pair["label_0"], pair["side"]) == ("a fox", 1.0, "right")
    assert pair["png_0"] in FOUR
    assert [row["kind"] for row in ben.exported(what="events")] == ["like", "pair"]
    assert root.exported() == []
    ann.call("DELETE", "/ratings")
    assert root.exported(everybody=True) == []
    ben.call("PATCH", "/session", json={"train_on_ratings": True, "past": True})
    assert len(root.exported(everybody=True)) == 4
    assert ben.call("GET", "/ratings/export", params={"what": "all"}).status_code == 422


def test_without_login_nothing_is_learnt_from_until_it_is_allowed(tmp_path: Path) -> None:
    with app_client(tmp_path) as client:
        assert client.get(f"{API}/session").json()["settings"] == {"train_on_ratings": False}
        client.patch(f"{API}/session", json={"train_on_ratings": True})
        assert client.get(f"{API}/session").json()["settings"] == {"train_on_ratings": True}
        assert client.patch(f"{API}/session", json={}).status_code == 422
