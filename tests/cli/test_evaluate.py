"""`pictura evaluate` from end to end, on a tiny real model: what it writes and says, and how it refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pictura.cli.app import app
from pictura.evaluate import shipped
from pictura.store.models import read_model
from tests.evaluate.eval_kit import benchmark, scorers, write_folder
from tests.tiny_model import make_learnt


@pytest.fixture(autouse=True)
def home(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model `tiny`, and judges that look at colours; what is shipped is tested where it is made."""
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))
    monkeypatch.setattr(shipped, "load_scorers", lambda device: scorers())


def evaluate(out: Path, *args: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", *args, "--out", str(out)])


def captions(folder: Path) -> str:
    """The prompts of the small benchmark as a file of captions."""
    texts = [prompt.text for prompt in benchmark().prompts]
    (folder / "captions.txt").write_text("\n".join(texts))
    return f"captions:{folder / 'captions.txt'}"


def test_a_model_gets_a_line_a_report_and_results(tmp_path: Path) -> None:
    result = evaluate(tmp_path, "tiny", "--limit", "12", "--images", "1")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    assert line.startswith("tiny  glyphbench ")
    assert [word.split()[0] for word in line.split("  ")[2:]] == [
        "single",
        "two",
        "count",
        "colour",
        "position",
        "binding",
    ]
    assert "Only 12 of 553 prompts were asked for" in result.stderr
    said = json.loads((tmp_path / "results.json").read_text())
    assert said["rows"][0]["painting"]["num_painted"] == 12
    assert f"glyphbench {said['rows'][0]['judges'][-1]['overall']['value']:.3f} [" in line
    assert (tmp_path / "report.html").is_file()


def test_run_again_it_paints_nothing_and_says_the_same(tmp_path: Path) -> None:
    args = ("tiny", "--limit", "12", "--images", "1", "--json")
    first, again = (json.loads(evaluate(tmp_path, *args).stdout) for _ in range(2))
    assert (first["rows"][0]["painting"]["num_painted"], again["rows"][0]["painting"]["num_painted"]) == (
        12,
        0,
    )
    assert first["rows"][0]["judges"] == again["rows"][0]["judges"]
    assert [Path(path).name for path in first["files"]] == ["results.json", "report.html"]


def test_base_and_learnt_stand_side_by_side(
    tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    make_learnt(read_model(tiny_home / "models" / "tiny"), tmp_path / "home" / "models" / "learnt")
    tiny = str(tiny_home / "models" / "tiny")
    args = ("learnt", "learnt@0", tiny, "--limit", "12", "--images", "1", "--json")
    found = json.loads(evaluate(tmp_path, *args).stdout)
    learnt, off, base = found["rows"][:3]
    assert [row["name"] for row in (learnt, off, base)] == ["learnt", "learnt@0", "tiny"]
    assert learnt["painting"]["settings"]["strength"] == 100
    assert off["painting"]["settings"]["strength"] == 0
    first, second, third = (
        [Image.open(path).tobytes() for path in sorted((tmp_path / "pictures").glob(f"{name}-*/*/*"))]
        for name in ("learnt", "learnt@0", "tiny")
    )
    assert second == third
    assert first != second
    again = json.loads(evaluate(tmp_path, *args).stdout)
    assert [row["painting"]["num_painted"] for row in again["rows"][:3]] == [0, 0, 0]


def test_a_card_takes_no_scores_of_another_strength(tmp_path: Path) -> None:
    result = evaluate(tmp_path, "tiny@50", "--record")
    assert result.exit_code == 2
    assert "leave @STRENGTH out" in result.stderr
    assert (
        "strength must be 100 for the model 'tiny'" in evaluate(tmp_path, "tiny@50", "--limit", "12").stderr
    )
    assert "No model is named 'tiny@x'" in evaluate(tmp_path, "tiny@x").stderr


def test_folders_of_any_program_stand_beside_models(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "theirs", benchmark(), images=1)
    args = ("tiny", "--on", captions(tmp_path), "--images", "1", "--pictures", str(folder))
    result = evaluate(tmp_path / "out", *args)
    assert result.exit_code == 0, result.output
    assert [line.split("  ")[:2][0] for line in result.stdout.splitlines()] == ["tiny", "theirs"]
    assert all("captions  LocalCLIPScore " in line for line in result.stdout.splitlines())


def test_a_captioned_set_is_the_reference_of_captions(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "theirs", benchmark(), images=1)
    for path in write_folder(tmp_path / "real", benchmark(), noise=30.0).glob("*.png"):
        path.with_suffix(".txt").write_text(path.stem.replace("-", " "))
    args = ("--on", captions(tmp_path), "--images", "1", "--pictures", str(folder), "--json")
    said = json.loads(evaluate(tmp_path / "out", *args, "--reference", str(tmp_path / "real")).stdout)
    assert said["rows"][0]["likeness"][0]["fd"] > 0
    assert said["rows"][2]["name"] == "real pictures"
    assert "in two halves" in said["reference"]["about"]


def test_a_hand_check_is_written_on_request(tmp_path: Path) -> None:
    result = evaluate(tmp_path, "tiny", "--limit", "12", "--images", "1", "--hand-check", "6")
    assert result.exit_code == 0, result.output
    assert len(json.loads((tmp_path / "hand-check.json").read_text())) == 6


def test_recorded_scores_are_in_the_card_and_the_list(
    tmp_path: Path, tiny_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_home, tmp_path / "home")
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("pictura.evaluate.benchmark._glyphbench", lambda: list(benchmark().prompts))
    result = evaluate(tmp_path / "out", "tiny", "--images", "1", "--record", "--json")
    assert result.exit_code == 0, result.output
    model = read_model(tmp_path / "home" / "models" / "tiny")
    model.verify()
    overall = json.loads(result.stdout)["rows"][0]["judges"][-1]["overall"]["value"]
    assert model.metrics["glyphbench"]["overall"] == round(overall, 4)
    listed = CliRunner().invoke(app, ["models"]).stdout
    assert f"glyphbench={overall:.4g}" in listed


def empty(folder: Path) -> str:
    (folder / "empty").mkdir()
    return str(folder / "empty")


def mixed(folder: Path) -> str:
    path = write_folder(folder / "mixed", benchmark(), images=1) / "a-red-fox-1.png"
    Image.open(path).resize((32, 32)).save(path)
    return str(folder / "mixed")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((), 2, "needs a MODEL, or --pictures FOLDER"),
        (("tinny",), 4, "No model is named 'tinny'. Did you mean 'tiny'?"),
        (("tiny", "--on", "geneval"), 2, "--on is glyphbench or captions:PATH; got 'geneval'"),
        (("tiny", "--on", "captions:nowhere.txt"), 3, "nowhere.txt"),
        (("tiny", "--limit", "3"), 2, "--limit must be at least 12"),
        (("tiny", "--record", "--limit", "12"), 2, "needs all 553 prompts; got 12"),
        (("tiny", "--record", "--on", "CAPTIONS"), 2, "writes scores of glyphbench"),
        (("--record", "--pictures", "EMPTY"), 2, "pictures of --pictures have none"),
        (("--pictures", "EMPTY"), 3, "there is no picture in it"),
        (("--pictures", "nowhere"), 3, "there is no such folder"),
        (("--pictures", "MIXED", "--on", "CAPTIONS", "--images", "1"), 3, "23 are 64x64 and 1 are 32x32"),
        (("--pictures", "MIXED"), 3, "553 of 553 prompts lack pictures"),
        (("tiny", "--standard"), 2, "name them with --reference"),
        (("tiny", "--limit", "12", "--images", "1", "--reference", "nowhere"), 3, "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, args: tuple[str, ...], code: int, words: str) -> None:
    made = {"EMPTY": empty, "MIXED": mixed, "CAPTIONS": captions}
    told = [made[arg](tmp_path) if arg in made else arg for arg in args]
    result = evaluate(tmp_path / "out", *told)
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert len(result.stderr) < 400


def test_an_error_is_json_when_json_is_asked_for(tmp_path: Path) -> None:
    result = evaluate(tmp_path, "tinny", "--json")
    assert json.loads(result.stdout)["error"] == "model_not_found"


def run_without(modules: tuple[str, ...], *args: str) -> subprocess.CompletedProcess[str]:
    """`pictura` where some modules are not installed, for real."""
    block = "import sys; " + "; ".join(f"sys.modules[{name!r}] = None" for name in modules)
    code = f"{block}; from pictura.cli import main; main()"
    command = [sys.executable, "-c", code, *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    result = run_without(("torch",), "evaluate", "tiny")
    assert result.returncode == 7
    assert result.stderr == (
        "Error: This command needs torch, which is not installed: pip install 'pictura[train]'\n"
    )
    result = run_without(("torchmetrics",), "evaluate", "tiny", "--standard", "--reference", "x")
    assert (result.returncode, result.stderr[:6]) == (7, "Error:")
    assert "pip install 'pictura[metrics]'" in result.stderr


def test_help_needs_neither_torch_nor_matplotlib() -> None:
    result = run_without(("torch", "matplotlib", "numpy"), "evaluate", "--help")
    assert result.returncode == 0
    assert "--hand-check" in result.stdout
