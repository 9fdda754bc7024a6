"""What is wrong with a prompt, and where: one sentence, and the column for whoever can point at it."""

from pictura.core.errors import PromptError

_LONGEST = 40


class PromptSyntaxError(PromptError):
    """A prompt that does not follow the language."""

    def __init__(self, found: str, column: int, expected: str, hint: str = "") -> None:
        """Say where, what came and what was expected.

        Args:
            found: the piece of the prompt that is wrong.
            column: of its first letter, from 1, in the text as it was typed.
            expected: a clause, such as "expected whole numbers W:H, like 16:9".
            hint: a sentence about what to do, if there is more to say.
        """
        self.found, self.column, self.expected = found, column, expected
        super().__init__(f"`{short(found)}` (column {column}): {expected}." + (f" {hint}" if hint else ""))


def short(text: str) -> str:
    """A piece of a prompt as a message quotes it: on one line, and not all of it if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
