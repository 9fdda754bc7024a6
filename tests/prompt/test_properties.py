"""What holds for every text: it prints as it reads, nothing but a sentence is raised, time is linear."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pictura.core.errors import PromptError
from pictura.prompt import Parameters, ParsedPrompt, Part, count, num_jobs, parse, to_text
from pictura.prompt.parameters import MAX_SEED
from pictura.prompt.permutations import expand

LETTERS = st.text(st.one_of(st.sampled_from("ab ,:-—{}\\/\t3."), st.characters()), max_size=12)
WORDS = LETTERS.map(str.strip).filter(bool)
WEIGHTS = st.floats(0.5, 10_000) | st.integers(1, 9).map(float) | st.floats(-0.1, 0.5)
BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Other programs may keep the machine from being quick."""
PARAMETERS = st.builds(
    Parameters,
    no=st.lists(WORDS, max_size=3).map(tuple),
    aspect=st.none() | st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)),
    chaos=st.none() | st.integers(0, 100),
    seed=st.none() | st.integers(0, MAX_SEED),
    stylize=st.none() | st.integers(0, 1000),
    weird=st.none() | st.integers(0, 3000),
    tile=st.booleans(),
    quality=st.none() | st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]),
    stop=st.none() | st.integers(10, 100),
    repeat=st.none() | st.integers(1, 40),
    raw=st.booleans(),
    model=st.none() | st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,8}", fullmatch=True),
)
PIECES = st.sampled_from(
    [
        "a fox",
        "::",
        "::2",
        " ",
        "--",
        "—",
        "--ar 3:2",
        "--no",
        "{",
        "}",
        ",",
        "\\",
        "--seed 5",
        "3",
        ":",
        "http://a",
    ]
)
SYNTAX = st.lists(PIECES | LETTERS, max_size=20).map("".join)


def read_or_refused(text: str) -> list[ParsedPrompt] | PromptError:
    try:
        return parse(text)
    except PromptError as error:
        return error


@BUSY
@given(st.lists(st.builds(Part, WORDS, WEIGHTS), min_size=1, max_size=4), PARAMETERS)
def test_a_request_prints_as_text_that_reads_as_the_same_request(
    parts: list[Part], given: Parameters
) -> None:
    try:
        prompt = ParsedPrompt(tuple(parts), given)
    except PromptError:  # weights that add up to nothing
        assume(False)
    assert parse(to_text(prompt)) == [prompt]


@settings(BUSY, max_examples=300)
@given(SYNTAX)
def test_any_text_is_read_or_refused_in_a_sentence_and_prints_as_it_reads(text: str) -> None:
    found = read_or_refused(text)
    if isinstance(found, PromptError):
        assert len(str(found).splitlines()) == 1
        assert 1 <= getattr(found, "column", 1) <= len(text) + 1
        return
    assert len(found) == count(text) <= num_jobs(found) <= 40
    for prompt in found:
        assert parse(to_text(prompt)) == [prompt]
        assert sum(share for _, share in prompt.shares()) == pytest.approx(1, abs=1e-6 * len(prompt.shares()))


@BUSY
@given(SYNTAX)
def test_the_count_is_told_before_any_line_is_made(text: str) -> None:
    try:
        number = count(text)
    except PromptError:
        return
    if number <= 100:
        assert len(expand(text)) == number


def lines_run(work: Callable[[], Any]) -> int:
    """How many lines of ours run while something works; not those of what is cleared meanwhile."""
    run = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal run
        if "pictura" not in frame.f_code.co_filename:
            return None
        run += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except PromptError:
        pass
    finally:
        sys.settrace(before)
    return run


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a ",
        "a::",
        "::1",
        "-",
        "--",
        " --x",
        "—",
        " --no a",
        "{",
        "}",
        "{a}",
        "\\{",
        ",",
        "{a,b",
        "{,",
        ":",
        "https://",
    ],
)
def test_time_is_linear_whatever_is_typed(piece: str) -> None:
    def steps(num: int) -> int:
        text = "{a, " + piece * num + "}"
        return lines_run(lambda: parse(text)) + lines_run(lambda: parse(piece * num))

    few, many = steps(200), steps(400)
    assert many <= 2 * few + 200
    assert many <= 100 * 400 * (len(piece) + 1)
