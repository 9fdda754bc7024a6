"""Requests made up from the OpenAPI document: no answer is a server error, each is as the document says."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    ensure_resource_availability,
    positive_data_acceptance,
    use_after_free,
)

from pictura.api.access import accounts
from pictura.api.config import SCOPES
from pictura.api.studio import Studio
from pictura.core.errors import LeaseLostError
from pictura.store.tables import new_id
from tests.api.api_kit import add_user, app_client, key_of, png, studio_of

NOT_SAID = [positive_data_acceptance]
"""JSON schemas cannot say what a prompt is."""
NOT_OF_WALKS = [*NOT_SAID, use_after_free, ensure_resource_availability]
"""What was deleted is still its owner's to see and to restore."""
NUM_REQUESTS = 3
"""Of each operation."""


def paint(studio: Studio, until: threading.Event) -> None:
    """In the place of a worker: every job ends at once, with pictures of one colour."""
    while not until.is_set():
        for claim in studio.queue.claim("w", 10):
            try:
                for index in range(claim.job.num_images):
                    details = {"prompt": "a", "seed": 1, "index": index, "model": "m", "model_hash": "0" * 20}
                    settings_ = {"solver": "ab2", "guidance_scale": 1, "size": [8, 8], "num_steps": 1}
                    told = {**details, "settings": settings_, "version": "0"}
                    studio.queue.commit_image(claim, index, png((8, 8)), told)
                studio.queue.finish(claim)
            except LeaseLostError:  # it was cancelled
                continue
        time.sleep(0.01)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str]]]:
    """An app with login, and the header of an administrator's key."""
    with app_client(tmp_path_factory.mktemp("schema"), login=True, wait_s=30) as client:
        done = threading.Event()
        worker = threading.Thread(target=paint, args=(studio_of(client), done))
        worker.start()
        yield client.app, key_of(client, add_user(client, "root", "admin"))
        done.set()
        worker.join()


@pytest.mark.parametrize("num", [NUM_REQUESTS, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_answer_is_as_the_document_says(
    served: tuple[Any, dict[str, str]], method: str, num: int
) -> None:
    app, headers = served
    document: Any = schemathesis.openapi.from_asgi("/openapi.json", app)
    found = [one.ok() for one in document.include(method=method).get_all_operations()]
    assert found
    for operation in found:

        @given(case=operation.as_strategy())
        @settings(
            max_examples=num,
            deadline=None,
            phases=[Phase.generate],
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def try_out(case: Any) -> None:
            case.call_and_validate(headers=headers, excluded_checks=NOT_SAID)

        try_out()


@pytest.mark.parametrize(("num_walks", "num_steps"), [(2, 6), pytest.param(60, 30, marks=pytest.mark.slow)])
def test_requests_that_build_on_each_other_find_no_server_error(
    served: tuple[Any, dict[str, str]], num_walks: int, num_steps: int
) -> None:
    """Walks from what one answer gave to the next request: a job's id, its pictures, their children."""
    app, _ = served
    document: Any = schemathesis.openapi.from_asgi("/openapi.json", app)
    machine: Any = document.as_state_machine()
    seen = Counter[int]()

    class Walk(machine):  # type: ignore[misc]
        def setup(self) -> None:
            """An administrator of its own, for a walk may shut out everybody that it finds."""
            super().setup()
            user = accounts.add_user(app.state.studio.database, f"root-{new_id()}", None, "admin")
            _, key = accounts.add_key(app.state.studio.database, user.id, SCOPES)
            self.headers = {"Authorization": f"Bearer {key}"}

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": self.headers}

        def validate_response(self, response: Any, case: Any, **more: Any) -> None:
            seen[response.status_code] += 1
            case.validate_response(response, excluded_checks=NOT_OF_WALKS)

    Walk.run(
        settings=settings(
            max_examples=num_walks,
            stateful_step_count=num_steps,
            deadline=None,
            phases=[Phase.generate],
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
    )
    print(f"{num_walks} walks of {num_steps}: {dict(sorted(seen.items()))}")  # noqa: T201  (for docs/reliability.md)
    assert seen[202] + seen[200] > 0
