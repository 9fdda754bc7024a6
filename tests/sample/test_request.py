"""What a painter is asked for: its own settings are taken, those of other ways of painting are refused."""

from pathlib import Path

import pytest

from pictura.core.errors import ConfigError
from pictura.sample.request import advised, check_numbers, choose
from pictura.store.models import EMBEDDED, ModelInfo, read_model


@pytest.fixture
def by_tokens(dalle_home: Path) -> ModelInfo:
    return read_model(dalle_home / "models" / "sharp")


def test_each_way_of_painting_has_its_settings(by_tokens: ModelInfo) -> None:
    flow, one_pass = (read_model(EMBEDDED / name) for name in ("flow", "stackgan"))
    steps = ["num_steps", "guidance_scale", "guidance_interval", "solver", "shift"]
    assert list(advised(flow)) == list(advised(one_pass)) == steps
    assert list(advised(by_tokens)) == ["solver", "temperature", "top_k", "guidance_scale"]
    assert advised(flow)["guidance_interval"] == list(flow.sampling.guidance_interval)


def test_what_is_chosen_replaces_what_is_advised(by_tokens: ModelInfo) -> None:
    chosen = choose(by_tokens, {"temperature": 0.5, "top_k": None, "guidance_scale": None, "given": [3]})
    assert chosen == {**advised(by_tokens), "temperature": 0.5, "given": [3]}
    assert choose(by_tokens, {"num_steps": None, "solver": None}) == advised(by_tokens)


def test_what_a_way_of_painting_lacks_is_named(by_tokens: ModelInfo) -> None:
    for model, way in (
        (by_tokens, "token by token, without steps: leave num_steps (--steps), solver"),
        (
            read_model(EMBEDDED / "flow"),
            "by steps, without tokens: leave temperature (--temperature), given (--c",
        ),
        (
            read_model(EMBEDDED / "stackgan"),
            "in one pass, without steps and guidance: leave num_steps (--steps)",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            choose(model, {"num_steps": 4, "solver": "ab2", "temperature": 1.0, "given": [0]})
        assert str(caught.value).startswith(f"The model {model.name!r} paints {way}")


def test_numbers_out_of_range_are_refused() -> None:
    check_numbers(64, 128)
    check_numbers(4, 4)
    for num, candidates, words in (
        (0, None, "num_images must be from 1 to 64; got 0."),
        (65, None, "num_images must be from 1 to 64; got 65."),
        (4, 3, "candidates must be from 4, the number of pictures to keep, to 128; got 3."),
        (4, 129, "candidates must be from 4, the number of pictures to keep, to 128; got 129."),
    ):
        with pytest.raises(ConfigError) as caught:
            check_numbers(num, candidates)
        assert str(caught.value) == words
