"""R-precision, LocalCLIPScore, memorisation, diversity: known answers, chance, and what is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pictura.core.errors import DataError
from pictura.evaluate.metrics.diversity import diversity
from pictura.evaluate.metrics.memorisation import Pair, memorisation
from pictura.evaluate.metrics.retrieval import (
    local_clip_score,
    local_clip_scores,
    r_precision,
    r_precision_hits,
    shuffled,
)

Floats = NDArray[np.float64]


def normal(n: int, d: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, d))


def prompts(num_prompts: int, each: int = 1) -> list[str]:
    return [f"prompt {i}" for i in range(num_prompts) for _ in range(each)]


def test_r_precision_of_perfect_embeddings_is_all() -> None:
    captions = prompts(120, each=2)
    text = np.repeat(normal(120, 16, seed=0), 2, axis=0)  # pictures of one prompt do not compete
    assert r_precision(text * 3, text, np.random.default_rng(0), captions=captions) == 1.0


def test_r_precision_of_unrelated_embeddings_is_one_in_a_hundred() -> None:
    hits = r_precision_hits(
        normal(4000, 32, seed=1), normal(4000, 32, seed=2), np.random.default_rng(0), captions=prompts(4000)
    )
    assert abs(hits.mean() - 0.01) < 3 * np.sqrt(0.01 * 0.99 / 4000)


def test_r_precision_falls_to_chance_when_captions_are_shuffled() -> None:
    captions = prompts(500, each=4)
    text = np.repeat(normal(500, 32, seed=3), 4, axis=0)
    image = text + 0.1 * normal(2000, 32, seed=4)
    rng = np.random.default_rng(0)
    order = shuffled(captions, rng)
    assert r_precision(image, text, rng, captions=captions) > 0.99
    worse = r_precision(image, text[order], rng, captions=[captions[i] for i in order])
    assert worse < 0.02
    assert local_clip_score(image, text) > 2.4
    assert local_clip_score(image, text[order]) < 0.3


def test_a_network_that_says_the_same_of_everything_gets_exactly_chance() -> None:
    same = np.ones((150, 8))
    hits = r_precision_hits(same, same, np.random.default_rng(0), captions=prompts(150))
    assert hits.tolist() == [0.01] * 150


def test_a_tie_with_one_other_counts_a_half() -> None:
    text = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    hits = r_precision_hits(text, text, np.random.default_rng(0), captions=["a", "b", "c"], num_others=2)
    assert hits.tolist() == [0.5, 0.5, 1.0]


def test_the_others_are_every_other_caption_where_there_are_no_more() -> None:
    # Picture i is nearest to caption i + 1: a miss whenever that one competes, which here is always.
    text = np.eye(6)
    hits = r_precision_hits(
        np.roll(text, 1, axis=1), text, np.random.default_rng(0), captions=prompts(6), num_others=5
    )
    assert hits.tolist() == [0] * 6


def test_r_precision_needs_enough_different_captions() -> None:
    image = normal(200, 4, seed=5)
    with pytest.raises(DataError, match=r"R-precision needs 100 different captions; got 50\."):
        r_precision(image, image, np.random.default_rng(0), captions=prompts(50, each=4))
    with pytest.raises(DataError, match=r"Every picture needs its caption: got 200 pictures, 3 captions\."):
        r_precision(image, image, np.random.default_rng(0), captions=["a", "b", "c"])


def test_the_clip_score_is_two_and_a_half_cosines_cut_at_nothing() -> None:
    image = np.array([[2.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    text = np.array([[5.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    assert local_clip_scores(image, text) == pytest.approx([2.5, 2.5 * np.sqrt(0.5), 0.0])


def test_an_embedding_without_direction_is_refused() -> None:
    text = np.array([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(DataError, match=r"The caption embedding in row 1 is zero and has no direction\."):
        local_clip_scores(np.ones((2, 2)), text)
    with pytest.raises(DataError, match=r"The image features hold NaN or infinity, first in row 0 of 2\."):
        local_clip_scores(np.array([[np.nan, 1], [1, 1]]), text)


@pytest.mark.parametrize("seed", range(5))
def test_a_shuffle_gives_every_caption_away(seed: int) -> None:
    captions = ["a"] * 5 + ["b"] * 3 + ["c"] * 2
    order = shuffled(captions, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(10))
    assert all(captions[i] != captions[j] for i, j in enumerate(order))


def test_a_shuffle_that_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match=r"cannot be shuffled: 3 of 5 pictures have the same one"):
        shuffled(["a", "a", "a", "b", "c"], np.random.default_rng(0))


def test_memorisation_finds_an_exact_copy_and_whose_it_is() -> None:
    train, test, generated = normal(300, 12, 6), normal(100, 12, 7), normal(50, 12, 8)
    generated[17] = train[203]
    found = memorisation(generated, train, test, num_pairs=3)
    assert found.copies == 1
    assert found.pairs[0] == Pair(generated=17, train=203, distance=0.0)
    assert [p.distance for p in found.pairs] == sorted(p.distance for p in found.pairs)


def test_new_pictures_of_the_same_world_are_as_near_to_training_as_test_pictures() -> None:
    train, test, generated = normal(400, 6, 9), normal(2000, 6, 10), normal(2000, 6, 11)
    found = memorisation(generated, train, test)
    assert found.expected == 0.05
    assert abs(found.share - 0.05) < 0.02
    assert found.copies == 0
    assert memorisation(generated, train, test, percentile=50).share == pytest.approx(0.5, abs=0.05)


def test_retouched_training_pictures_count_as_memorised() -> None:
    train, test = normal(400, 6, 12), normal(400, 6, 13)
    found = memorisation(train[:100] + 0.01, train, test)
    assert found.share == 1.0
    assert found.copies == 0  # near, but not the same


def test_memorisation_needs_a_yardstick() -> None:
    with pytest.raises(DataError, match=r"at least 20 test pictures; got 5\."):
        memorisation(normal(10, 2, 0), normal(10, 2, 1), normal(5, 2, 2))
    with pytest.raises(DataError, match=r"generated features have width 3, the train ones 2"):
        memorisation(normal(10, 3, 0), normal(10, 2, 1), normal(20, 2, 2))


def test_diversity_is_the_mean_distance_within_a_prompt() -> None:
    features = np.array([[0.0, 0.0], [9.0, 9.0], [3.0, 4.0], [9.0, 9.0], [0.0, 0.0]])
    found = diversity(features, ["a", "b", "a", "b", "a"])
    assert found == pytest.approx({"a": (5 + 0 + 5) / 3, "b": 0.0})


def test_diversity_needs_two_pictures_of_every_prompt() -> None:
    with pytest.raises(DataError, match=r"at least 2 pictures of a prompt; 'b' has one\."):
        diversity(normal(3, 2, 0), ["a", "a", "b"])
    with pytest.raises(DataError, match=r"got 3 pictures, 2 prompts"):
        diversity(normal(3, 2, 0), ["a", "a"])
