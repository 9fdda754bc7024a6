"""The grammar: a line of text to requests, in this order: braces, parameters, parts and their weights.

    line   := words? parameter*                  {a, b} anywhere makes a line of each choice
    words  := part ('::' weight? part)* ('::' weight?)?
    param  := ('--' | '—') name value?           values run to the next parameter

Time grows with the length of the text, times the lines that its braces make, of which there is a cap.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pictura.core.errors import ConfigError, PromptError, did_you_mean
from pictura.prompt.errors import PromptSyntaxError
from pictura.prompt.lexer import Given, Letters, split
from pictura.prompt.parameters import ABSENT, BY_NAME, NAMES, NO, Parameters
from pictura.prompt.permutations import MAX_COUNT, count, expand
from pictura.prompt.request import MAX_WEIGHT, ParsedPrompt, Part

__all__ = ["MAX_JOBS", "MAX_TEXT", "count", "num_jobs", "parse"]
MAX_TEXT = 8192
"""Letters of a prompt."""
MAX_JOBS = 40
_WEIGHT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_DIGITS = "0123456789"


def parse(text: str, *, max_jobs: int = MAX_JOBS) -> list[ParsedPrompt]:
    """Read a prompt.

    Args:
        text: as a person typed it.
        max_jobs: most jobs that its braces and --repeat may ask for together.

    Returns:
        A request for every choice of the braces; one without braces.

    Raises:
        PromptError: it does not follow the language, or asks for too much. Where a piece of it is wrong, it
            is a `PromptSyntaxError` that knows the column.
    """
    if len(text) > MAX_TEXT:
        raise PromptError(f"The prompt has {len(text)} letters; at most {MAX_TEXT} are allowed.")
    _check_jobs(count(text), max_jobs)
    found = [_line(line, text) for line in expand(text)]
    _check_jobs(num_jobs(found), max_jobs)
    return found


def num_jobs(prompts: Sequence[ParsedPrompt]) -> int:
    """How many jobs prompts ask for: one each, or as often as --repeat says."""
    return sum(prompt.parameters.repeat or 1 for prompt in prompts)


def _check_jobs(jobs: int, max_jobs: int) -> None:
    if jobs > max_jobs:
        many = f"{jobs:,} jobs or more" if jobs == MAX_COUNT else f"{jobs:,} jobs"
        raise PromptError(
            f"The prompt asks for {many}; at most {max_jobs} are allowed. "
            "Leave choices out of its braces, or repeats."
        )


def _line(line: Letters, typed: str) -> ParsedPrompt:
    """One line without braces."""
    _refuse_addresses(line)
    words, given = split(line)
    if not len(words):
        if given:
            raise PromptSyntaxError(f"--{given[0].name}", given[0].column, "expected words before it")
        raise PromptError("The prompt is empty. Say what to paint, such as 'a red fox'.")
    return ParsedPrompt(_parts(words), _parameters(given), typed)


def _refuse_addresses(line: Letters) -> None:
    for word in re.finditer(r"(?<!\S)https?://\S*", line.shape, re.IGNORECASE):
        raise PromptSyntaxError(
            line.text[word.start() : word.end()],
            line.column(word.start()),
            "expected no address, for pictures are uploaded, never fetched",
            "One that is only text is written https\\://.",
        )


@dataclass(slots=True)
class _Parts:
    """Parts as they are found."""

    words: Letters
    start: int = 0
    """Where the part that is being read begins."""
    found: list[Part] = field(default_factory=list)

    def close(self, end: int, weight: float) -> None:
        """End a part before `end`."""
        inside = self.words.cut(self.start, end)
        if not len(inside):
            raise PromptSyntaxError("::", self.words.column(end), "expected words before it")
        self.found.append(Part(inside.text, weight))


def _parts(words: Letters) -> tuple[Part, ...]:
    """Words to parts."""
    parts, i = _Parts(words), 0
    while i < len(words):
        if words.shape[i] == ":" and words.shape.startswith("::", i):
            weight, behind = _weight(words, i + 2)
            parts.close(i, weight)
            parts.start = i = behind
        else:
            i += 1
    if len(words.cut(parts.start, len(words))):
        parts.close(len(words), 1.0)
    return tuple(parts.found)


def _weight(words: Letters, i: int) -> tuple[float, int]:
    """The weight that begins at letter `i`, 1 if none does, and where it ends."""
    if not _begins_number(words.shape, i):
        return 1.0, i
    end = i
    while end < len(words) and not words.shape[end].isspace() and words.shape[end] != ":":
        end += 1
    text = words.text[i:end]
    if not _WEIGHT.fullmatch(text) or abs(float(text)) > MAX_WEIGHT:
        raise PromptSyntaxError(
            f"::{text}",
            words.column(i - 2),
            f"expected a weight from -{MAX_WEIGHT} to {MAX_WEIGHT} and a space behind it, like ::2 or ::-0.5",
            "Words that begin with a digit have a space before them.",
        )
    return float(text), end


def _begins_number(shape: str, i: int) -> bool:
    """Whether a number begins at letter `i`: a digit does, behind a sign or a point too."""
    if shape[i : i + 1] in ("+", "-"):
        i += 1
    if shape[i : i + 1] == ".":
        i += 1
    return i < len(shape) and shape[i] in _DIGITS


def _parameters(given: Sequence[Given]) -> Parameters:
    values: dict[str, Any] = {}
    no: list[str] = []
    for one in given:
        if one.name == NO:
            no += _items(one)
            continue
        parameter = BY_NAME.get(one.name)
        if parameter is None:
            raise _unknown(one)
        if parameter.key in values:
            raise PromptSyntaxError(one.whole, one.column, f"expected --{parameter.name} only once")
        value = parameter.kind.read(one.value.text)
        if value is None:
            raise PromptSyntaxError(one.whole, one.column, parameter.kind.expected, _stray(one))
        values[parameter.key] = value
    try:
        return Parameters(no=tuple(no), **values)
    except ConfigError as error:  # two that do not go together
        raise PromptError(str(error)) from error


def _items(one: Given) -> list[str]:
    """What --no names, parted by commas."""
    shape, starts = one.value.shape, [0]
    starts += [i + 1 for i, letter in enumerate(shape) if letter == ","]
    ends = [*(start - 1 for start in starts[1:]), len(shape)]
    items = [one.value.cut(start, end).text for start, end in zip(starts, ends, strict=True)]
    if "::" in shape or not all(items):
        raise PromptSyntaxError(
            one.whole,
            one.column,
            "expected words with commas between them and no weights, like --no red, text",
        )
    return items


def _stray(one: Given) -> str:
    """A hint where there is more than one word behind a parameter."""
    return "Words to paint stand before the first parameter." if len(one.value.text.split()) > 1 else ""


def _unknown(one: Given) -> PromptSyntaxError:
    """Why there is no such parameter, and which may be meant."""
    whole, name = one.whole, one.name
    if name in ABSENT:
        return PromptSyntaxError(f"--{name}", one.column, f"refused: {ABSENT[name]}")
    letters = next((i for i, letter in enumerate(name) if not letter.isalpha()), len(name))
    if name[:letters] in NAMES:
        rest = name[letters:].lstrip("=: ") or "VALUE"
        return PromptSyntaxError(whole, one.column, f"expected a space, like --{name[:letters]} {rest}")
    hint = did_you_mean(f"--{name[:40]}", [f"--{known}" for known in NAMES if len(known) > 1])
    return PromptSyntaxError(f"--{name}", one.column, "expected a parameter that Pictura knows", hint)
