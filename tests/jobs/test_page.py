"""What docs/jobs.md shows is run, and what it says of limits is so."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from pictura.jobs.values import QueueConfig
from tests.jobs.queue_kit import picture

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "jobs.md").read_text(encoding="utf-8")


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fox.png").write_bytes(picture())
    [example] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    names["queue"].database.close()
    assert capsys.readouterr().out == "done\n"


def test_the_limits_are_those_of_the_code() -> None:
    said = {
        name: float(value.replace(",", ""))
        for name, value in re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", PAGE, re.MULTILINE)
    }
    assert said == dataclasses.asdict(QueueConfig())
