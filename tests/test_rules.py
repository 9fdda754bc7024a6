"""The rules of tests/conftest.py, tried on a suite of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUITE = """
import pytest

def test_passes(): pass
def test_skips(): pytest.skip("nothing here")
@pytest.mark.slow
def test_slow(): raise AssertionError
def test_shared(shared_data): pass
"""

# Without torch, whose import would take most of the time.
RUN = "import sys; sys.modules['torch'] = None; import pytest; sys.exit(pytest.main())"


def run(folder: Path, *, require_all: str, options: tuple[str, ...] = ()) -> str:
    """Run `SUITE` under the rules, where no shared data lie beside it, and return the closing line."""
    (folder / "checkout" / "tests").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "checkout" / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder / "checkout")
    (folder / "checkout" / "tests" / "test_suite.py").write_text(SUITE)
    result = subprocess.run(
        [sys.executable, "-c", RUN, "-p", "no:cacheprovider", *options],
        cwd=folder / "checkout",
        env={**os.environ, "PICTURA_REQUIRE_ALL": require_all},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip().splitlines()[-1]


def test_a_skip_is_a_skip_on_a_developers_machine(tmp_path: Path) -> None:
    assert run(tmp_path, require_all="0").startswith("1 passed, 2 skipped, 1 deselected in ")


def test_a_skip_is_a_failure_in_ci(tmp_path: Path) -> None:
    assert run(tmp_path, require_all="1").startswith("1 failed, 1 passed, 1 deselected, 1 error in ")


def test_long_proofs_run_on_request(tmp_path: Path) -> None:
    line = run(tmp_path, require_all="1", options=("--soak", "-m", "slow"))
    assert line.startswith("1 failed, 3 deselected in ")
