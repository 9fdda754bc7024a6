"""Acts are kept with what was shown, belong to who did them, teach only with consent, and go when told to."""

import io
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from sqlalchemy import select

from pictura.core.errors import NotFoundError
from pictura.jobs.queue import Queue
from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.gallery import delete_image
from pictura.store.ratings import export, pairs
from pictura.store.ratings.choosing import answer, next_pair
from pictura.store.ratings.events import (
    Act,
    Forgotten,
    Rater,
    forget,
    forget_one,
    opinions,
    page,
    record,
    set_consent,
)
from pictura.store.tables import Image, Opinion, Pair, Rating
from tests.jobs.queue_kit import add_users, memory_files
from tests.store.gallery_kit import coloured, paint, show

LIKED = (("like", "0"), ("star", "1"))
FOUR = tuple(coloured(red) for red in (10, 80, 150, 220))


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database, memory_files())


def rate(queue: Queue, user: str, kind: Any, image: Image, **more: Any) -> str:
    (rating_id,) = record(queue.database, Rater(user_id=user), [Act(kind=kind, image_id=image.id, **more)])
    return rating_id


def told(
    queue: Queue, user: str | None = None, *, consent: bool = False
) -> list[tuple[str, str, str, float]]:
    """Who is better than whom, by kind and weight."""
    found = pairs(queue.database, consent=consent, user_id=user)
    return [(pair.kind, pair.better[-1], pair.worse[-1], pair.weight) for pair in found]


