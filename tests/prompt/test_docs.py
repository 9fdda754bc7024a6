"""The page about prompts names every parameter, with its other names and range, and all that is refused."""

import re
from pathlib import Path

from pictura.prompt import PARAMETERS
from pictura.prompt.parameters import ABSENT, NO

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
ROWS = {
    match[1]: line
    for line in PAGE.splitlines()
    if (match := re.match(r"\| `--([a-z]+)[` ]", line)) and line.count("|") == 7
}


def test_every_parameter_has_a_row_with_its_other_names() -> None:
    assert set(ROWS) == {one.name for one in PARAMETERS} | {NO}
    for one in PARAMETERS:
        assert all(f"`--{alias}`" in ROWS[one.name] for alias in one.aliases)
        low, high = (getattr(one.kind, end, None) for end in ("low", "high"))
        if low is not None:
            assert f"| {low} to {high} |" in ROWS[one.name]


def test_what_is_refused_is_listed() -> None:
    listed = PAGE.partition("known and refused")[2].partition("\n\n")[0]
    assert set(re.findall(r"--([a-z]+)", listed)) == set(ABSENT)
