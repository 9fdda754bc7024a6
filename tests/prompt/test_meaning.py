"""What parameters ask of a model: settings, strength and jobs; what a family cannot do is refused by name."""

from pathlib import Path
from typing import Any

import pytest

from pictura.core.errors import ConfigError
from pictura.prompt import ParsedPrompt, choices, jobs, parse, strength
from pictura.prompt.meaning import merged
from pictura.store.models import ModelInfo, read_model
from tests.tiny_model import make_learnt


@pytest.fixture(scope="module")
def tiny(tiny_home: Path) -> ModelInfo:
    return read_model(tiny_home / "models" / "tiny")


@pytest.fixture(scope="module")
def learnt(tiny: ModelInfo, tmp_path_factory: pytest.TempPathFactory) -> ModelInfo:
    return make_learnt(tiny, tmp_path_factory.mktemp("learnt") / "learnt")


def one(text: str) -> ParsedPrompt:
    (found,) = parse(text)
    return found


def settings(text: str, model: ModelInfo) -> dict[str, Any]:
    """What a prompt asks for, without how it was typed."""
    found = choices(one(text), model)
    return {name: value for name, value in found.items() if name not in ("typed", "resolved")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("--ar 3:2", {"size": [315, 210]}),
        ("--ar 2:3", {"size": [210, 315]}),
        ("--ar 16:9", {"size": [336, 189]}),
        ("--ar 2:1", {"size": [362, 181]}),
        ("--ar 7:7", {"size": [256, 256]}),
        ("--ar 1000:999", {"size": [256, 256]}),
        ("--seed 5", {"seed": 5}),
        ("--chaos 30 --weird 200 --tile --stop 70", {"chaos": 30, "weird": 200, "tile": True, "stop": 70}),
        ("--quality 1", {}),
        ("--quality .25", {"num_steps": 1}),
        ("--quality 4", {"num_steps": 12}),
        ("--draft", {"num_steps": 3, "size": [128, 128]}),  # which advises 3 steps: a draft is never more
        ("--draft --ar 3:2", {"num_steps": 3, "size": [156, 104]}),
        ("--no red", {"parts": [["fox", 2.0], ["red", -1.0]]}),
        (":: hat::3", {"parts": [["fox", 0.25], ["hat", 0.75]]}),
        ("::3", {}),
    ],
)
def test_each_parameter_sets_what_it_is_about(tiny: ModelInfo, text: str, expected: dict[str, Any]) -> None:
    assert settings("fox" + ("" if text.startswith("::") else " ") + text, tiny) == expected


def test_how_a_prompt_was_typed_is_told_unless_it_is_plain_words(tiny: ModelInfo) -> None:
    (_, second) = parse("a {red, blue} fox --c 5 --repeat 2")
    told = choices(second, tiny)
    assert told["typed"] == "a {red, blue} fox --c 5 --repeat 2"
    assert told["resolved"] == "a blue fox --chaos 5"
    assert choices(one(" a fox "), tiny) == {}


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        ("", None),
        ("--stylize 0", 0),
        ("--stylize 60", 60),
        ("--stylize 100", 100),
        ("--stylize 550", 150),
        ("--stylize 1000", 200),
        ("--raw", 30),
        ("--raw --stylize 50", 15),
    ],
)
def test_stylize_scales_what_was_learnt(learnt: ModelInfo, text: str, percent: float | None) -> None:
    assert strength(one(f"fox {text}"), learnt) == percent


def test_without_anything_learnt_there_is_nothing_to_stylize(tiny: ModelInfo) -> None:
    assert strength(one("fox"), tiny) is None
    assert strength(one("fox --stylize 100"), tiny) == 100  # as it is
    with pytest.raises(ConfigError, match=r"^--stylize: the model 'tiny' learnt nothing on top of its base"):
        strength(one("fox --stylize 50"), tiny)
    with pytest.raises(ConfigError, match=r"^--raw: the model"):
        strength(one("fox --raw"), tiny)


def test_repeats_are_jobs_whose_seeds_go_up_by_one() -> None:
    found = list(jobs(one("fox --repeat 3 --seed 4294967294")))
    assert [job.parameters.seed for job in found] == [2**32 - 2, 2**32 - 1, 0]
    assert [job.parameters.repeat for job in found] == [None] * 3
    assert [job.parameters.seed for job in jobs(one("fox --repeat 2"))] == [None, None]
    assert list(jobs(one("fox"))) == [one("fox")]


BY_STEPS = {
    "--no red": "--no",
    ":: hat": "weights (::)",
    "--chaos 5": "--chaos",
    "--weird 5": "--weird",
    "--tile": "--tile",
    "--quality 2": "--quality",
    "--stop 50": "--stop",
    "--draft": "--draft",
}


@pytest.mark.parametrize("text", BY_STEPS)
def test_what_only_painters_by_steps_do_is_refused_by_the_typed_name(
    gan_home: Path, dalle_home: Path, text: str
) -> None:
    prompt = one("fox" + ("" if text.startswith("::") else " ") + text)
    for path, way in (
        (gan_home / "models/attngan", "in one pass"),
        (dalle_home / "models/sharp", "token by token"),
    ):
        with pytest.raises(ConfigError) as caught:
            choices(prompt, read_model(path))
        assert f"paints {way}: leave {BY_STEPS[text]} out" in str(caught.value)


def test_every_painter_takes_what_is_off_and_what_all_can_do(gan_home: Path, dalle_home: Path) -> None:
    text = "fox --ar 3:2 --seed 3 --chaos 0 --weird 0 --stop 100 --quality 1 --stylize 100"
    for path in (gan_home / "models/stackgan", dalle_home / "models/sharp"):
        found = settings(text, read_model(path))
        assert (found["size"], found["seed"]) == ([315, 210], 3)
        assert strength(one(text), read_model(path)) == 100


def test_what_is_said_twice_or_of_another_painter_is_refused(
    tiny: ModelInfo, learnt: ModelInfo, tiny_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))
    with pytest.raises(ConfigError, match=r"^--seed in the prompt and seed beside it say the same"):
        merged(one("fox --seed 3 --chaos 5"), tiny, 100, {"seed": 4, "chaos": 5, "solver": "ab2"})
    with pytest.raises(ConfigError, match=r"--repeat 2 asks for so many jobs"):
        merged(one("fox --repeat 2"), tiny, 100, {})
    with pytest.raises(ConfigError, match=r"ask for strength 30, but the model was loaded at 100"):
        merged(one("fox --raw"), learnt, 100, {})
    with pytest.raises(ConfigError, match=r"asks for --model flow, but the model here is 'tiny'"):
        merged(one("fox --model flow"), tiny, 100, {})
    assert merged(one("fox --model tiny --seed 3"), tiny, 100, {"solver": "ab2", "chaos": None})["seed"] == 3
