"""Write docs/cli.md from what `--help` says: python docs/write_cli.py (or `make docs`)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pictura.cli.app import COMMANDS, load_command

PAGE = Path(__file__).with_name("cli.md")
INTRO = """# Commands

Written by `make docs`. Every error is one sentence on stderr and an exit code other than 0; with `--json`
it is `{"error": code, "message": text}` on stdout instead.

"""


def names() -> Iterator[str]:
    """Every command, a group before its own commands."""
    for name in COMMANDS:
        yield name
        inner: dict[str, Any] = getattr(load_command(name), "commands", {})
        yield from (f"{name} {child}" for child in inner)


def help_text(name: str) -> str:
    """What `pictura NAME --help` prints, plain."""
    start = "from pictura.cli import main; main()"
    plain = {**os.environ, "TYPER_USE_RICH": "0", "COLUMNS": "100"}
    command = [sys.executable, "-c", start, *name.split(), "--help"]
    return subprocess.run(command, env=plain, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    PAGE.write_text(
        INTRO + "\n".join(f"## pictura {name}\n\n```text\n{help_text(name)}\n```\n" for name in names()),
        encoding="utf-8",
    )