def test_an_act_is_kept_with_what_was_shown_where_by_which_model_and_consent(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    images = paint(queue, ann, "a fox", FOUR, model="unclip")
    delete_image(queue.database, images[0].id, ann)
    ids = record(
        queue.database,
        Rater(user_id=ann),
        [
            Act(kind="view", image_id=images[2].id, surface="feed"),
            Act(kind="like", image_id=images[1].id, slot=5, shown_ids=(images[1].id, images[2].id)),
        ],
    )
    set_consent(queue.database, ann, True)
    rate(queue, ann, "download", images[1])
    rows, after = page(queue.database, ann, limit=10)
    assert after is None
    download, like, view = rows
    assert [like.id, view.id] == ids[::-1]
    assert isinstance(view, Rating)
    assert isinstance(like, Rating)
    assert view.shown_ids == [image.id for image in images[1:]]
    assert (view.slot, view.surface, view.model, view.model_hash) == (1, "feed", "unclip", f"{6:064x}")
    assert (like.slot, like.shown_ids, like.surface) == (5, [images[1].id, images[2].id], "api")
    assert (download.consent, like.consent, view.consent) == (True, False, False)
    assert [row.id for row in page(queue.database, ann, limit=1)[0]] == [download.id]
    first, after = page(queue.database, ann, limit=2)
    rest, none = page(queue.database, ann, limit=2, before=after)
    assert [row.id for row in (*first, *rest)] == [row.id for row in rows]
    assert none is None


def test_only_what_one_may_see_can_be_rated_or_shown(queue: Queue) -> None:
    ann, ben = add_users(queue.database, "ann", "ben")
    [hers, open_] = paint(queue, ann, "a fox", FOUR[:2])
    [his] = paint(queue, ben, "a hen", FOUR[:1])
    show(queue.database, open_)
    rate(queue, ben, "like", open_)
    ben_rates = Rater(user_id=ben)
    for wrong in (
        Act(kind="like", image_id=hers.id),
        Act(kind="like", image_id=his.id, shown_ids=(his.id, hers.id)),
        Act(kind="like", image_id="no-such"),
        Act(kind="like", image_id=his.id + "\0"),
    ):
        with pytest.raises(NotFoundError, match=r"There is no picture .* of yours"):
            record(queue.database, ben_rates, [Act(kind="star", image_id=his.id), wrong])
    assert len(page(queue.database, ben, limit=10)[0]) == 1  # all or nothing
    record(queue.database, Rater(user_id=ben, sees_all=True), [Act(kind="view", image_id=hers.id)])
    delete_image(queue.database, open_.id, ann)
    with pytest.raises(NotFoundError):
        rate(queue, ben, "like", open_)
    rate(queue, ann, "delete", open_)  # its owner still may


def test_an_opinion_is_the_newest_and_falls_back_when_an_act_is_forgotten(queue: Queue) -> None:
    def thinks(user: str) -> str | None:
        return opinions(queue.database, user, [image.id]).get(image.id)

    ann, ben = add_users(queue.database, "ann", "ben")
    [image] = paint(queue, ann, "a fox", FOUR[:1])
    like = rate(queue, ann, "like", image)
    assert thinks(ann) == "like"
    assert thinks(ben) is None
    dislike = rate(queue, ann, "dislike", image)
    view = rate(queue, ann, "view", image)
    assert thinks(ann) == "dislike"
    with pytest.raises(NotFoundError, match=r"There is no rating .* of yours"):
        forget_one(queue.database, ben, dislike)
    with pytest.raises(NotFoundError):
        forget_one(queue.database, ann, "x\0")
    assert forget_one(queue.database, ann, dislike) == Forgotten(ratings=1, pairs=0)
    assert thinks(ann) == "like"
    forget_one(queue.database, ann, view)
    assert thinks(ann) == "like"
    rate(queue, ann, "unlike", image)
    assert thinks(ann) is None
    rate(queue, ann, "star", image)
    forget_one(queue.database, ann, like)
    assert thinks(ann) == "star"


def test_weak_pairs_are_against_the_others_shown_of_the_prompt_that_are_not_liked_too(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    images = paint(queue, ann, "a fox", FOUR)
    [hen] = paint(queue, ann, "a hen", FOUR[:1])
    every = (*(image.id for image in images), hen.id)
    rate(queue, ann, "like", images[0], shown_ids=every)
    assert told(queue) == [("like", "0", other, 0.3) for other in "123"]
    rate(queue, ann, "star", images[1], shown_ids=every)
    assert told(queue) == [(kind, id_, other, 0.3) for kind, id_ in LIKED for other in "23"]
    rate(queue, ann, "unlike", images[1])
    rate(queue, ann, "upscale", images[0])  # says the same again
    assert told(queue) == [("like", "0", other, 0.3) for other in "123"]
    rate(queue, ann, "dislike", images[0])
    rate(queue, ann, "like", images[3])
    assert ("dislike", "3", "0", 0.3) in told(queue)
    assert ("like", "0", "1", 0.3) not in told(queue)
    delete_image(queue.database, images[3].id, ann)
    assert not [one for one in told(queue) if "3" in one[1:3]]
    rate(queue, ann, "view", images[2])
    rate(queue, ann, "download", images[2])
    assert not [one for one in told(queue) if one[0] in ("view", "download")]


def ask_and_answer(queue: Queue, user: str, *choices: Any) -> list[Pair]:
    found = list[Pair]()
    for choice in choices:
        asked = next_pair(queue.database, queue.files, Rater(user_id=user))
        found.append(answer(queue.database, user, asked.pair.token, choice, 1234))
    return found


def test_pairs_for_learning_say_who_is_better_on_which_side(queue: Queue) -> None:
    ann, ben = add_users(queue.database, "ann", "ben")
    for user, prompt in ((ann, "a fox"), (ben, "a hen")):
        paint(queue, user, prompt, FOUR)
    left, right, tie, _ = ask_and_answer(queue, ann, "left", "right", "tie", "skip")
    ask_and_answer(queue, ben, "right")
    found = list(pairs(queue.database, consent=False, user_id=ann))
    assert [(pair.better, pair.worse, pair.side, pair.tie) for pair in found] == [
        (left.left_id, left.right_id, "left", False),
        (right.right_id, right.left_id, "right", False),
        (tie.left_id, tie.right_id, None, True),
    ]
    assert {(pair.prompt, pair.user, pair.ms, pair.kind, pair.weight, pair.repeat) for pair in found} == {
        ("a fox", ann, 1234, "pair", 1.0, False)
    }
    assert all(queue.files.exists(one) for pair in found for one in (pair.better_path, pair.worse_path))
    assert len(list(pairs(queue.database, consent=False))) == 4
    assert list(pairs(queue.database)) == []
    queue.files.remove(found[0].better_path)
    assert found[0] not in list(pairs(queue.database, queue.files, consent=False))


def test_nobody_is_learnt_from_without_a_yes_then_and_now(queue: Queue) -> None:
    def learnt() -> int:
        return len(told(queue, consent=True))

    [ann] = add_users(queue.database, "ann")
    images = paint(queue, ann, "a fox", FOUR)
    rate(queue, ann, "like", images[0])
    ask_and_answer(queue, ann, "left")
    assert learnt() == 0
    set_consent(queue.database, ann, True)
    assert learnt() == 0  # a yes holds from now on
    ask_and_answer(queue, ann, "left")
    rate(queue, ann, "upscale", images[1])
    assert learnt() == 1 + 2
    set_consent(queue.database, ann, False)
    assert learnt() == 0  # a no holds for all
    set_consent(queue.database, ann, True, past=True)
    assert learnt() == len(told(queue)) == 2 + 5


def test_forgotten_is_gone_from_every_table_and_export_and_others_keep_theirs(queue: Queue) -> None:
    ann, ben = add_users(queue.database, "ann", "ben")
    for user in (ann, ben):
        images = paint(queue, user, "a fox", FOUR)
        set_consent(queue.database, user, True)
        rate(queue, user, "like", images[0])
        ask_and_answer(queue, user, "left", "tie")
        next_pair(queue.database, queue.files, Rater(user_id=user))  # asked and never answered
    assert forget(queue.database, ann) == Forgotten(ratings=1, pairs=3)
    assert told(queue, ann) == []
    assert rows_of(export.acts_file(queue.database, str, user_id=ann, consent=False)) == []
    everybody = rows_of(export.pairs_file(pairs(queue.database), str))
    assert {row["user"] for row in everybody} == {ben}
    with queue.database.read() as session:
        for column in (Rating.user_id, Pair.user_id, Opinion.user_id):
            assert set(session.scalars(select(column))) == {ben}
    one = page(queue.database, ben, limit=10)[0][0]
    assert forget_one(queue.database, ben, one.id) == Forgotten(ratings=0, pairs=1)
    assert one.id not in [row.id for row in page(queue.database, ben, limit=10)[0]]


def rows_of(parts: Any) -> list[dict[str, Any]]:
    """What a Parquet file holds, given in parts."""
    found: list[dict[str, Any]] = parquet.read_table(io.BytesIO(b"".join(parts))).to_pylist()
    return found


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_export_is_written_piece_by_piece(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(database, Files(tmp_path / "pictures"))
    [ann] = add_users(database, "ann")
    images = paint(queue, ann, "a fox", FOUR)
    rate(queue, ann, "like", images[0])
    ask_and_answer(queue, ann, "right")
    monkeypatch.setattr(export, "_ROWS_WITH_PICTURES", 1)
    asked = list[str]()

    def found() -> Any:
        for pair in pairs(database, consent=False):
            asked.append(pair.kind)
            yield pair

    parts = export.pairs_file(found(), lambda user: f"<{user}>", queue.files)
    first = next(parts)
    assert first.startswith(b"PAR1")
    assert asked == ["pair"]  # the second row is not even read yet
    rows = rows_of([first, *parts])
    assert [row["kind"] for row in rows] == ["pair", "like", "like", "like"]
    assert rows[0]["png_0"] == queue.files.read(_path(images, rows[0]["image_0"]))
    assert {row["user"] for row in rows} == {f"<{ann}>"}
    assert [(row["label_0"], row["label_1"]) for row in rows] == [(1.0, 0.0)] * 4
    queue.files.remove(images[0].path)
    again = rows_of(export.pairs_file(found(), str, queue.files))
    assert again[1]["png_0"] is None
    assert rows_of(export.pairs_file(iter(()), str)) == []


def _path(images: list[Image], image_id: str) -> str:
    return next(image.path for image in images if image.id == image_id)
