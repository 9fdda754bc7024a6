"""Wishes to requests: what a prompt and the fields beside it mean together."""

from pathlib import Path
from typing import Any

import pytest

from pictura.api.access.accounts import Who
from pictura.api.access.policy import Policy
from pictura.api.asking.models import Models
from pictura.api.asking.wishes import Wish, resolve
from pictura.api.config import SCOPES, UNLIMITED
from pictura.core.errors import PicturaError

WHO = Who(user_id="u", name="anna", role="admin", scopes=frozenset(SCOPES), limits=UNLIMITED, by="local")


@pytest.fixture
def models(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))
    return Models({"gpt-image-1": "tiny"})


def requests(models: Models, prompt: str, **more: Any) -> list[dict[str, Any]]:
    found = resolve(Wish(prompt=prompt, **more), WHO, models, Policy())
    return [dict(one.request) for one in found.requests]


def test_braces_and_repeats_make_a_job_each_and_seeds_count_up(models: Models) -> None:
    found = requests(models, "a {red, blue} fox --repeat 2 --seed 8 --model tiny")
    assert [one["prompt"] for one in found] == ["a red fox", "a red fox", "a blue fox", "a blue fox"]
    assert [one["choices"]["seed"] for one in found] == [8, 9, 8, 9]
    assert {one["model"] for one in found} == {"tiny"}
    drawn = requests(models, "a fox --repeat 3", model="tiny")
    assert len({one["choices"]["seed"] for one in drawn}) == 3


def test_a_request_is_resolved_and_frozen(models: Models) -> None:
    (one,) = requests(
        models, "a fox::2 grass --no text --ar 2:1", model="tiny", num_images=3, guidance_scale=3
    )
    choices = one["choices"]
    assert (choices["size"], choices["num_images"], choices["guidance_scale"]) == ([362, 181], 3, 3)
    assert [text for text, _ in choices["parts"]] == ["a fox", "grass", "text"]
    assert sum(share for _, share in choices["parts"]) == pytest.approx(1)
    assert one["strength"] == 100.0
    assert one["typed"] == "a fox::2 grass --no text --ar 2:1"


def test_unknown_words_stay_where_that_is_asked(models: Models) -> None:
    assert requests(models, "a kitten", model="tiny", as_written=True)[0]["choices"]["read_as"] == []
    assert "read_as" not in requests(models, "a kitten", model="tiny")[0]["choices"]


def test_without_the_language_a_prompt_is_words(models: Models) -> None:
    (one,) = requests(models, "a {fox} -- b::c --ar 3x2", model="tiny", language=False)
    assert one["prompt"] == "a {fox} -- b::c --ar 3x2"
    assert "parts" not in one["choices"]


def test_fields_join_what_the_prompt_says(models: Models) -> None:
    (one,) = requests(models, "a fox --no text", no=("text", "blur"), tile=True, seed=4, model="tiny")
    assert [text for text, _ in one["choices"]["parts"]] == ["a fox", "text", "blur"]
    assert (one["choices"]["tile"], one["choices"]["seed"]) == (True, 4)
    assert requests(models, "a fox --seed 4", seed=4, model="tiny")[0]["choices"]["seed"] == 4


@pytest.mark.parametrize(
    ("prompt", "more", "sentence"),
    [
        ("a fox --seed 4", {"seed": 5}, "--seed 4 stands in the prompt and seed 5 beside it; give one."),
        ("a fox --ar 2:1", {"size": (64, 64)}, "--ar stands in the prompt and a size beside it; give one."),
        ("a fox --model tiny", {"model": "flow"}, "--model stands in the prompt and another model beside it"),
        ("a fox", {"solver": "ddim"}, "No solver is named 'ddim'."),
        ("a fox", {"temperature": 1.0}, "The model 'tiny' paints by steps, without tokens"),
        ("a fox", {"strength": 50.0}, "strength must be 100 for the model 'tiny'"),
        ("a fox --stylize 300", {}, "--stylize: the model 'tiny' learnt nothing"),
        ("a fox", {"model": "gpt-image-1"}, "No model is named 'gpt-image-1'."),
        ("a fox", {"candidates": 2}, "candidates must be from 4"),
        ("a fox", {"size": (64, 200)}, "at most 2:1"),
    ],
)
def test_what_contradicts_or_cannot_be_is_refused(
    models: Models, prompt: str, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PicturaError) as found:
        requests(models, prompt, **{"model": "tiny", **more})
    assert sentence in str(found.value)


def test_names_of_others_count_where_they_are_spoken(models: Models) -> None:
    (one,) = requests(models, "a fox", model="gpt-image-1", foreign_names=True)
    assert one["model"] == "tiny"
