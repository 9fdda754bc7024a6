"""What starts without torch, how fast, and that no command is forgotten."""

import subprocess
import sys
import time
from pathlib import Path

import typer

import pictura.cli
from pictura.cli.app import COMMANDS, load_command

SLOW_MACHINE = 4
"""How many times slower than a quiet desktop a busy test machine may be."""


def run(code: str) -> str:
    """Run `code` in a fresh interpreter and return what it prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_pictura_loads_neither_torch_nor_numpy() -> None:
    heavy = "{'torch', 'numpy', 'onnxruntime', 'PIL', 'typer'}"
    assert run(f"import sys, pictura; print({heavy} & set(sys.modules))").strip() == "set()"


def test_help_is_shown_in_half_a_second() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        text = run("import sys; sys.argv = ['pictura', '--help']; import pictura.cli; pictura.cli.main()")
        assert all(f" {name} " in text for name in COMMANDS)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.5 * SLOW_MACHINE


def test_help_imports_no_command() -> None:
    code = (
        "import sys; sys.argv = ['pictura', '--help']\n"
        "import pictura.cli\n"
        "try: pictura.cli.main()\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('torch', 'numpy', 'PIL', 'onnxruntime')"
        " or m.startswith('pictura.cli.') and m != 'pictura.cli.app'))"
    )
    assert run(code).splitlines()[-1] == "[]"


def test_pictures_are_painted_where_there_is_no_torch(tiny_home: Path, tmp_path: Path) -> None:
    code = (
        f"import os, sys; sys.modules['torch'] = None; os.environ['PICTURA_HOME'] = {str(tiny_home)!r}\n"
        f"sys.argv = ['pictura', 'imagine', 'a fox', '--model', 'tiny', '--out', {str(tmp_path)!r}]\n"
        "import pictura.cli; pictura.cli.main()"
    )
    assert len(run(code).splitlines()) == 6  # four pictures, the grid, and what was done
    assert len(list(tmp_path.iterdir())) == 5


def test_every_command_module_is_listed_with_its_own_first_line_of_help() -> None:
    files = {path.stem for path in Path(str(pictura.cli.__file__)).parent.glob("*.py")}
    # The last three are parts of commands.
    assert files - {"__init__", "__main__", "app", "acting", "from_ratings", "imagination"} == set(COMMANDS)
    for name, text in COMMANDS.items():
        command = load_command(name)
        assert command.help, f"pictura {name} has no help"
        assert command.help.strip().splitlines()[0] == text, f"pictura {name}"
    assert isinstance(pictura.cli.app.app, typer.Typer)
