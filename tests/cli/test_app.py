"""What the command line does with errors, help and machine-readable output."""

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner, Result

from pictura import __version__
from pictura.cli.app import COMMANDS, app
from pictura.core.errors import PromptError


def call(*args: str) -> Result:
    return CliRunner().invoke(app, args)


@pytest.fixture
def fail_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command `fail` that raises the given error."""

    def run(error: BaseException, *args: str) -> Result:
        def command(json: bool = False) -> None:
            """Fail."""
            raise error

        module = ModuleType("pictura.cli.fail")
        module.__dict__["command"] = command
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(COMMANDS, "fail", "Fail.")
        return call("fail", *args)

    return run


def test_help_lists_every_command_with_its_line() -> None:
    result = call("--help")
    assert result.exit_code == 0
    for name, text in COMMANDS.items():
        assert name in result.stdout
        assert text in result.stdout


def test_the_version_is_printed() -> None:
    assert call("--version").stdout.strip() == __version__


def test_an_unknown_command_names_the_nearest() -> None:
    result = call("imagin")
    assert result.exit_code == 2
    assert "Did you mean 'imagine'?" in result.stderr


def test_an_unknown_device_is_never_taken_for_the_cpu() -> None:
    result = call("train", "recipe.toml", "--device", "gpu")
    assert result.exit_code == 2
    assert "'gpu' is not one of" in result.stderr


def test_an_error_for_people_is_one_sentence_and_its_exit_code(fail_with: Callable[..., Result]) -> None:
    result = fail_with(PromptError("The prompt is empty."))
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "Error: The prompt is empty.\n")


def test_an_error_for_programs_is_json_on_stdout(fail_with: Callable[..., Result]) -> None:
    result = fail_with(PromptError("The prompt is empty."), "--json")
    assert (result.exit_code, result.stderr) == (2, "")
    assert json.loads(result.stdout) == {"error": "bad_prompt", "message": "The prompt is empty."}


def test_a_full_disk_is_told_with_the_file(fail_with: Callable[..., Result]) -> None:
    result = fail_with(OSError(errno.ENOSPC, "No space left on device", "out/fox.png"))
    assert result.exit_code == 9
    assert result.stderr == "Error: Cannot write out/fox.png: the disk is full.\n"


def test_a_file_that_may_be_meant_for_reading_is_not_said_to_be_unwritable(
    fail_with: Callable[..., Result],
) -> None:
    result = fail_with(PermissionError(errno.EACCES, "Permission denied", "mine/words.txt"))
    assert result.exit_code == 9
    assert result.stderr == "Error: Cannot open mine/words.txt: permission denied.\n"


def test_a_missing_extra_says_how_to_install_it(fail_with: Callable[..., Result]) -> None:
    result = fail_with(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    assert result.exit_code == 7
    assert "pip install 'pictura[train]'" in result.stderr


def test_an_interrupt_ends_with_130(fail_with: Callable[..., Result]) -> None:
    assert fail_with(KeyboardInterrupt()).exit_code == 130


def test_another_error_is_a_bug_and_keeps_its_traceback(fail_with: Callable[..., Result]) -> None:
    assert isinstance(fail_with(OSError(errno.EIO, "Input/output error")).exception, OSError)
    assert isinstance(
        fail_with(ModuleNotFoundError("No module named 'nothing'", name="nothing")).exception,
        ModuleNotFoundError,
    )


@pytest.mark.parametrize("args", [("models", "--json", "--nonsense"), ("nonsense", "--json")])
def test_wrong_use_is_json_too_when_json_is_asked_for(args: tuple[str, ...]) -> None:
    result = call(*args)
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"] == "bad_usage"
    assert "nonsense" in json.loads(result.stdout)["message"]


def test_doctor_reports_and_exits_by_whether_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    result = call("doctor", "--json")
    report = json.loads(result.stdout)
    problems = [check for check in report["checks"] if check["advice"]]
    assert report["ok"] == (not problems)
    assert result.exit_code == bool(problems)
    names = {check["name"] for check in report["checks"]}
    assert {"pictura", "python", "numpy", "onnxruntime", "extra train", "cores", "cuda", "home"} <= names


def test_doctor_advises_when_home_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "file"))
    result = call("doctor")
    assert result.exit_code == 1
    assert "-> It cannot be written; set PICTURA_HOME to a folder of yours." in result.stdout
