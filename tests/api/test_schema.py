"""Requests made up from the OpenAPI document: no answer is a server error, each is as the document says."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from pictura.api.studio import Studio
from pictura.core.errors import LeaseLostError
from tests.api.api_kit import add_user, app_client, key_of, png, studio_of

NOT_SAID = [positive_data_acceptance]
"""JSON schemas cannot say what a prompt is."""
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


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_answer_is_as_the_document_says(served: tuple[Any, dict[str, str]], method: str) -> None:
    app, headers = served
    document: Any = schemathesis.openapi.from_asgi("/openapi.json", app)
    found = [one.ok() for one in document.include(method=method).get_all_operations()]
    assert found
    for operation in found:

        @given(case=operation.as_strategy())
        @settings(
            max_examples=NUM_REQUESTS,
            deadline=None,
            phases=[Phase.generate],
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def try_out(case: Any) -> None:
            case.call_and_validate(headers=headers, excluded_checks=NOT_SAID)

        try_out()
