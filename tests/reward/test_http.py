"""A service as a reward, against a real server in a thread."""

import base64
import gc
import io
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pictura.core.errors import ConfigError, RewardError
from pictura.core.types import Prompt
from pictura.reward.http import HttpSettings
from pictura.reward.registry import make_reward

Answer = tuple[int, bytes]
PROMPTS = [Prompt(text=text) for text in ("a fox", "an owl", "a bee")]
IMAGES = torch.tensor([0.2, 0.4, 0.6])[:, None, None, None].expand(3, 3, 8, 8)


@contextmanager
def serving(answer: Callable[[dict[str, Any]], Answer]) -> Iterator[str]:
    """A server that answers each request; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, content = answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/score"
        finally:
            server.shutdown()
            thread.join()


def scores(*numbers: float | None) -> Answer:
    return 200, json.dumps({"scores": numbers}).encode()


def brightness(body: dict[str, Any]) -> Answer:
    means = []
    for text in body["images"]:
        with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
            means.append(float(np.asarray(picture).mean()) / 255)
    return scores(*means)


def ask(url: str, **settings: object) -> Any:
    return make_reward({"name": "http", "url": url, "pause_s": 0.01, **settings})(IMAGES, PROMPTS)


def test_a_service_sees_the_pictures_and_their_sentences() -> None:
    bodies = []

    def answer(body: dict[str, Any]) -> Answer:
        bodies.append(body["prompts"])
        return brightness(body)

    with serving(answer) as url:
        said = ask(url, at_once=2)
    assert said.total.tolist() == pytest.approx([0.2, 0.4, 0.6])
    assert said.valid.all()
    assert bodies == [["a fox", "an owl"], ["a bee"]]


def test_null_says_that_a_picture_cannot_be_scored() -> None:
    with serving(lambda _: scores(0.5, None, 1.0)) as url:
        assert ask(url).valid.tolist() == [True, False, True]


def test_a_busy_service_is_asked_again() -> None:
    tries = []

    def answer(body: dict[str, Any]) -> Answer:
        tries.append(time.monotonic())
        return brightness(body) if len(tries) == 3 else (503, b"")

    with serving(answer) as url:
        assert ask(url, retries=2, pause_s=0.05).valid.all()
    pauses = np.diff(tries)
    assert pauses[0] >= 0.05
    assert pauses[1] >= 0.1


def test_it_is_given_up_after_all_tries_or_when_it_is_told_no() -> None:
    with serving(lambda _: (500, b"")) as url, pytest.raises(RewardError) as error:
        ask(url, retries=1)
    assert "gave no answer (HTTP Error 500: Internal Server Error) in 2 tries" in str(error.value)
    with (
        serving(lambda _: (404, b"")) as url,
        pytest.raises(RewardError, match=r"404: Not Found.* in 1 tries"),
    ):
        ask(url)
    with pytest.raises(RewardError, match=r"gave no answer .*refused.* in 2 tries. Start it, or"):
        ask(url, retries=1)


def test_tries_that_failed_leave_no_connection_open() -> None:
    with serving(lambda _: (500, b"")) as url, pytest.raises(RewardError) as error:
        ask(url, retries=1)
    ring: list[object] = [error.value]
    ring.append(ring)  # as what a debugger or a log keeps of an error: only the collector frees it
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del error, ring
        gc.collect()
    assert [str(one.message) for one in told] == []


def test_a_service_that_does_not_answer_in_time_is_given_up() -> None:
    def late(_: dict[str, Any]) -> Answer:
        time.sleep(0.5)
        return scores(0, 0, 0)

    with serving(late) as url, pytest.raises(RewardError, match=r"no answer \(timed out\) in 2 tries"):
        ask(url, timeout_s=0.05, retries=1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"scores": [1, 2]}', "must give one number for each of 3 pictures; it gave 2"),
        (b"<html>", "must answer {\"scores\": [numbers]}; it answered b'<html>'"),
        (b'{"score": [1, 2, 3]}', "must answer"),
        (b'{"scores": ["good", 1, 2]}', "must answer"),
        (b"[1, 2, 3]", "must answer"),
    ],
)
def test_an_answer_of_another_form_is_refused(content: bytes, words: str) -> None:
    with serving(lambda _: (200, content)) as url, pytest.raises(RewardError) as error:
        ask(url)
    assert words in str(error.value)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="must begin with http:// or https://; got 'file:///etc/passwd'"):
        HttpSettings(url="file:///etc/passwd")
    with pytest.raises(ConfigError, match="http: retries must be at least 0; got -1"):
        HttpSettings(url="http://x", retries=-1)
