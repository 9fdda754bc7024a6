"""Braces: ``a {red, blue} {fox, cat}`` in, four lines out; how many is known before any is made.

Letters N length of the text, J lines that come out. Time grows with N for `count`, with N J for `expand`.
"""

import itertools
import math
from dataclasses import dataclass, field

from pictura.prompt.errors import PromptSyntaxError
from pictura.prompt.lexer import Letters, joined, letters

MAX_COUNT = 1_000_000
"""Nobody counts beyond it."""
MAX_DEPTH = 16
"""Braces within braces."""
_ESCAPE = "A brace that is text is written \\{ or \\}."


@dataclass(slots=True)
class _Row:
    """Plain letters and choices, one behind the other."""

    items: list["Letters | _Choice"] = field(default_factory=list)
    plain: list[tuple[str, str, int]] = field(default_factory=list)
    """Letters that are not in `items` yet."""

    def flush(self) -> None:
        """Make one run of the letters that came so far."""
        if self.plain:
            texts, shapes, columns = zip(*self.plain, strict=True)
            self.items.append(Letters("".join(texts), "".join(shapes), columns))
            self.plain = []


@dataclass(slots=True)
class _Choice:
    """What stands in one pair of braces."""

    column: int
    rows: list[_Row]


def count(text: str) -> int:
    """How many lines `expand` would make; `MAX_COUNT` stands for that many or more.

    Raises:
        PromptSyntaxError: braces that do not match.
    """
    return _count(_tree(text))


def expand(text: str) -> list[Letters]:
    """Every line, the last choice changing fastest. Call `count` first: there may be very many.

    Raises:
        PromptSyntaxError: braces that do not match.
    """
    return _expand(_tree(text))


def _tree(text: str) -> _Row:
    """Read the braces in one pass."""
    top = _Row()
    rows, choices = [top], list[_Choice]()
    for letter, shape, column in letters(text):
        if shape == "{":
            if len(choices) == MAX_DEPTH:
                raise PromptSyntaxError("{", column, f"expected braces at most {MAX_DEPTH} deep", _ESCAPE)
            choices.append(_Choice(column, [_Row()]))
            rows.append(choices[-1].rows[0])
        elif shape == "}":
            if not choices:
                raise PromptSyntaxError("}", column, "expected an opening brace before this one", _ESCAPE)
            rows.pop().flush()
            _close(choices.pop(), rows[-1])
        elif shape == "," and choices:
            rows.pop().flush()
            choices[-1].rows.append(_Row())
            rows.append(choices[-1].rows[-1])
        else:
            # Within braces a backslash only keeps a comma from parting choices: in a list it parts items.
            kept = letter if choices and letter == "," else shape
            rows[-1].plain.append((letter, kept, column))
    if choices:
        raise PromptSyntaxError("{", choices[-1].column, "expected a closing brace behind it", _ESCAPE)
    top.flush()
    return top


def _close(choice: _Choice, around: _Row) -> None:
    if len(choice.rows) == 1 and not choice.rows[0].items:
        raise PromptSyntaxError(
            "{}", choice.column, "expected something to choose from, like {red, blue}", _ESCAPE
        )
    around.flush()
    around.items.append(choice)


def _count(row: _Row) -> int:
    choices = (item for item in row.items if isinstance(item, _Choice))
    number = 1
    for choice in choices:
        number = min(MAX_COUNT, number * min(MAX_COUNT, sum(map(_count, choice.rows))))
    return number


def _expand(row: _Row) -> list[Letters]:
    """Each way through a row, without the spaces around it where it stands between braces."""
    ways = [
        [item]
        if isinstance(item, Letters)
        else [one.cut(0, len(one)) for inner in item.rows for one in _expand(inner)]
        for item in row.items
    ]
    assert math.prod(map(len, ways)) < MAX_COUNT  # whoever calls has counted
    return [joined(way) for way in itertools.product(*ways)]
