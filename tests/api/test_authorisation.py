"""Who may do what, on every route of the OpenAPI document: a route without an entry here fails."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pictura.api.access import entry
from pictura.jobs.values import JobRequest
from tests.api.api_kit import add_user, app_client, key_of, png, studio_of

OPEN, READ, RATE, PAINT, ADMIN = "open", "read", "rate", "paint", "admin"
NEEDS = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": ADMIN,
    "POST /api/v1/session": OPEN,
    "GET /api/v1/session": READ,
    "PATCH /api/v1/session": RATE,
    "DELETE /api/v1/session": READ,
    "POST /api/v1/jobs": PAINT,
    "GET /api/v1/jobs": READ,
    "GET /api/v1/jobs/{job_id}": READ,
    "DELETE /api/v1/jobs/{job_id}": PAINT,
    "POST /api/v1/jobs/{job_id}/retry": PAINT,
    "GET /api/v1/jobs/{job_id}/events": READ,
    "GET /api/v1/images": READ,
    "GET /api/v1/images/facets": READ,
    "GET /api/v1/images/{image_id}": READ,
    "GET /api/v1/images/{image_id}/file": READ,
    "GET /api/v1/images/{image_id}/thumb": READ,
    "PATCH /api/v1/images/{image_id}": PAINT,
    "DELETE /api/v1/images/{image_id}": PAINT,
    "POST /api/v1/images/{image_id}/restore": PAINT,
    "POST /api/v1/images/{image_id}/actions": PAINT,
    "POST /api/v1/jobs/{job_id}/reroll": PAINT,
    "POST /api/v1/blend": PAINT,
    "POST /api/v1/describe": PAINT,
    "POST /api/v1/shorten": PAINT,
    "POST /api/v1/ratings": RATE,
    "GET /api/v1/ratings": RATE,
    "DELETE /api/v1/ratings": RATE,
    "DELETE /api/v1/ratings/{rating_id}": RATE,
    "GET /api/v1/ratings/export": RATE,
    "GET /api/v1/pairs/next": RATE,
    "POST /api/v1/pairs": RATE,
    "GET /api/v1/pairs/stats": RATE,
    "GET /api/v1/models": READ,
    "GET /api/v1/learning": READ,
    "POST /api/v1/prompts/parse": READ,
    "GET /api/v1/users": ADMIN,
    "POST /api/v1/users": ADMIN,
    "PATCH /api/v1/users/{user_id}": ADMIN,
    "GET /api/v1/keys": READ,
    "POST /api/v1/keys": READ,
    "DELETE /api/v1/keys/{key_id}": READ,
    "GET /api/v1/settings": ADMIN,
    "PUT /api/v1/settings": ADMIN,
    "POST /v1/images/generations": PAINT,
    "POST /v1/images/edits": PAINT,
    "POST /v1/images/variations": PAINT,
    "GET /v1/models": READ,
    "GET /v1/models/{model_id}": READ,
    "POST /sdapi/v1/txt2img": PAINT,
    "POST /sdapi/v1/img2img": PAINT,
    "GET /sdapi/v1/progress": READ,
    "POST /sdapi/v1/interrupt": PAINT,
    "POST /sdapi/v1/skip": PAINT,
    "GET /sdapi/v1/sd-models": READ,
    "GET /sdapi/v1/samplers": READ,
    "GET /sdapi/v1/schedulers": READ,
    "GET /sdapi/v1/upscalers": READ,
    "GET /sdapi/v1/loras": READ,
    "GET /sdapi/v1/options": READ,
    "POST /sdapi/v1/options": PAINT,
    "POST /sdapi/v1/png-info": READ,
}
BODIES: dict[str, Any] = {
    "PATCH /api/v1/images/{image_id}": {"visibility": "private"},
    "PATCH /api/v1/users/{user_id}": {},
    "POST /api/v1/images/{image_id}/actions": {"action": "vary", "strength": "subtle"},
    "POST /api/v1/jobs/{job_id}/reroll": {},
}
REFUSED = (401, 403)


@dataclass(frozen=True, kw_only=True)
class World:
    """A studio with people in it."""

    client: TestClient
    headers: dict[str, dict[str, str]]
    """Of each person's key."""
    ids: dict[str, str]
    """Of what belongs to Anna."""

    def call(self, route: str, person: str | None, **more: Any) -> int:
        method, path = route.split()
        found = self.client.request(
            method,
            path.format(**self.ids, model_id="flwo"),
            headers=self.headers[person] if person else {},
            **({"json": BODIES[route]} if route in BODIES else {}),
            **more,
        )
        return found.status_code


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with app_client(tmp_path_factory.mktemp("world"), login=True) as client:
        people = {
            "anna": add_user(client, "anna"),
            "ben": add_user(client, "ben"),
            "eva": add_user(client, "eva", "viewer"),
            "root": add_user(client, "root", "admin"),
        }
        headers = {name: key_of(client, user) for name, user in people.items()}
        headers["anna-rates"] = key_of(client, people["anna"], "rate")
        headers["root-paints"] = key_of(client, people["root"], "generate")
        studio = studio_of(client)
        job = studio.queue.submit(
            JobRequest(num_images=1, request={"choices": {"seed": 1}}), people["anna"].id
        )
        (claim,) = studio.queue.claim("w", 1)
        image = studio.queue.commit_image(claim, 0, png(), {"prompt": "a fox"})
        studio.queue.finish(claim)
        (key, *_) = client.get("/api/v1/keys", headers=headers["anna"]).json()["items"]
        ids = {
            "job_id": job.id,
            "image_id": image.id,
            "user_id": people["ben"].id,
            "key_id": key["id"],
            "rating_id": _rated(client, headers["anna"], image.id),
        }
        yield World(client=client, headers=headers, ids=ids)


