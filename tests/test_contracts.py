"""Each import contract of pyproject.toml is broken once on purpose, in a copy, and must fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

BREACHES = {
    "upwards": ("core/images.py", "import pictura.data.guard", "Imports point down"),
    "sideways": ("sample/ode.py", "import pictura.data.guard", "Imports point down"),
    "new top folder": ("extras/__init__.py", "", "Imports point down"),
    "family to family": (
        "families/other/__init__.py",
        "import pictura.families.flow.model",
        "No family knows",
    ),
    "torch in data": ("data/guard.py", "import torch", "torch stays where"),
    "torch in a new place": ("pipeline.py", "import torch.nn", "torch stays where"),
    "torch in the tokenizer": ("encode/tokenizer.py", "import torch", "read without torch"),
    "torch in presets": ("families/flow/presets.py", "import torch", "read without torch"),
    "judge B in training": ("train/loop.py", "import pictura.evaluate.judges", "What scores is kept"),
    "judge B in learning": ("learn/__init__.py", "import pictura.evaluate.judges", "What scores is kept"),
    "transformers": ("encode/text_encoder.py", "import transformers", "No foreign model library"),
    "fastapi": ("cli/app.py", "import fastapi", "The web kit"),
    "store in web": ("web/app.py", "from pictura.store import models", "Pages know the API"),
    "nicegui in jobs": ("jobs/worker.py", "import nicegui", "The web kit"),
    "typer in train": ("train/loop.py", "import typer", "The terminal kit"),
    "rich in data": ("data/guard.py", "import rich.progress", "The terminal kit"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts on the copy in `folder`."""
    program = Path(sys.executable).with_name("lint-imports")
    where = {**os.environ, "PYTHONPATH": str(folder / "src")}
    command = [str(program), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, env=where, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources and their contracts."""
    code = shutil.ignore_patterns("__pycache__", "models")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=code)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_named(copy: Path, breach: str) -> None:
    file, line, contract = BREACHES[breach]
    path = copy / "src" / "pictura" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{path.read_text() if path.exists() else ''}\n{line}\n")
    result = lint(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [text for text in result.stdout.splitlines() if " BROKEN" in text]
    assert any(contract in text for text in broken), result.stdout
