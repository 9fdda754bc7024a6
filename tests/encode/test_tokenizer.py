"""The byte-level tokenizer."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictura.core.errors import ModelError
from pictura.encode.tokenizer import START, Tokenizer, normalise

TOKENIZER = Tokenizer.train(["a red fox", "a red car on a blue ball"], vocab_size=300, max_tokens=12)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_becomes_tokens_that_say_it_again(text: str) -> None:
    tokenizer = Tokenizer.from_text(TOKENIZER.to_text(), max_tokens=400)
    ids = tokenizer.encode(text)
    assert ids[0] == START
    assert len(ids) == tokenizer.count(text)
    assert tokenizer.decode(ids).strip() == normalise(text)


def test_case_and_spaces_do_not_matter() -> None:
    assert TOKENIZER.encode("A  Red\tFOX ") == TOKENIZER.encode("a red fox")


def test_the_empty_caption_is_the_start_alone() -> None:
    assert TOKENIZER.encode("") == [START]


def test_long_captions_are_cut_but_counted_whole() -> None:
    text = "a red fox " * 20
    assert len(TOKENIZER.encode(text)) == 12
    assert TOKENIZER.count(text) > 12


@settings(deadline=None)
@given(st.text(max_size=40), st.integers(1, 60))
def test_every_token_but_the_first_has_a_word(text: str, max_tokens: int) -> None:
    tokenizer = Tokenizer.from_text(TOKENIZER.to_text(), max_tokens=max_tokens)
    found = tokenizer.places(text)
    told = [place for _, places in found for place in places]
    assert told == list(range(1, len(tokenizer.encode(text))))
    words = normalise(text).split(" ")
    assert [word for word, _ in found] == words[: len(found)]


def test_a_words_tokens_say_the_word() -> None:
    ids = TOKENIZER.encode("a red xyz, ox")
    said = [
        (word, TOKENIZER.decode([ids[i] for i in at]).strip())
        for word, at in TOKENIZER.places("a red xyz, ox")
    ]
    assert said == [("a", "a"), ("red", "red"), ("xyz,", "xyz,"), ("ox", "ox")]


def test_a_batch_is_padded_to_its_longest() -> None:
    ids, mask = TOKENIZER.batch(["", "a red fox"])
    assert ids.dtype == np.int64
    assert mask.sum(axis=1).tolist() == [1, len(TOKENIZER.encode("a red fox"))]
    assert (ids[~mask] == 0).all()


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json", max_tokens=12)
    assert again.encode("a blue fox") == TOKENIZER.encode("a blue fox")


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json should be a tokenizer file"):
        Tokenizer.load(tmp_path / "tokenizer.json")
