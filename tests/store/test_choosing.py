"""Questions are new, cover what was shown least, then ask what tells most, and come back turned."""

import random
from collections import Counter

import numpy as np
import pytest
import torch

from pictura.core.errors import ConflictError, NoPairsError, NotFoundError
from pictura.jobs.queue import Queue
from pictura.reward import bradley_terry
from pictura.reward.features import hand_features
from pictura.store.database import Database
from pictura.store.gallery import delete_image
from pictura.store.ratings import belief, choosing
from pictura.store.ratings.choosing import Asked, answer, next_pair
from pictura.store.ratings.events import Rater
from pictura.store.ratings.looks import NUM_LOOKS, looks, looks_of_file
from pictura.store.ratings.stats import raters, stats_of
from pictura.store.tables import Choice, Image, Pair
from tests.jobs.queue_kit import add_users, memory_files
from tests.store.gallery_kit import coloured, paint

FOUR = tuple(coloured(red) for red in (10, 80, 150, 220))
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database, memory_files())


def ask(queue: Queue, user: str, seed: int = 0, model: str | None = None) -> Asked:
    return next_pair(queue.database, queue.files, Rater(user_id=user), model=model, rng=random.Random(seed))


def say(queue: Queue, asked: Asked, choice: Choice) -> Pair:
    return answer(queue.database, asked.pair.user_id, asked.pair.token, choice, None)


def test_a_question_stays_until_it_is_answered_by_whom_it_was_asked(queue: Queue) -> None:
    ann, ben = add_users(queue.database, "ann", "ben")
    paint(queue, ann, "a fox", FOUR)
    asked = ask(queue, ann)
    assert (asked.number, asked.left.prompt, asked.pair.chosen_by) == (1, "a fox", "least_shown")
    assert ask(queue, ann, seed=1).pair.id == asked.pair.id
    for user, token in ((ben, asked.pair.token), (ann, "f" * 32), (ann, "\0")):
        with pytest.raises(NotFoundError, match=r"There is no such pair"):
            answer(queue.database, user, token, "left", None)
    say(queue, asked, "left")
    assert say(queue, asked, "left").choice == "left"  # sent twice
    with pytest.raises(ConflictError, match=r"answered before with 'left'"):
        say(queue, asked, "right")
    again = ask(queue, ann)
    assert again.number == 2
    assert again.pair.id != asked.pair.id
    with pytest.raises(NoPairsError, match=r"no two pictures of one prompt"):
        ask(queue, ben)
    delete_image(queue.database, again.left.id, ann)
    assert again.left.id not in (ask(queue, ann).left.id, ask(queue, ann).right.id)