def _rated(client: TestClient, headers: dict[str, str], image_id: str) -> str:
    asked = {"events": [{"kind": "like", "image_id": image_id}]}
    found: str = client.post("/api/v1/ratings", json=asked, headers=headers).json()["ids"][0]
    return found


def test_every_route_has_an_entry(world: World) -> None:
    paths = world.client.get("/openapi.json").json()["paths"]
    found = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert found == set(NEEDS)


@pytest.mark.parametrize("route", NEEDS)
def test_strangers_reach_what_is_open_and_nothing_else(world: World, route: str) -> None:
    assert (world.call(route, None) == 401) == (NEEDS[route] != OPEN)


@pytest.mark.parametrize("route", NEEDS)
def test_rights_follow_role_and_scope(world: World, route: str) -> None:
    if route in ("DELETE /api/v1/keys/{key_id}", "DELETE /api/v1/session"):
        return  # see below
    need = NEEDS[route]
    assert (world.call(route, "eva") == 403) == (need in (PAINT, ADMIN)), "viewers only look"
    assert (world.call(route, "anna-rates") == 403) == (need in (PAINT, ADMIN)), "that key only rates"
    assert (world.call(route, "anna") in REFUSED) == (need == ADMIN), "users do no administrator's work"
    assert (world.call(route, "root-paints") == 403) == (need in (RATE, ADMIN)), "that key only paints"
    assert world.call(route, "root") not in REFUSED


@pytest.mark.parametrize("route", [route for route in NEEDS if "{job_id}" in route or "{image_id}" in route])
def test_nobody_reaches_what_is_anothers(world: World, route: str) -> None:
    assert world.call(route, "ben") == 404
    assert world.call(route, "root-paints") == 404
    assert world.call(route, "anna") in (200, 202)
    assert world.call(route, "root") in (200, 202)


def test_lists_hold_only_what_is_ones_own(world: World) -> None:
    for path in ("/api/v1/jobs", "/api/v1/images", "/api/v1/images?deleted=true", "/api/v1/keys"):
        for more in ("", "&everybody=true" if "?" in path else "?everybody=true"):
            items = world.client.get(path + more, headers=world.headers["ben"]).json()["items"]
            assert not [one for one in items if one["id"] in world.ids.values()]
    everything = world.client.get("/api/v1/jobs?everybody=true", headers=world.headers["root"]).json()[
        "items"
    ]
    assert world.ids["job_id"] in [one["id"] for one in everything]


