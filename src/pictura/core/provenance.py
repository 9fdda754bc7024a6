"""On what and from which code numbers were made: for results, reports and cards."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def commit() -> str | None:
    """The commit of the repository that this code lies in, with "+" where the code was changed since.

    Returns:
        12 hex digits, or None where this is no checkout or git is missing.
    """
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None  # a repository around an installed package is not ours
    found = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", str(HERE.parent))
    return f"{found}+" if found and changed else found


def machine(*, gpu: str | None = None) -> dict[str, Any]:
    """What computes here, in words and numbers; `gpu` is the name of one that was used."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "system": platform.system(),
    }


def _git(*words: str) -> str | None:
    try:
        found = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=True)  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
