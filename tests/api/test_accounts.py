"""Passwords, logins, keys, limits and the policy of an administrator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pictura.api.config import Limits
from pictura.store.tables import ApiKey, LoginSession, User
from tests.api.api_kit import PASSWORD, add_user, app_client, key_of, studio_of

SITE = "http://127.0.0.1"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with app_client(tmp_path, login=True) as client:
        yield client


def log_in(client: TestClient, name: str = "anna", password: str = PASSWORD) -> Any:
    return client.post("/api/v1/session", json={"name": name, "password": password})


def test_a_browser_logs_in_changes_things_and_logs_out(client: TestClient) -> None:
    add_user(client, "anna", password=PASSWORD)
    answer = log_in(client, "Anna")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert client.get("/api/v1/session").json()["user"]["name"] == "anna"
    assert client.post("/api/v1/keys", json={}).status_code == 403  # without the token of its page
    token = {"X-CSRF-Token": answer.json()["csrf_token"]}
    assert client.post("/api/v1/keys", json={}, headers=token).status_code == 201
    foreign = {**token, "Origin": "https://evil.example"}
    assert client.post("/api/v1/keys", json={}, headers=foreign).status_code == 403
    own = {**token, "Origin": SITE}
    assert client.post("/api/v1/keys", json={}, headers=own).status_code == 201
    kept = dict(client.cookies)
    assert client.delete("/api/v1/session", headers=token).status_code == 204
    client.cookies.update(kept)
    assert client.get("/api/v1/session").status_code == 401


def test_wrong_names_and_passwords_are_told_alike_and_slowed_down(client: TestClient) -> None:
    add_user(client, "anna", password=PASSWORD)
    add_user(client, "keys-only")
    answers = [log_in(client, "anna", "wrong horse"), log_in(client, "nobody"), log_in(client, "keys-only")]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    studio = studio_of(client)
    for _ in range(20):
        studio.buckets.take("address testclient", 10)
    slowed = log_in(client)
    assert slowed.status_code == 429
    assert 1 <= int(slowed.headers["retry-after"]) <= 6


def test_only_hashes_are_stored(client: TestClient) -> None:
    user = add_user(client, "anna", password=PASSWORD)
    key = key_of(client, user)["Authorization"].split()[1]
    cookie = log_in(client).cookies["pictura_login"]
    with studio_of(client).database.read() as session:
        row = session.query(ApiKey).one()
        kept = [row.hash, row.prefix, session.query(LoginSession).one().hash]
        hashed = session.get_one(User, user.id).password_hash or ""
    assert key.startswith(row.prefix)
    assert len(row.prefix) < 12
    assert not {key, cookie, PASSWORD} & {*kept, hashed}
    assert hashed.startswith("$argon2id$")


def test_a_revoked_key_and_a_disabled_user_reach_nothing(client: TestClient) -> None:
    root, anna = add_user(client, "root", "admin"), add_user(client, "anna", password=PASSWORD)
    admin, first, second = key_of(client, root), key_of(client, anna), key_of(client, anna)
    both = client.get("/api/v1/keys", headers=first).json()["items"]
    (one,) = [key for key in both if first["Authorization"].split()[1].startswith(key["prefix"])]
    assert len(both) == 2
    assert one["last_used_at"] is not None
    client.delete(f"/api/v1/keys/{one['id']}", headers=first)
    assert client.get("/api/v1/jobs", headers=first).status_code == 401
    assert client.get("/api/v1/jobs", headers=second).status_code == 200
    log_in(client)
    client.patch(f"/api/v1/users/{anna.id}", json={"disabled": True}, headers=admin)
    assert client.get("/api/v1/jobs", headers=second).status_code == 401
    assert client.get("/api/v1/jobs").status_code == 401
    client.cookies.clear()
    assert log_in(client).status_code == 401
    assert client.patch(f"/api/v1/users/{root.id}", json={"role": "user"}, headers=admin).status_code == 403


def test_a_new_password_ends_all_logins(client: TestClient) -> None:
    admin = key_of(client, add_user(client, "root", "admin"))
    anna = add_user(client, "anna", password=PASSWORD)
    log_in(client)
    assert client.get("/api/v1/session").status_code == 200
    client.patch(f"/api/v1/users/{anna.id}", json={"password": "another horse"}, headers=admin)
    assert client.get("/api/v1/session").status_code == 401
    client.cookies.clear()
    assert log_in(client).status_code == 401
    assert log_in(client, password="another horse").status_code == 200


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"name": "a b", "password": PASSWORD}, "A user's name is 1 to 64 letters"),
        ({"name": "anna", "password": "short"}, "A password has 8 to 256 characters; got 5."),
        (
            {"name": "local", "password": PASSWORD},
            "The name 'local' is for the user of a studio without login",
        ),
        ({"name": "ROOT", "password": PASSWORD}, "There is a user 'ROOT' already."),
    ],
)
def test_users_that_cannot_be_made_are_refused(
    client: TestClient, asked: dict[str, str], sentence: str
) -> None:
    admin = key_of(client, add_user(client, "root", "admin"))
    answer = client.post("/api/v1/users", json=asked, headers=admin)
    assert answer.status_code in (409, 422)
    assert answer.json()["detail"].startswith(sentence)


def test_keys_work_as_passwords_of_basic_clients(client: TestClient) -> None:
    key = key_of(client, add_user(client, "anna"))["Authorization"].split()[1]
    assert client.get("/sdapi/v1/sd-models", auth=("whoever", key)).status_code == 200
    assert client.get("/sdapi/v1/sd-models", auth=("anna", "wrong")).status_code == 401


def test_limits_hold_for_each_user(client: TestClient) -> None:
    admin = key_of(client, add_user(client, "root", "admin"))
    anna = add_user(client, "anna")
    own = key_of(client, anna)

    def limit(**limits: int) -> None:
        answer = client.patch(f"/api/v1/users/{anna.id}", json={"limits": limits}, headers=admin)
        assert answer.json()["limits"].items() >= limits.items()

    def ask(**more: Any) -> Any:
        return client.post("/api/v1/jobs", json={"prompt": "a fox", "num_images": 2, **more}, headers=own)

    limit(images_a_job=1)
    assert (
        ask().json()["detail"]
        == "2 pictures in one job are more than the 1 that you may ask for. Ask for fewer."
    )
    limit(pixels=256 * 256)
    assert ask(size=[320, 256]).json()["code"] == "over_budget"
    limit(steps=10)
    assert ask(num_steps=11).json()["code"] == "over_budget"
    limit(pending_jobs=2)
    assert ask(prompt="a {red, blue, green} fox").json()["code"] == "queue_full"
    assert ask(prompt="a {red, blue} fox").status_code == 202
    repeat = {**own, "Idempotency-Key": "once"}
    limit(pending_jobs=3)
    body = {"prompt": "a fox"}
    first = client.post("/api/v1/jobs", json=body, headers=repeat)
    assert client.post("/api/v1/jobs", json=body, headers=repeat).json() == first.json()
    full = ask()
    assert (full.status_code, full.json()["code"]) == (429, "queue_full")
    assert full.headers["retry-after"] == "5"
    limit(images_a_day=9)
    spent = ask()
    assert (spent.status_code, spent.json()["code"]) == (429, "rate_limited")
    assert 86000 < int(spent.headers["retry-after"]) <= 86400
    assert ask(num_images=1).status_code == 202
    limit(requests_a_minute=1)
    client.get("/api/v1/jobs", headers=own)
    assert client.get("/api/v1/jobs", headers=own).status_code == 429


def test_jobs_that_failed_do_not_count_for_the_day(client: TestClient) -> None:
    own = key_of(client, add_user(client, "anna"))
    studio = studio_of(client)
    asked = {"prompt": "a fox", "num_images": 16}
    job_id = client.post("/api/v1/jobs", json=asked, headers=own).json()["jobs"][0]["id"]
    studio.queue.cancel(job_id, None)
    one = Limits(images_a_day=16)
    object.__setattr__(studio.config, "limits", {**studio.config.limits, "user": one})
    assert client.post("/api/v1/jobs", json=asked, headers=own).status_code == 202
    assert client.post("/api/v1/jobs", json=asked, headers=own).status_code == 429


def test_words_are_warned_of_or_blocked_as_an_administrator_says(client: TestClient) -> None:
    admin = key_of(client, add_user(client, "root", "admin"))

    def ask(prompt: str) -> Any:
        return client.post("/api/v1/jobs", json={"prompt": prompt}, headers=admin)

    def rule(mode: str) -> None:
        words = ["Bad Word", "worse"]
        body = {"mode": mode, "words": words}
        assert client.put("/api/v1/settings", json=body, headers=admin).json()["words"] == words

    rule("warn")
    assert ask("a fox").json()["jobs"][0]["warnings"] == []
    assert "asks to avoid" in ask("a bad word").json()["jobs"][0]["warnings"][0]
    rule("block")
    for prompt in ("a BAD  word", "worse", "a fox::2 ｗｏｒｓｅ::1", "w\u200borse", "a {fox, bad-word}"):
        answer = ask(prompt)
        assert (answer.status_code, answer.json()["code"]) == (422, "refused_by_policy"), prompt
    for prompt in ("a fox --no worse", "worsen", "word bad"):
        assert ask(prompt).status_code == 202, prompt
    told = client.post("/v1/images/generations", json={"prompt": "worse"}, headers=admin)
    assert (told.status_code, told.json()["error"]["code"]) == (400, "content_policy_violation")
    rule("off")
    assert ask("worse").status_code == 202
