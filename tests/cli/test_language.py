"""`pictura imagine` with the prompt language: jobs, their count, their files, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pictura.cli.app import app
from pictura.store.metadata import read_metadata
from pictura.store.models import read_model
from tests.tiny_model import make_learnt


@pytest.fixture(autouse=True)
def _home(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))


def imagine(out: Path, *args: str) -> Result:
    return CliRunner().invoke(app, ["imagine", *args, "--n", "1", "--steps", "1", "--out", str(out)])


def told(out: Path, *args: str) -> dict[str, Any]:
    result = imagine(out, *args, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(result: Result, words: str) -> None:
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert result.stdout == ""


def test_parameters_stand_in_the_prompt(tmp_path: Path) -> None:
    said = told(tmp_path, "a red fox --no ball --chaos 20 --ar 3:2 --seed 7 --model tiny")
    assert (said["seed"], said["model"], said["prompt"]) == (7, "tiny", "a red fox")
    settings = said["settings"]
    assert (settings["chaos"], settings["size"]) == (20, [315, 210])
    assert settings["parts"] == [["a red fox", 2.0], ["ball", -1.0]]
    assert said["pictures"] == [str(tmp_path / "a-red-fox-7-1.png")]


def test_braces_make_jobs_whose_number_is_told_first(tmp_path: Path) -> None:
    result = imagine(tmp_path, "a {red, blue} fox --seed {7, 8} --model tiny")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[0] == "4 jobs, 4 pictures."
    names = {f"a-{colour}-fox-{seed}-1.png" for colour in ("red", "blue") for seed in (7, 8)}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_jobs_that_share_words_and_seed_lie_side_by_side(tmp_path: Path) -> None:
    said = told(tmp_path, "a fox --seed 7 --chaos {0, 50} --model tiny")
    assert [Path(job["pictures"][0]).name for job in said["jobs"]] == ["a-fox-7-1.png", "a-fox-7-run2-1.png"]
    plain, bent = ((tmp_path / name).read_bytes() for name in ("a-fox-7-1.png", "a-fox-7-run2-1.png"))
    assert plain != bent


@pytest.mark.parametrize("args", [("a fox --repeat 2 --seed 7",), ("a fox --repeat 2", "--seed", "7")])
def test_repeats_count_seeds_up_wherever_the_seed_stands(tmp_path: Path, args: tuple[str, ...]) -> None:
    said = told(tmp_path, *args, "--model", "tiny")
    assert [job["seed"] for job in said["jobs"]] == [7, 8]


def test_a_dry_run_paints_nothing(tmp_path: Path) -> None:
    result = imagine(tmp_path / "out", "a {red, blue} fox --r 2", "--dry-run")
    assert result.stdout.splitlines() == ["4 jobs, 4 pictures.", *["a red fox"] * 2, *["a blue fox"] * 2]
    assert told(tmp_path / "out", "a fox --c 5", "--dry-run") == {"num_jobs": 1, "jobs": ["a fox --chaos 5"]}
    assert not (tmp_path / "out").exists()


def test_a_picture_of_the_language_paints_itself_again(tmp_path: Path) -> None:
    text = "a {red, blue} fox:: a ball --chaos 20 --tile --weird 5 --seed 7 --model tiny"
    first = Path(told(tmp_path / "a", text)["jobs"][1]["pictures"][0])
    assert read_metadata(first)["settings"]["typed"] == text
    result = CliRunner().invoke(app, ["imagine", "--from", str(first), "--out", str(tmp_path / "b")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "b" / first.name).read_bytes() == first.read_bytes()


def test_stylize_loads_the_model_at_its_strength(
    tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_learnt(read_model(tiny_home / "models" / "tiny"), tmp_path / "home" / "models" / "learnt")
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    said = told(tmp_path / "out", "a fox --seed 7 --stylize {0, 50} --model learnt")
    assert [job["settings"]["strength"] for job in said["jobs"]] == [0, 50]
    by_option = told(tmp_path / "other", "a fox --seed 7", "--strength", "50", "--model", "learnt")
    assert by_option["settings"]["strength"] == 50
    refused(imagine(tmp_path, "a fox --raw --model learnt", "--strength", "50"), "choose the strength")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("a fox --ar 16x9",), "`--ar 16x9` (column 7): expected whole numbers W:H, like 16:9"),
        (("a fox{,}{,}{,}{,}{,}{,}",), "asks for 64 jobs; at most 40"),
        (("a fox{,}{,}", "--max-jobs", "3"), "asks for 4 jobs; at most 3"),
        (("a fox --seed 3 --model tiny", "--seed", "4"), "--seed in the prompt and seed beside it"),
        (("a fox --quality 2 --model tiny",), "--quality or --draft in the prompt and num_steps beside it"),
        (("a fox --model tiny", "--model", "tiny"), "The model is chosen in the prompt and by --model"),
        (
            ("a {fox --model tiny, ball --stylize 5 --model tiny}",),
            "--stylize: the model 'tiny' learnt nothing",
        ),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_painted(
    tmp_path: Path, args: tuple[str, ...], words: str
) -> None:
    refused(imagine(tmp_path / "out", *args), words)
    assert not (tmp_path / "out").exists()


def test_what_a_family_cannot_do_is_refused_by_name(
    gan_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(gan_home))
    result = CliRunner().invoke(
        app, ["imagine", "a fox --tile --chaos 5 --model attngan", "--out", str(tmp_path)]
    )
    refused(result, "The model 'attngan' paints in one pass: leave --chaos, --tile out")
