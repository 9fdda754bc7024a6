"""The kinds of values that parameters take: how each is read, checked and printed."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

MAX_DIGITS = 18
_WHOLE = re.compile(r"[0-9]+")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_NAME = re.compile(r"\w[\w.-]*")
_RATIO = re.compile(r"([0-9]+):([0-9]+)")


class Kind(Protocol):
    """What a parameter takes."""

    @property
    def expected(self) -> str:
        """A clause for messages: "expected a whole number from 0 to 100"."""
        ...

    def read(self, text: str) -> Any:
        """The value that a text says, or None."""
        ...

    def allows(self, value: Any) -> bool:
        """Whether a value is one of this kind."""
        ...

    def show(self, value: Any) -> str:
        """The text that `read` makes `value` of."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number of a range, both ends included."""

    low: int
    high: int

    @property
    def expected(self) -> str:
        """The range."""
        return f"expected a whole number from {self.low} to {self.high}"

    def read(self, text: str) -> int | None:
        """Digits alone."""
        if len(text) > MAX_DIGITS or not _WHOLE.fullmatch(text):
            return None
        return int(text) if self.allows(int(text)) else None

    def allows(self, value: Any) -> bool:
        """Whether it is in the range."""
        return type(value) is int and self.low <= value <= self.high

    def show(self, value: int) -> str:
        """Its digits."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Between:
    """A decimal number of a range, both ends included."""

    low: float
    high: float

    @property
    def expected(self) -> str:
        """The range."""
        return f"expected a number from {number(self.low)} to {number(self.high)}"

    def read(self, text: str) -> float | None:
        """``.5`` and ``0.5`` are the same."""
        if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
            return None
        return float(text) if self.allows(float(text)) else None

    def allows(self, value: Any) -> bool:
        """Whether it is in the range."""
        return type(value) is float and self.low <= value <= self.high

    def show(self, value: float) -> str:
        """As short as it goes."""
        return number(value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some numbers."""

    numbers: Sequence[float]

    @property
    def expected(self) -> str:
        """Which."""
        shown = [self.show(number) for number in self.numbers]
        return f"expected {', '.join(shown[:-1])} or {shown[-1]}"

    def read(self, text: str) -> float | None:
        """``.5`` and ``0.5`` are the same."""
        if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
            return None
        return float(text) if self.allows(float(text)) else None

    def allows(self, value: Any) -> bool:
        """Whether it is one of them."""
        return type(value) is float and value in self.numbers

    def show(self, value: float) -> str:
        """As short as it goes."""
        return number(value)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Width to height in whole numbers."""

    high: int

    @property
    def expected(self) -> str:
        """The form, and the largest number if one was too large."""
        return f"expected whole numbers W:H, like 16:9, each from 1 to {self.high}"

    def read(self, text: str) -> tuple[int, int] | None:
        """``16:9``."""
        match = _RATIO.fullmatch(text)
        if not match or len(text) > MAX_DIGITS:
            return None
        ratio = int(match[1]), int(match[2])
        return ratio if self.allows(ratio) else None

    def allows(self, value: Any) -> bool:
        """Whether both are numbers of the range."""
        whole = Whole(1, self.high)
        return isinstance(value, tuple) and len(value) == 2 and all(map(whole.allows, value))

    def show(self, value: tuple[int, int]) -> str:
        """``16:9``."""
        return f"{value[0]}:{value[1]}"


@dataclass(frozen=True, slots=True)
class Name:
    """One word that names something."""

    expected: str

    def read(self, text: str) -> str | None:
        """Letters, digits, ``.``, ``_`` and ``-``: no path leads out of the folder of models."""
        return text if _NAME.fullmatch(text) else None

    def allows(self, value: Any) -> bool:
        """Whether it is such a word."""
        return isinstance(value, str) and self.read(value) is not None

    def show(self, value: str) -> str:
        """Itself."""
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """Something that is on where it stands."""

    expected: str = "expected no value"

    def read(self, text: str) -> bool | None:
        """Nothing stands behind it."""
        return None if text else True

    def allows(self, value: Any) -> bool:
        """On, or off."""
        return isinstance(value, bool)

    def show(self, value: bool) -> str:
        """Nothing is printed behind it."""
        return ""


def number(value: float) -> str:
    """The shortest decimal number that reads as `value`, without an exponent."""
    if math.isfinite(value) and value == int(value):
        return str(int(value))
    return format(Decimal(repr(value)), "f")
