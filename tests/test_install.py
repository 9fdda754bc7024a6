"""A fresh environment, from nothing to four pictures, as the first command of the README does it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_a_plain_install_paints_without_torch(tmp_path: Path) -> None:
    """On two cores, download included: four pictures within 90 s, the second call within 6 s."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    command = [
        str(python.with_name("pictura")),
        "imagine",
        "a red fox on a light blue background",
        "--out",
        str(tmp_path / "pictures"),
    ]
    subprocess.run(command, check=True, cwd=tmp_path)
    first = time.perf_counter() - start
    start = time.perf_counter()
    subprocess.run(command, check=True, cwd=tmp_path)
    second = time.perf_counter() - start
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 10
    find_torch = "import importlib.util as u; print(u.find_spec('torch'))"
    found = subprocess.run([python, "-c", find_torch], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "None"
    assert (first < 90, second < 6) == (True, True), f"{first:.0f} s, then {second:.1f} s"
