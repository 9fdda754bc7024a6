"""Limits of a user hold over several programs of the API at once, on both databases."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from pictura.api.access.accounts import Who, add_user
from pictura.api.config import SCOPES, ApiConfig, Limits
from pictura.api.studio import Studio
from pictura.core.errors import LimitError, QueueFullError
from pictura.jobs.values import JobRequest
from pictura.store.database import Database


@pytest.fixture
def studios(database: Database, tmp_path: Path) -> list[Studio]:
    """As two programs have them."""
    url = database.url.render_as_string(hide_password=False)
    return [Studio(ApiConfig(database=url, files=str(tmp_path / "files"))) for _ in range(2)]


@pytest.mark.parametrize(
    ("limits", "accepted", "error"),
    [(Limits(pending_jobs=5), 5, QueueFullError), (Limits(images_a_day=6, pending_jobs=None), 3, LimitError)],
)
def test_many_requests_at_once_pass_no_limit(
    studios: list[Studio], limits: Limits, accepted: int, error: type[Exception]
) -> None:
    user = add_user(studios[0].database, "anna", None)
    who = Who(user_id=user.id, name="anna", role="user", scopes=frozenset(SCOPES), limits=limits, by="key")
    found, start = Counter[str](), threading.Barrier(12)

    def ask(studio: Studio) -> None:
        start.wait()
        try:
            studio.submit([JobRequest(num_images=2, request={"prompt": "a fox"})], who)
            found["accepted"] += 1
        except error:
            found["refused"] += 1

    threads = [threading.Thread(target=ask, args=(studios[i % 2],)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"accepted": accepted, "refused": 12 - accepted}
    for studio in studios:
        studio.database.close()


def test_a_repeat_is_no_new_request(studios: list[Studio]) -> None:
    user = add_user(studios[0].database, "anna", None)
    limits = Limits(pending_jobs=1)
    who = Who(user_id=user.id, name="anna", role="user", scopes=frozenset(SCOPES), limits=limits, by="key")
    request = [JobRequest(num_images=1, request={"prompt": "a fox"})]
    first, again = (studio.submit(request, who, "fast", "key", "same") for studio in studios)
    assert first[0].id == again[0].id
    for studio in studios:
        studio.database.close()