def test_ratings_are_seen_and_deleted_by_their_user_alone(world: World) -> None:
    rating = _rated(world.client, world.headers["anna"], world.ids["image_id"])
    for person in ("ben", "eva", "root"):
        deleted = world.client.delete(f"/api/v1/ratings/{rating}", headers=world.headers[person])
        assert deleted.status_code == 404
        items = world.client.get("/api/v1/ratings", headers=world.headers[person]).json()["items"]
        assert rating not in [one["id"] for one in items]
    assert world.client.delete(f"/api/v1/ratings/{rating}", headers=world.headers["anna"]).status_code == 200
    for path in ("ratings/export", "pairs/stats"):
        address = f"/api/v1/{path}?everybody=true"
        assert world.client.get(address, headers=world.headers["ben"]).status_code == 403
        assert world.client.get(address, headers=world.headers["root"]).status_code == 200


def test_a_public_picture_is_seen_by_all_and_changed_by_none(world: World) -> None:
    address = f"/api/v1/images/{world.ids['image_id']}"
    world.client.patch(address, json={"visibility": "public"}, headers=world.headers["anna"])
    try:
        assert world.call("GET /api/v1/images/{image_id}/file", "eva") == 200
        assert world.client.get("/api/v1/images?public=true", headers=world.headers["ben"]).json()["items"]
        for route in (
            "PATCH /api/v1/images/{image_id}",
            "DELETE /api/v1/images/{image_id}",
            "POST /api/v1/images/{image_id}/restore",
            "GET /api/v1/jobs/{job_id}",
        ):
            assert world.call(route, "ben") == 404
        assert world.call("GET /api/v1/images/{image_id}/file", None) == 401
        world.client.delete(address, headers=world.headers["anna"])
        assert world.call("GET /api/v1/images/{image_id}/file", "ben") == 404
    finally:
        world.client.post(f"{address}/restore", headers=world.headers["anna"])
        world.client.patch(address, json={"visibility": "private"}, headers=world.headers["anna"])


def test_keys_give_no_more_than_they_have(world: World) -> None:
    def make(person: str, **asked: Any) -> int:
        return world.client.post("/api/v1/keys", json=asked, headers=world.headers[person]).status_code

    anna, ben = "anna", world.ids["user_id"]
    assert make(anna, scopes=["generate"]) == 201
    assert make("anna-rates", scopes=["generate"]) == 403
    assert make("root-paints", scopes=["admin"]) == 403
    assert make(anna, scopes=["generate"], user_id=ben) == 403
    assert make("root", scopes=["generate"], user_id=ben) == 201
    revoke = f"/api/v1/keys/{world.ids['key_id']}"
    assert world.client.delete(revoke, headers=world.headers["ben"]).status_code == 404


def test_a_signed_address_opens_one_picture_for_a_while(world: World) -> None:
    studio = studio_of(world.client)
    path = f"/api/v1/images/{world.ids['image_id']}/file"
    good = entry.signed(studio, path, 60)
    assert world.client.get(good).status_code == 200
    assert world.client.get(good + "&format=webp").status_code == 200
    assert world.client.get(good.replace("/file", "")).status_code == 401
    assert world.client.get(good.replace("/file", "/thumb")).status_code == 401
    assert world.client.get(good.replace("-0/", "-1/")).status_code == 401
    assert world.client.get(good.replace("expires=", "expires=9")).status_code == 401
    assert world.client.get(entry.signed(studio, path, -60)).status_code == 401
    assert world.client.delete(good.replace("/file", "")).status_code == 401


def test_the_local_user_may_do_everything(tmp_path: Path) -> None:
    with app_client(tmp_path) as client:
        assert client.get("/api/v1/session").json()["by"] == "local"
        assert client.get("/api/v1/users").status_code == 200
        assert client.get("/metrics", headers={"Authorization": "Bearer anything"}).status_code == 200
