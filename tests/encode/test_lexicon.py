"""Words that a painter does not know, read as the nearest that it knows."""

import time
from pathlib import Path

import pytest

from pictura.data.vocabulary.synonyms import Synonyms
from pictura.encode.lexicon import Lexicon, ReadAs, read_as, reread

TINY = """never;thing
|animal|,beast,
0|dog|,dog,domestic dog,
1||,hunting dog,
2||,labrador,labrador retriever,
0||,quokka,
|red|,red,
5||,crimson,scarlet,
|ice cream|,ice cream,
7||,gelato,
|rose|,rose,
9||,salmon rose,blush,
5||,blush,
"""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Lexicon:
    table = Lexicon(TINY)
    monkeypatch.setattr(Lexicon, "load", staticmethod(lambda: table))
    return table


def known(words: str) -> dict[str, int]:
    return {word: rank for rank, word in enumerate(words.split())}


@pytest.fixture(scope="module")
def flow() -> dict[str, int]:
    """The words of the shipped painter."""
    path = Path(__file__).resolve().parents[2] / "src/pictura/models/flow/words.txt"
    return known(path.read_text(encoding="utf-8"))


def test_the_nearest_wider_word_that_is_known_is_read(tiny: Lexicon) -> None:
    assert tiny.nearest("labrador", known("dog animal")) == "dog"
    assert tiny.nearest("labrador", known("animal")) == "animal"
    assert tiny.nearest("labrador", known("cat")) is None
    assert tiny.nearest("unheard", known("dog animal")) is None


def test_a_phrase_is_read_where_all_its_words_are_known(tiny: Lexicon) -> None:
    assert tiny.nearest("gelato", known("ice cream")) == "ice cream"
    assert tiny.nearest("gelato", known("ice dog")) is None


def test_known_words_stay_and_unknown_ones_without_a_near_one_too(tiny: Lexicon) -> None:
    assert read_as("a dog and an unheard blob", known("a dog and an")) == ()
    assert reread("A  Dog", ()) == "A  Dog"


def test_number_article_and_possession_are_kept(tiny: Lexicon) -> None:
    words = known("a an two dog dogs ice cream bone 's red")
    for text, expected in {
        "two labradors": "two dogs",
        "A Labrador's bone": "a dog's bone",
        "a gelato": "an ice cream",
        "two gelatos": "two ice cream",  # "creams" is not known
        "labrador retrievers, labrador": "dogs, dog",
    }.items():
        assert reread(text, read_as(text, words)) == expected


def test_a_word_that_describes_a_thing_is_a_colour_or_stays(tiny: Lexicon) -> None:
    words = known("a red rose dog on picture of")
    for text, expected in {
        "a blush dog": "a red dog",
        "a blush on a dog": "a rose on a dog",
        "a crimson": "a red",
        "labrador dog": "labrador dog",
        "labrador picture": "dog picture",
    }.items():
        assert reread(text, read_as(text, words)) == expected


def test_another_form_of_a_known_word_comes_first(tiny: Lexicon) -> None:
    words = known("balls box smiling a b c d e f g")
    pairs = read_as("ball boxes smiled", words)
    assert pairs == (ReadAs("ball", "balls"), ReadAs("boxes", "box"), ReadAs("smiled", "smiling"))


def test_what_is_read_is_not_read_again_and_parts_of_words_are_left(tiny: Lexicon) -> None:
    pairs = [("cat", "dog"), ("dog", "cat"), ("hot dog", "sausage")]
    assert reread("cat dog cats hot dog cat-like", pairs) == "dog cat cats sausage cat-like"


def test_the_packaged_table_reads_common_words() -> None:
    words = known("dog dogs red blue sailboat car house photo fruit two on background and of a an")
    for text, expected in {
        "a labrador": "a dog",
        "two german shepherds on a crimson background": "two dogs on a red background",
        "an azure brigantine": "a blue sailboat",
        "a limousine": "a car",
        "a cottage and a spaniel": "a house and a dog",
        "a photograph of a mango": "a photo of a fruit",
        "a quark": "a quark",
        "happiness": "happiness",
    }.items():
        assert reread(text, read_as(text, words)) == expected


def test_a_colour_that_a_thing_stands_on_is_its_background() -> None:
    words = known("a an fox two apples on orange light blue white grey background against table and the")
    for text, expected in {
        "a fox on light blue": "a fox on a light blue background",
        "A fox on a light blue, two apples": "a fox on a light blue background, two apples",
        "two apples against orange": "two apples against an orange background",
        "a fox on light gray": "a fox on a light grey background",
        "a fox on an orange": "a fox on an orange",
        "a fox on a white table": "a fox on a white table",
        "a fox on a light blue background": "a fox on a light blue background",
        "a fox on green": "a fox on green",  # a colour that this painter does not know
    }.items():
        assert reread(text, read_as(text, words)) == expected
    assert read_as("a fox on white", words) == (ReadAs("on white", "on a white background"),)
    assert read_as("a fox on white", known("a fox on white")) == ()


def test_most_held_out_synonyms_are_read_as_what_they_mean(flow: dict[str, int]) -> None:
    pairs = [(word, thing) for thing, words in Synonyms.load().held_out.items() for word in words]
    unknown = [pair for pair in pairs if read_as(pair[0], flow) or pair[0] not in flow]
    right = sum(reread(word, read_as(word, flow)) == thing for word, thing in unknown)
    assert right / len(unknown) > 0.6


def test_the_table_is_small_and_quick() -> None:
    path = Path(__file__).resolve().parents[2] / "src/pictura/encode/lexicon-1.txt.z"
    assert path.stat().st_size <= 300_000
    Lexicon.load()
    start = time.process_time()
    for _ in range(20):
        read_as("a quokka", known("dog"))
    assert (time.process_time() - start) / 20 < 0.02