def test_every_picture_is_shown_before_any_is_shown_often_and_no_two_twice(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    paint(queue, ann, "a fox", FOUR)
    paint(queue, ann, "a hen", FOUR)
    paint(queue, ann, "alone", FOUR[:1])
    paint(queue, ann, "twins", (FOUR[0], FOUR[0]))
    paint(queue, ann, "a fox", FOUR[:1], kind="upscale")
    shown, together = Counter[str](), list[frozenset[str]]()
    for number in range(4):
        asked = ask(queue, ann, seed=number)
        assert asked.left.prompt == asked.right.prompt
        shown.update((asked.left.id, asked.right.id))
        together.append(frozenset((asked.left.id, asked.right.id)))
        say(queue, asked, "skip")
    assert len(shown) == 8
    for number in range(8):
        asked = ask(queue, ann, seed=number)
        together.append(frozenset((asked.left.id, asked.right.id)))
        say(queue, asked, "skip")
    with pytest.raises(NoPairsError):
        ask(queue, ann)
    assert len(set(together)) == len(together) == 12


@only_sqlite
def test_sides_are_by_chance_and_models_can_be_chosen(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    paint(queue, ann, "a fox", FOUR[:2])
    other = paint(queue, ann, "a fox", FOUR[2:], model="unclip")
    for _ in range(2):
        asked = ask(queue, ann, model="unclip")
        assert {asked.left.id, asked.right.id} == {image.id for image in other}
        assert asked.pair.model == "unclip"
    say(queue, asked, "left")
    first = Counter[bool]()
    for seed in range(24):
        asked = ask(queue, ann, seed=seed)
        first[asked.left.id < asked.right.id] += 1
        with queue.database.write() as session:
            session.delete(session.get_one(Pair, asked.pair.id))
    assert min(first[True], first[False]) > 4


@only_sqlite
def test_old_questions_come_back_turned_and_tell_how_far_a_rater_agrees(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    [ann] = add_users(queue.database, "ann")
    paint(queue, ann, "a fox", FOUR)
    monkeypatch.setattr(choosing, "REPEAT_SHARE", 0.0)
    old: list[Choice] = ["left", "right", "tie", "skip", "left", "left"]
    for seed, choice in enumerate(old):
        say(queue, ask(queue, ann, seed), choice)
    monkeypatch.setattr(choosing, "REPEAT_SHARE", 1.0)
    asked = ask(queue, ann)  # only the first answer has four others behind it
    with queue.database.read() as session:
        first = session.get_one(Pair, asked.pair.repeat_of)
    assert (asked.pair.left_id, asked.pair.right_id) == (first.right_id, first.left_id)
    assert asked.pair.chosen_by == "repeat"
    assert first.choice == "left"
    assert stats_of(queue.database, ann).consistency is None
    say(queue, asked, "right")
    assert stats_of(queue.database, ann).consistency == 1.0
    second = ask(queue, ann)
    assert second.pair.repeat_of not in (None, first.id)  # none is repeated twice
    say(queue, second, "right")  # was right before: now the other picture
    assert stats_of(queue.database, ann).consistency == 0.5
    say(queue, ask(queue, ann), "left")  # was a tie
    found = stats_of(queue.database, ann)
    assert (found.repeats, found.consistency) == (3, 0.5)
    assert (found.pairs, found.ties, found.skips) == (8, 1, 1)
    assert found.left_share == pytest.approx(4 / 7)
    assert [user for user, _ in raters(queue.database)] == [ann]
    assert found.by_model["flow"].pairs == 8


@only_sqlite
def test_models_are_told_apart_by_who_wins(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    paint(queue, ann, "a fox", FOUR[:1])
    paint(queue, ann, "a fox", FOUR[1:2], model="unclip")
    asked = ask(queue, ann)
    assert asked.pair.model == asked.pair.model_hash == ""
    say(queue, asked, "left" if asked.left.model == "unclip" else "right")
    found = stats_of(queue.database, ann).by_model
    assert (found["unclip"].against, found["unclip"].wins) == (1, 1)
    assert (found["flow"].against, found["flow"].wins) == (1, 0)


@only_sqlite
def test_after_some_answers_questions_are_chosen_by_what_they_would_tell(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who wants them red is asked about pairs of equal red no more: of those the answer is known."""
    monkeypatch.setattr(choosing, "REPEAT_SHARE", 0.0)
    [ann] = add_users(queue.database, "ann")
    for number in range(6):
        paint(queue, ann, f"fox {number}", [coloured(20 + number + 60 * step) for step in range(4)])
    kinds = list[str]()
    for seed in range(14):
        asked = ask(queue, ann, seed)
        kinds.append(asked.pair.chosen_by)
        red = [looks_of_file(queue.files.read(image.path))[2] for image in (asked.left, asked.right)]
        say(queue, asked, "left" if red[0] > red[1] else "right")
    assert kinds == ["least_shown"] * 6 + ["informative"] * 8
    with queue.database.read() as session:
        assert session.get_one(Image, asked.left.id).features == pytest.approx(
            looks_of_file(queue.files.read(asked.left.thumb_path))
        )


def test_informative_questions_teach_more_than_chance() -> None:
    """The belief after 25 chosen questions is nearer to a planted taste than after 25 by chance."""
    rng = np.random.default_rng(0)
    truth = np.array([3.0, -2.0, 0, 0, 1.0, 0, 0, 0, 0])
    error = dict[str, list[float]](chosen=[], chance=[])
    for _ in range(12):
        pool = rng.normal(size=(200, 9)) * rng.choice((0.2, 1.0), size=(200, 1))
        for way, found in error.items():
            asked, wins, left = list[int](), list[float](), list(range(200))
            for _ in range(25):
                person = belief.fit(pool[asked], np.array(wins))
                row = (
                    left[int(person.gain(pool[left]).argmax())] if way == "chosen" else int(rng.choice(left))
                )
                left.remove(row)
                asked.append(row)
                wins.append(float(rng.random() < 1 / (1 + np.exp(-pool[row] @ truth))))
            mean = belief.fit(pool[asked], np.array(wins)).mean
            found.append(1 - float(mean @ truth / np.linalg.norm(mean) / np.linalg.norm(truth)))
    assert np.mean(error["chosen"]) < 0.8 * np.mean(error["chance"])


def test_belief_and_gain_are_those_that_learning_has() -> None:
    rng = np.random.default_rng(1)
    x, wins = rng.normal(size=(40, NUM_LOOKS)), rng.choice((0.0, 0.5, 1.0), size=40)
    ours, theirs = belief.fit(x, wins), bradley_terry.fit(torch.tensor(x), torch.tensor(wins), precision=1.0)
    np.testing.assert_allclose(ours.mean, theirs.mean.numpy(), atol=1e-8)
    np.testing.assert_allclose(ours.covariance, theirs.covariance.numpy(), atol=1e-8)
    mean, std = theirs.score(torch.tensor(x))
    np.testing.assert_allclose(ours.gain(x), bradley_terry.bald(mean, std).numpy(), atol=1e-8)


def test_looks_are_the_features_that_learning_has() -> None:
    images = np.random.default_rng(2).uniform(size=(3, 3, 24, 40))
    theirs = hand_features(torch.tensor(images)).numpy()
    np.testing.assert_allclose([looks(image) for image in images], theirs, rtol=1e-9)
    assert len(looks_of_file(coloured(200, side=100))) == NUM_LOOKS
