"""Many requests painted at a time, each as if it were alone."""

import gc
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import pictura
from pictura.core.errors import ConfigError, ModelNotFoundError, PromptError
from pictura.engine.engine import Engine, Event, Request
from pictura.engine.models import WarmModels
from pictura.pipeline import Painter, Picture
from pictura.sample.calls import Call

PROMPTS = ["a fish", "a red fox on a blue background", "two cats and a dog left of a very large tree"]


@pytest.fixture(scope="module")
def homes(
    tiny_home: Path, gan_home: Path, dalle_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """One home with a painter of each kind."""
    home = tmp_path_factory.mktemp("homes")
    (home / "models").mkdir()
    for name, here in {"tiny": tiny_home, "attngan": gan_home, "sharp": dalle_home}.items():
        (home / "models" / name).symlink_to(here / "models" / name)
    return home


@pytest.fixture(autouse=True)
def _home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(homes))


@pytest.fixture(scope="module")
def models(homes: Path) -> WarmModels:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PICTURA_HOME", str(homes))
        warm = WarmModels(num_cores=2, num_calls=3)
        warm.painter("tiny")
        return warm


@pytest.fixture
def engine(models: WarmModels) -> Engine:
    return Engine(models)


def ask(name: str = "r", *, model: str = "tiny", prompt: str = "a fish", **more: Any) -> Request:
    about = {key: more.pop(key) for key in ("lane", "num_previews") if key in more}
    choices: Any = {"seed": 1, "num_images": 2, **more}
    if model == "tiny":
        choices.setdefault("num_steps", 3)
    return Request(id=name, prompt=prompt, model=model, choices=choices, **about)


def run(engine: Engine) -> list[Event]:
    events = []
    while not engine.idle:
        events += engine.round()
    return events


def alone(request: Request) -> list[Picture]:
    return pictura.load(request.model, device="cpu").paint(request.prompt, **request.choices)


