"""The byte-level tokenizer."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictura.core.errors import ModelError
from pictura.encode.tokenizer import START, Tokenizer, normalise

TOKENIZER = Tokenizer.train(["a red fox", "a red car on a blue ball"], vocab_size=300, max_tokens=12)
RNG = np.random.default_rng(0)


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


def test_names_of_special_tokens_are_plain_text() -> None:
    for ids in (TOKENIZER.encode("<s> <pad>"), TOKENIZER.encode_at_random("<s> <pad>", 0.0, RNG)):
        assert min(ids[1:]) > START
        assert TOKENIZER.decode(ids).strip() == "<s> <pad>"


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


def test_without_dropout_merges_are_those_of_encode() -> None:
    for text in ("a red fox", "A  Blue\tball, été ✨", "", "foxfoxfox", "a red fox " * 9):
        assert TOKENIZER.encode_at_random(text, 0.0, RNG) == TOKENIZER.encode(text)
    words = ["".join(RNG.choice(list("abc"), RNG.integers(2, 9))) for _ in range(60)]
    tangled = Tokenizer.train(words, vocab_size=300)  # the order of merges matters here
    for i in range(60):
        text = " ".join(words[i - 1][:5] + words[i] for _ in range(2))
        assert tangled.encode_at_random(text, 0.0, RNG) == tangled.encode(text)


@settings(deadline=None)
@given(st.text(max_size=40), st.floats(0, 1), st.integers(0, 99))
def test_with_dropout_tokens_say_the_same_text_and_depend_on_the_draws_alone(
    text: str, dropout: float, seed: int
) -> None:
    tokenizer = Tokenizer.from_text(TOKENIZER.to_text(), max_tokens=400)
    once, again = (tokenizer.encode_at_random(text, dropout, np.random.default_rng(seed)) for _ in range(2))
    assert once == again
    assert tokenizer.decode(once).strip() == normalise(text)
    assert len(once) >= tokenizer.count(text)


@pytest.mark.parametrize("text", ["a red fox", "a red car on a blue ball"])
def test_dropout_changes_tokens_of_known_words(text: str) -> None:
    found = {tuple(TOKENIZER.encode_at_random(text, 0.3, np.random.default_rng(i))) for i in range(20)}
    assert len(found) > 5


def test_each_merge_is_left_out_as_often_as_asked() -> None:
    tokenizer = Tokenizer.train(["ab"], vocab_size=259, max_tokens=12)  # one merge: a space and a, or a and b
    whole = tokenizer.encode("ab")
    assert len(whole) == 3
    rng = np.random.default_rng(0)
    found = [tokenizer.encode_at_random("ab", 0.25, rng) for _ in range(2000)]
    assert np.mean([ids != whole for ids in found]) == pytest.approx(0.25, abs=0.03)
    assert {tuple(ids) for ids in found if ids != whole} == {tuple(tokenizer.encode_at_random("ab", 1, rng))}


def test_with_dropout_long_captions_are_cut_too() -> None:
    assert len(TOKENIZER.encode_at_random("a red fox " * 20, 0.5, np.random.default_rng(0))) == 12
