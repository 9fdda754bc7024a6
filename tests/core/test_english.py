import pytest

from pictura.core.english import plural, singulars
from pictura.data.vocabulary.world import World


@pytest.mark.parametrize(
    ("one", "many"),
    [("dog", "dogs"), ("fox", "foxes"), ("wolf", "wolves"), ("timber wolf", "timber wolves"),
     ("moose", "moose"), ("ox", "oxen"),
     ("policeman", "policemen"), ("caiman", "caimans"), ("puppy", "puppies"), ("donkey", "donkeys"),
     ("bunting", "buntings"), ("goldfish", "goldfish"), ("woman", "women"), ("potato", "potatoes"),
     ("hunting knife", "hunting knives"), ("cup of tea", "cups of tea"), ("beach", "beaches"),
     ("field mouse", "field mice")],
)  # fmt: skip
def test_one_becomes_many_and_is_found_again(one: str, many: str) -> None:
    assert plural(one) == many
    last = many.split()[-1]
    if " of " not in one and one != many:
        assert one.split()[-1] in singulars(last)


def test_plurals_of_the_world_are_those_that_a_person_wrote() -> None:
    said = {t.phrase: t.plural for t in World.load().things if t.plural}
    other = {phrase for phrase, many in said.items() if plural(phrase) != many}
    assert other == {"face with tongue", "face with sunglasses", "thumbs up", "thumbs down"}


@pytest.mark.parametrize("word", ["glass", "dog", "specimen", "is", "men's", ""])
def test_what_is_no_plural_is_of_nothing(word: str) -> None:
    assert singulars(word) == ()
