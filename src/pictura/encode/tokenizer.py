"""Byte-level BPE tokenizer of our own captions: a sentence in, token ids out. No torch.

Any text can be written in its tokens, whatever the alphabet, because every byte is one of them.

Source  Sennrich et al. 2016 (arXiv:1508.07909); Provilkov et al. 2020 (arXiv:1910.13267) for dropout, written
        out here because that of the library draws from a generator that nobody can seed.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from pictura.core.errors import ModelError

PAD, START = 0, 1


class Tokenizer:
    """Lower-cases, then splits into byte-pair tokens; every sentence opens with ``<s>``."""

    def __init__(self, inner: tokenizers.Tokenizer, *, max_tokens: int) -> None:
        self._inner = inner
        inner.encode_special_tokens = True  # a caption that says "<s>" is text like any other
        self.max_tokens = max_tokens
        """Most tokens a caption may have, `<s>` included; later ones are cut."""

    @property
    def vocab_size(self) -> int:
        """Number of distinct ids."""
        return self._inner.get_vocab_size()

    @classmethod
    def train(cls, captions: Iterable[str], *, vocab_size: int = 4096, max_tokens: int = 64) -> "Tokenizer":
        """Learn byte pairs from captions."""
        inner = tokenizers.Tokenizer(tokenizers.models.BPE())
        inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
        inner.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=["<pad>", "<s>"],
            initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        inner.train_from_iterator((normalise(c) for c in captions), trainer)
        return cls(inner, max_tokens=max_tokens)

    @classmethod
    def load(cls, path: Path, *, max_tokens: int = 64) -> "Tokenizer":
        """Read a tokenizer file.

        Raises:
            ModelError: the file is missing or is no tokenizer.
        """
        try:
            return cls.from_text(path.read_text(encoding="utf-8"), max_tokens=max_tokens)
        except Exception as error:  # the library raises bare Exception
            raise ModelError(f"{path} should be a tokenizer file, but is not one ({error}).") from error

    @classmethod
    def from_text(cls, text: str, *, max_tokens: int = 64) -> "Tokenizer":
        """Make the tokenizer whose `to_text` gave `text`."""
        return cls(tokenizers.Tokenizer.from_str(text), max_tokens=max_tokens)

    def to_text(self) -> str:
        """The content of a tokenizer file, JSON."""
        return self._inner.to_str()

    def save(self, path: Path) -> None:
        """Write the tokenizer file."""
        path.write_text(self.to_text(), encoding="utf-8")

    def encode(self, text: str) -> list[int]:
        """Ids of one caption, opened by ``<s>``, cut at `max_tokens`."""
        return [START, *self._inner.encode(normalise(text)).ids][: self.max_tokens]

    def encode_at_random(self, text: str, dropout: float, rng: np.random.Generator) -> list[int]:
        """Ids of one caption as `encode` gives them, but for merges that are left out at random.

        Args:
            text: the caption.
            dropout: chance that a merge is left out, each time that one is looked for; 0 is `encode`.
            rng: decides; the same draws give the same ids.
        """
        plain = normalise(text)
        pieces = self._inner.pre_tokenizer.pre_tokenize_str(plain) if plain else []
        ids = [START]
        for piece, _ in pieces:
            ids += [self._vocabulary[part] for part in _merged(piece, self._ranks, dropout, rng)]
        return ids[: self.max_tokens]

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        return self._inner.get_vocab()

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        """Pairs that are merged, by the order in which they were learnt."""
        merges = json.loads(self.to_text())["model"]["merges"]
        pairs = (tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges)
        return {(first, second): rank for rank, (first, second) in enumerate(pairs)}

    def decode(self, ids: Sequence[int]) -> str:
        """The text that ids say, special tokens left out."""
        return self._inner.decode(list(ids), skip_special_tokens=True)

    def count(self, text: str) -> int:
        """How many tokens `text` has before any cut, ``<s>`` included."""
        return 1 + len(self._inner.encode(normalise(text)).ids)

    def places(self, text: str) -> list[tuple[str, list[int]]]:
        """The words of a caption between spaces, each with the places of its tokens in what `encode` gives.

        Words that the cut leaves out are missing; ``<s>`` is of no word.
        """
        plain = normalise(text)
        found: list[tuple[str, list[int]]] = [(word, []) for word in plain.split(" ")]
        ends = [end for _, end in self._inner.encode(plain).offsets]
        for place, end in enumerate(ends[: self.max_tokens - 1], start=1):
            found[plain.count(" ", 0, end)][1].append(place)  # a token of one space opens the next word
        return [(word, places) for word, places in found if places]

    def batch(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Ids of B captions padded to the longest: (B, T) int64, and (B, T) bool, true where a token is."""
        rows = [self.encode(text) for text in texts]
        return pad(rows, max(len(row) for row in rows))


def pad(rows: Sequence[Sequence[int]], length: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Ids of B captions, none longer than `length`: (B, length) int64, and bool, true where a token is."""
    ids = np.full((len(rows), length), PAD, dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return ids, np.arange(length)[None, :] < np.array([len(row) for row in rows])[:, None]


def _merged(
    piece: str, ranks: dict[tuple[str, str], int], dropout: float, rng: np.random.Generator
) -> list[str]:
    """Join the characters of a piece pair by pair, the pair learnt first before the others.

    At each step every pair that could be joined is left out with chance `dropout`. Of the draws only those up
    to the first that is not left out matter, so only these are made.
    """
    parts = list(piece)
    while True:
        found = [(ranks[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in ranks]
        at = next((i for _, i in sorted(found) if rng.random() >= dropout), None)
        if at is None:
            return parts
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, as word lists hold them."""
    return WORD.findall(normalise(text))


def normalise(text: str) -> str:
    """Lower case, composed characters, single spaces: what the tokenizer and the word list see."""
    return " ".join(unicodedata.normalize("NFC", text).lower().split())