def pixels(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(picture.image)


def check_as_alone(requests: Sequence[Request], events: Sequence[Event]) -> None:
    for request in requests:
        made = {e.index: e.picture for e in events if e.id == request.id and e.kind == "picture"}
        expected = alone(request)
        assert sorted(made) == list(range(len(expected)))
        for i, picture in enumerate(expected):
            np.testing.assert_array_equal(pixels(picture), pixels(made[i]))  # type: ignore[arg-type]
            assert picture.metadata() == made[i].metadata()  # type: ignore[union-attr]


def test_requests_of_every_kind_are_painted_as_each_alone(engine: Engine) -> None:
    requests = [
        ask("a", num_steps=5, num_images=3),
        ask("b", model="sharp", prompt="a cat", seed=4),
        ask("c", model="attngan", prompt="a dog", seed=5, num_images=1),
        ask("d", prompt=PROMPTS[2], guidance_scale=1.0, seed=9, first=4),
    ]
    for request in requests:
        engine.add(request)
    events = run(engine)
    check_as_alone(requests, events)
    for request in requests:
        kinds = [event.kind for event in events if event.id == request.id]
        assert kinds[0] == "started"
        assert kinds[-1] == "done"
        assert kinds.count("done") == kinds.count("started") == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whoever_joins_or_leaves_changes_no_picture(engine: Engine, data: st.DataObject) -> None:
    num = data.draw(st.integers(2, 4))
    joins = [data.draw(st.integers(0, 6)) for _ in range(num)]
    leaves = [data.draw(st.one_of(st.none(), st.integers(1, 9))) for _ in range(num)]
    requests = [
        ask(
            f"r{i}",
            prompt=data.draw(st.sampled_from(PROMPTS)),
            num_steps=data.draw(st.integers(1, 4)),
            seed=i,
            num_images=data.draw(st.integers(1, 2)),
            guidance_scale=data.draw(st.sampled_from([1.0, 3.0])),
        )
        for i in range(num)
    ]
    events: list[Event] = []
    for moment in range(30):
        for i, request in enumerate(requests):
            if joins[i] == moment:
                engine.add(request)
            if leaves[i] == moment:
                engine.cancel(request.id)
        events += engine.round()
    events += run(engine)
    done = {event.id for event in events if event.kind == "done"}
    assert all(request.id in done for request, leave in zip(requests, leaves, strict=True) if leave is None)
    check_as_alone([request for request in requests if request.id in done], events)


def test_a_cancelled_request_is_gone_before_the_next_call(engine: Engine) -> None:
    engine.add(ask("gone", num_steps=50))
    engine.add(ask("kept"))
    engine.round()
    ways = [weakref.ref(unit.way) for unit in engine._open["gone"].units]
    engine.cancel("gone")
    events = run(engine)
    assert {event.id for event in events} == {"kept"}
    gc.collect()
    assert [way() for way in ways] == [None, None]
    engine.cancel("nobody")


def test_a_call_that_fails_ends_its_own_request_alone(
    engine: Engine, models: WarmModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = models.painter("tiny").backend
    plain = backend.velocity

    def velocity(x_t: Any, t: Any, cond: Any) -> Any:
        if cond.tokens.shape[1] > 8:
            raise MemoryError("too long")
        return plain(x_t, t, cond)

    monkeypatch.setattr(backend, "velocity", velocity)
    requests = [ask("bad", prompt=PROMPTS[2]), ask("good", prompt="a fish")]
    for request in requests:
        engine.add(request)
    events = run(engine)
    (failed,) = [event for event in events if event.kind == "failed"]
    assert failed.id == "bad"
    assert str(failed.error) == "too long"
    assert [event.kind for event in events if event.id == "bad"][-1] == "failed"
    check_as_alone([requests[1]], events)


def test_what_cannot_be_painted_is_refused_at_once(engine: Engine) -> None:
    with pytest.raises(PromptError, match="The prompt is empty"):
        engine.add(ask(prompt=" "))
    with pytest.raises(ModelNotFoundError, match="No model is named 'tinny'"):
        engine.add(ask(model="tinny"))
    with pytest.raises(ConfigError, match="num_images must be from 1 to 64"):
        engine.add(ask(num_images=65))
    assert engine.idle


def test_no_more_units_are_on_than_pay(engine: Engine) -> None:
    engine.add(ask("a", num_images=5))
    engine.round()
    assert len(engine._on) == 3
    assert engine.num_waiting == 2


def test_lanes_go_before_one_another_and_in_order_of_arrival(engine: Engine) -> None:
    for name, lane in [("r", "relax"), ("f1", "fast"), ("d", "draft"), ("f2", "fast")]:
        engine.add(ask(name, lane=lane, num_images=3))
    started = [event.id for event in run(engine) if event.kind == "started"]
    assert started == ["d", "f1", "f2", "r"]


def test_progress_rises_to_the_end_over_all_pictures(engine: Engine) -> None:
    engine.add(ask(num_images=5, num_steps=4))
    told = [(event.done, event.total) for event in run(engine) if event.kind == "progress"]
    assert [total for _, total in told] == [20] * 20
    assert [done for done, _ in told] == list(range(1, 21))


@pytest.mark.parametrize("num", [0, 1, 3])
def test_so_many_previews_are_shown_of_each_picture(engine: Engine, models: WarmModels, num: int) -> None:
    engine.add(ask(num_images=2, num_steps=8, num_previews=num))
    events = [event for event in run(engine) if event.kind == "preview"]
    assert [event.index for event in events].count(0) == [event.index for event in events].count(1) == num
    side = 8 * models.painter("tiny").model.factor
    assert all(event.image and event.image.size == (side, side) for event in events)


def test_a_prompt_is_read_once(engine: Engine, models: WarmModels, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = models.painter("tiny").backend
    plain, read = backend.encode_text, []

    def encode_text(ids: NDArray[np.int64]) -> Any:
        read.append(ids.tolist())
        return plain(ids)

    monkeypatch.setattr(backend, "encode_text", encode_text)
    engine.add(ask(prompt="a never seen word", num_images=4))
    run(engine)
    assert len(read) <= 2  # the prompt, and nothing


def test_models_used_long_ago_are_let_go() -> None:
    warm = WarmModels(num_cores=1, num_calls=1, max_models=1)
    engine = Engine(warm)
    engine.add(ask("a"))
    old = weakref.ref(warm.painter("tiny"))
    engine.add(ask("b", model="attngan", prompt="a dog"))
    assert old() is not None  # still at work
    run(engine)
    gc.collect()
    assert old() is None


def test_a_model_is_let_go_while_another_is_still_at_work() -> None:
    warm = WarmModels(num_cores=1, num_calls=2, max_models=1)
    engine = Engine(warm)
    engine.add(ask("short", num_images=1, num_steps=1))
    old = weakref.ref(warm.painter("tiny"))
    engine.add(ask("long", model="sharp", prompt="a cat"))
    while "short" in engine._open:
        engine.round()
    assert not engine.idle
    gc.collect()
    assert old() is None


class Joining:
    """The tiny model's networks on torch; notes how many rows its calls had."""

    def __init__(self, painter: Painter) -> None:
        from pictura.families.flow.backend import TorchBackend

        self.plain: Any = TorchBackend(painter.model, device="cpu")
        self.rows: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def answer_all(self, calls: Sequence[Call]) -> list[Any]:
        self.rows.append(sum(call.method == "velocity" for call in calls))
        return list(self.plain.answer_all(calls))


def test_a_backend_that_joins_rows_paints_the_same(
    models: WarmModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Painter(models.painter("tiny").model, None)  # type: ignore[arg-type]
    joining = Joining(painter)
    painter._backend = joining
    warm = WarmModels(num_cores=1, num_calls=4)
    monkeypatch.setattr("pictura.engine.models.load", lambda *_, **__: painter)
    engine = Engine(warm)
    requests = [ask(f"r{i}", prompt=prompt, seed=i, num_steps=3 + i) for i, prompt in enumerate(PROMPTS)]
    for request in requests:
        engine.add(request)
    events = run(engine)
    assert max(joining.rows) == 8  # four units, each with and without its prompt
    for request in requests:
        made = {e.index: e.picture for e in events if e.id == request.id and e.kind == "picture"}
        for i, expected in enumerate(alone(request)):
            difference = pixels(expected).astype(int) - pixels(made[i])  # type: ignore[arg-type]
            assert np.abs(difference).max() <= 1
