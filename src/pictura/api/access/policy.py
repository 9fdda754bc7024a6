"""What an administrator set for all: words that prompts must not hold, and whether files carry metadata.

Kept in the table of settings, and read anew at most every few seconds.
"""

import re
import threading
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pictura.core.errors import ConfigError, PolicyError
from pictura.store.database import Database
from pictura.store.tables import Setting

KEY = "policy"
MAX_WORDS = 5000
LONGEST_WORD = 100
FRESH_S = 2.0
Mode = Literal["off", "warn", "block"]
MODES: tuple[Mode, ...] = ("off", "warn", "block")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The settings."""

    mode: Mode = "off"
    """Whether prompts with such words are let be, painted with a warning, or refused."""
    words: tuple[str, ...] = ()
    """Words, or phrases of words; whole words count, in any case and any width of letters."""
    metadata: bool = True
    """Whether picture files that leave the studio say how they were painted."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"A policy's mode is one of {', '.join(MODES)}; got {self.mode!r}.")
        if len(self.words) > MAX_WORDS or any(len(word) > LONGEST_WORD for word in self.words):
            raise ConfigError(
                f"A policy has at most {MAX_WORDS} words of at most {LONGEST_WORD} letters; got more."
            )
        if empty := [word for word in self.words if not _words(word)]:
            raise ConfigError(f"A word of a policy needs letters or digits; got {empty[0]!r}.")

    def check(self, texts: Iterable[str]) -> list[str]:
        """Look through what shall be painted.

        Returns:
            Sentences of warning.

        Raises:
            PolicyError: it is not allowed.
        """
        if self.mode == "off":
            return []
        phrases = {tuple(_words(word)) for word in self.words}
        lengths = {len(phrase) for phrase in phrases}
        found = any(
            tuple(words[i : i + length]) in phrases
            for words in map(_words, texts)
            for length in lengths
            for i in range(len(words) - length + 1)
        )
        if found and self.mode == "block":
            raise PolicyError(
                "The prompt holds words that this studio's administrator does not allow. "
                "Ask for something else."
            )
        warning = "The prompt holds words that this studio's administrator asks to avoid."
        return [warning] if found else []


class PolicyKeeper:
    """The settings as the database has them, a few seconds old at most."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._policy = Policy()

    def get(self) -> Policy:
        """The settings of now."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                with self._database.read() as session:
                    row = session.get(Setting, KEY)
                self._keep(_policy(row.value if row else {}))
            return self._policy

    def set(self, policy: Policy) -> None:
        """Change the settings for all."""
        with self._lock:
            with self._database.write() as session:
                value = {**asdict(policy), "words": list(policy.words)}
                session.merge(Setting(key=KEY, value=value, changed_at=self._database.now(session)))
            self._keep(policy)

    def _keep(self, policy: Policy) -> None:
        self._policy, self._read_at = policy, time.monotonic()


def _policy(value: Mapping[str, Any]) -> Policy:
    return Policy(**{**value, "words": tuple(value.get("words", ()))})


def _words(text: str) -> list[str]:
    """Letters and digits that belong together, all in one case, without what nobody sees."""
    plain = unicodedata.normalize("NFKC", text)
    seen = "".join(letter for letter in plain if unicodedata.category(letter) != "Cf")
    return _WORD.findall(seen.casefold())
