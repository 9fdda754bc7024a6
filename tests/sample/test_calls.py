"""Ways of painting are generators of network calls, which others can drive one between another."""

from pathlib import Path

import numpy as np
import pytest

import pictura
from pictura.core.errors import ConfigError, PromptError
from pictura.sample.by_steps import by_steps
from pictura.sample.calls import Asked, Call, Calls, Painted, Progress, Way, answer, drive
from pictura.sample.request import advised


def reply(backend: object, wish: Call | Calls | Progress) -> object:
    if isinstance(wish, Calls):
        return [answer(backend, call) for call in reversed(wish.calls)][::-1]
    return answer(backend, wish) if isinstance(wish, Call) else None


def test_two_requests_driven_by_turns_are_painted_as_each_alone(tiny_home: Path) -> None:
    painter = pictura.load(tiny_home / "models" / "tiny", device="cpu")
    asked = [
        ("a red apple", {"seed": 3, "num_steps": 4}),
        ("a fish", {"seed": 4, "num_steps": 6, "num_images": 2}),
    ]
    alone = [painter.paint(prompt, **more) for prompt, more in asked]  # type: ignore[arg-type]
    ways = {i: painter.making(prompt, **more) for i, (prompt, more) in enumerate(asked)}  # type: ignore[arg-type]
    answers: dict[int, object] = dict.fromkeys(ways)
    made = {}
    while ways:
        for i in list(ways):
            try:
                wish = ways[i].send(answers[i])
            except StopIteration as end:
                made[i] = end.value
                del ways[i]
                continue
            answers[i] = reply(painter._backend, wish)
    for i, pictures in enumerate(alone):
        for one, other in zip(pictures, made[i], strict=True):
            np.testing.assert_array_equal(np.asarray(one.image), np.asarray(other.image))


def test_progress_counts_up_and_shows_the_picture_so_far(tiny_home: Path) -> None:
    painter = pictura.load(tiny_home / "models" / "tiny", device="cpu")
    settings = {**advised(painter.model), "num_steps": 4, "solver": "euler", "size": [64, 64]}
    way = by_steps(painter.model, painter._backend, painter.read, Asked("a fish", 3, range(2), settings))
    wish, seen = next(way), []
    try:
        while True:
            if isinstance(wish, Progress):
                seen.append(wish)
            wish = way.send(reply(painter._backend, wish))
    except StopIteration as end:
        painted: Painted = end.value
    assert [(one.done, one.total) for one in seen] == [(2, 8), (4, 8), (6, 8), (8, 8)]
    previews = [answer(painter._backend, one.preview) for one in seen if one.preview]
    errors = [float(np.abs(preview - painted.images).max()) for preview in previews]
    assert len(errors) == 4
    assert min(errors[:3]) > 1e-3
    assert errors[3] < 1e-5  # Euler's last step ends at the picture seen from there


def test_a_request_is_refused_before_its_way_begins(tiny_home: Path) -> None:
    painter = pictura.load(tiny_home / "models" / "tiny", device="cpu")
    with pytest.raises(PromptError, match="The prompt is empty"):
        painter.making("")
    with pytest.raises(ConfigError, match=r"No setting is named 'sede'. Did you mean 'seed'\?"):
        painter.making("a fish", sede=3)  # type: ignore[call-arg]


def test_driving_returns_what_the_way_made_and_tells_of_progress() -> None:
    class Adder:
        def add(self, a: int, b: int) -> int:
            return a + b

    def way() -> Way[int]:
        total = yield Call("add", (1, 2))
        yield Progress(1, 2)
        one, two = yield Calls((Call("add", (total, 10)), Call("add", (total, 20))))
        return 100 * one + two

    seen: list[tuple[int, int]] = []
    assert drive(way(), Adder(), lambda done, total: seen.append((done, total))) == 1323
    assert seen == [(1, 2)]
