"""What a CLIP says of pictures and prompts, by the embedded one."""

import pytest
from PIL import Image

from pictura.actions.describing import describe
from pictura.actions.shortening import shorten
from pictura.core.errors import PromptError


def test_four_captions_come_the_nearest_first() -> None:
    found = describe(Image.new("RGB", (64, 64), "red"))
    assert len(found) == 4
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len({one.text for one in found}) == 4
    assert any("red" in one.text for one in found)


def test_a_prompt_of_ones_own_is_taken_where_it_is_near() -> None:
    image = Image.new("RGB", (64, 64), "green")
    own = "a green square and a green background"
    without, with_own = describe(image), describe(image, [own, "a yellow duck"])
    assert own not in [one.text for one in without]
    assert own in [one.text for one in with_own]
    assert "a yellow duck" not in [one.text for one in with_own]


def test_a_word_said_twice_matters_less_than_the_colour() -> None:
    found = shorten("a a a red ball")
    weights = {one.word: one.weight for one in found.words}
    assert [one.word for one in found.words] == ["a", "a", "a", "red", "ball"]
    assert max(weights.values()) == 1
    assert weights["a"] < weights["red"]


def test_shorter_prompts_lose_one_word_after_another_in_their_order() -> None:
    words = ["a", "red", "fox", "on", "a", "dark", "blue", "background", "with", "two", "yellow", "stars"]
    found = shorten(" ".join(words))
    assert len(found.prompts) == 5
    lengths = [len(prompt.split()) for prompt in found.prompts]
    assert lengths == sorted(set(lengths), reverse=True)
    assert max(lengths) < len(words)
    for prompt in found.prompts:
        left = iter(words)
        assert all(word in left for word in prompt.split())


def test_the_lightest_word_goes_first() -> None:
    for prompt in ("red fox on a blue background", "yellow duck beside a house"):
        found = shorten(prompt)
        lightest = min(range(len(found.words)), key=lambda i: found.words[i].weight)
        left = [one.word for i, one in enumerate(found.words) if i != lightest]
        assert lightest > 0, "else the first word would go by chance"
        assert found.prompts[0].split() == left


def test_what_the_clip_does_not_read_weighs_nothing_and_goes_first() -> None:
    found = shorten("a red fox " + "and a quizzaciously xylophonous zzyzx " * 12)
    assert found.words[-1].weight == 0
    assert found.words[1].weight > 0
    assert len(found.prompts[0].split()) < len(found.words)


def test_short_prompts_have_few_shorter_ones_and_a_word_has_none() -> None:
    assert shorten("red fox").prompts in (["red"], ["fox"])
    with pytest.raises(PromptError, match="a single word already"):
        shorten("fox")
    with pytest.raises(PromptError, match="empty"):
        shorten(" ")
