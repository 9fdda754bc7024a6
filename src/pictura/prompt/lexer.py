r"""Letters that know where they were typed: what the language takes for syntax, and what is only text.

A backslash makes one of ``\ { } , : - —`` plain text; before any other letter it is text itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pictura.prompt.errors import PromptSyntaxError

SPECIAL = "\\{},:-—"
"""What a backslash takes the meaning from."""
DASHES = ("--", "—")
"""What opens a parameter. Telephones and word processors write the second for the first."""
_MEANS_NOTHING = "_"


@dataclass(frozen=True, slots=True)
class Letters:
    """A run of letters."""

    text: str
    """What they say."""
    shape: str
    """What they mean: the same letters, but ``_`` where a backslash took the meaning."""
    columns: Sequence[int]
    """Where each was typed, from 1."""

    def __len__(self) -> int:
        return len(self.text)

    def cut(self, start: int, end: int) -> "Letters":
        """Those from `start` up to `end`, without the spaces around them."""
        while start < end and self.shape[start].isspace():
            start += 1
        while end > start and self.shape[end - 1].isspace():
            end -= 1
        return Letters(self.text[start:end], self.shape[start:end], self.columns[start:end])

    def column(self, i: int = 0) -> int:
        """Where letter `i` was typed; behind the last one for an `i` that is too large."""
        if i < len(self.columns):
            return self.columns[i]
        return self.columns[-1] + 1 if self.columns else 1


def joined(pieces: Sequence[Letters]) -> Letters:
    """Pieces one behind the other."""
    return Letters(
        "".join(piece.text for piece in pieces),
        "".join(piece.shape for piece in pieces),
        [column for piece in pieces for column in piece.columns],
    )


def letters(text: str) -> Iterator[tuple[str, str, int]]:
    """(what it says, what it means, column) of every letter, backslashes resolved."""
    i = 0
    while i < len(text):
        letter = text[i]
        if letter == "\\" and i + 1 < len(text) and text[i + 1] in SPECIAL:
            yield text[i + 1], _MEANS_NOTHING, i + 1
            i += 2
        else:
            yield letter, letter, i + 1
            i += 1


@dataclass(frozen=True, slots=True)
class Given:
    """A parameter as it was typed."""

    name: str
    """Without its dashes, lower case."""
    value: Letters
    """All that stands between it and the next one."""
    column: int
    """Of its dashes."""

    @property
    def whole(self) -> str:
        """The parameter with its value, for messages."""
        return f"--{self.name} {self.value.text}".rstrip()


def split(line: Letters) -> tuple[Letters, list[Given]]:
    """The words of a prompt, and the parameters behind them.

    Raises:
        PromptSyntaxError: dashes have no name behind them.
    """
    starts = [i for i in range(len(line)) if _opens(line.shape, i)]
    words = line.cut(0, starts[0] if starts else len(line))
    given = [_given(line, start, end) for start, end in pairwise([*starts, len(line)])]
    return words, given


def _opens(shape: str, i: int) -> bool:
    """Whether a parameter begins at letter `i`. A long dash that stands alone is a dash between words."""
    if i > 0 and not shape[i - 1].isspace():
        return False
    alone = i + 1 >= len(shape) or shape[i + 1].isspace()
    return shape.startswith("--", i) or (shape[i] == "—" and not alone)


def _given(line: Letters, start: int, end: int) -> Given:
    begin = start + (1 if line.shape[start] == "—" else 2)
    behind = begin
    while behind < end and not line.shape[behind].isspace():
        behind += 1
    if behind == begin:
        raise PromptSyntaxError(
            "--",
            line.column(start),
            "expected the name of a parameter right behind the dashes",
            "Dashes that are text are written \\--.",
        )
    return Given(line.text[begin:behind].lower(), line.cut(behind, end), line.column(start))
