"""Search finds what it should on both databases, in order, whatever is typed, and reads indices alone."""

import itertools
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects import sqlite

from pictura.core.errors import ConfigError
from pictura.jobs.queue import Queue
from pictura.store import search
from pictura.store.database import Database
from pictura.store.gallery import delete_image, sweep
from pictura.store.search import Facet, Wanted, facets, find, places, terms_of
from pictura.store.tables import Image, Job, Opinion, User
from tests.jobs.queue_kit import add_users, memory_files
from tests.store.gallery_kit import coloured, paint, show

ONE = (coloured(1),)
HOSTILE = (
    '"',
    '"""',
    "fox*",
    "fox AND",
    "NOT fox",
    "OR",
    "NEAR(fox, 2)",
    "search:fox",
    "-fox",
    "^fox",
    "{fox}",
    "fox:*",
    "fox & !hen",
    "fox <-> hen",
    "'; DROP TABLE images; --",
    "fox' OR '1'='1",
    "\\",
    "%fox_",
    "fox\0hen",
    "\ud800",
    "a" * 10_000,
    "🦊",
    "ﷺ" * 5,
)


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database, memory_files())


def pages(queue: Queue, wanted: Wanted, limit: int) -> list[list[Image]]:
    """All pages of a search. SQLite begins with the words or with the gallery: each way finds the same."""
    ways = list[list[list[Image]]]()
    for newest in (2000, 2, 0) if queue.database.on_sqlite else (2000,):
        found, before = list[list[Image]](), None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search, "_NEWEST", newest)
            while not found or before is not None:
                images, before = find(queue.database, wanted, limit=limit, before=before)
                found.append(images)
        ways.append(found)
    ids = [[[image.id for image in page] for page in found] for found in ways]
    assert all(one == ids[0] for one in ids)
    return ways[0]


def found(queue: Queue, user: str | None = None, **wanted: Any) -> list[str]:
    """The prompts that a search finds, each once, in order."""
    [images] = pages(queue, Wanted(user_id=user, **wanted), 100)
    return [prompt for prompt, _ in itertools.groupby(image.prompt for image in images)]


def test_words_are_found_without_case_and_accents_by_their_beginning_and_as_phrases(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    for prompt in ("a red fox", "Ein Café, RED", "foxes in a blue wood", "赤い狐 3d", "naïve ﬁnch", "x²"):
        paint(queue, ann, prompt, ONE)
    assert found(queue, words="fox") == ["foxes in a blue wood", "a red fox"]
    assert found(queue, words="FOX red") == ["a red fox"]
    assert found(queue, words='"fox"') == ["foxes in a blue wood", "a red fox"]
    assert found(queue, words='"red fox"') == ["a red fox"]
    assert found(queue, words='"fox red"') == []
    assert found(queue, words='blue "in a"') == ["foxes in a blue wood"]
    assert found(queue, words="re") == []  # too short for a beginning
    assert found(queue, words="cafe red") == found(queue, words="CAFÉ") == ["Ein Café, RED"]
    assert found(queue, words="赤い狐") == found(queue, words="3d") == ["赤い狐 3d"]
    assert found(queue, words="naive finch") == ["naïve ﬁnch"]
    assert found(queue, words="x2") == ["x²"]
    assert len(found(queue, words="  ")) == 6
    assert found(queue, words="?!*") == []


def test_all_filters_must_hold_and_each_leaves_out_what_it_should(queue: Queue) -> None:
    ann, ben = add_users(queue.database, "ann", "ben")
    [first, _] = paint(queue, ann, "a red fox", (coloured(1), coloured(2)), seed=7)
    paint(queue, ann, "a red hen", (coloured(3, side=32),), model="unclip", kind="vary", seed=8)
    [child] = paint(queue, ann, "a red dog", ONE, source_image_id=first.id, parent_id=first.job_id)
    paint(queue, ben, "a red cat", ONE, public=True)
    with queue.database.write() as session:
        session.add(Opinion(user_id=ann, image_id=first.id, rating="star"))
        session.add(Opinion(user_id=ann, image_id=child.id, rating="dislike"))
        session.add(Opinion(user_id=ben, image_id=child.id, rating="like"))
        session.get_one(Image, child.id).created_at = 5000.0
    every = ["a red dog", "a red hen", "a red fox"]
    for words in (None, "red"):
        assert found(queue, ann, words=words) == every
        assert found(queue, ben, words=words) == ["a red cat"]
        assert found(queue, words=words) == ["a red cat", *every]
        assert found(queue, public=True, words=words) == ["a red cat"]
        assert found(queue, ann, words=words, model="unclip") == ["a red hen"]
        assert found(queue, ann, words=words, kind="vary") == ["a red hen"]
        assert found(queue, ann, words=words, seed=7) == ["a red fox"]
        assert found(queue, ann, words=words, min_width=17) == ["a red hen"]
        assert found(queue, ann, words=words, until=5000.0) == ["a red dog"]
        assert found(queue, ann, words=words, since=5001.0) == ["a red hen", "a red fox"]
        assert found(queue, ann, words=words, parent=first.id) == ["a red dog"]
        assert found(queue, ann, words=words, parent=first.job_id) == ["a red dog"]
        assert found(queue, ann, words=words, liked_by=ann) == ["a red fox"]
        assert found(queue, ann, words=words, seed=7, liked_by=ann, model="flow") == ["a red fox"]
        assert found(queue, ann, words=words, seed=7, model="unclip") == []
    delete_image(queue.database, first.id, ann)
    assert found(queue, ann, words="red", deleted=True) == ["a red fox"]
    assert found(queue, ann, words="red", liked_by=ann) == []
    told = facets(queue.database, ann)
    assert told["models"] == [Facet(name="flow", count=2), Facet(name="unclip", count=1)]
    assert told["kinds"] == [Facet(name="imagine", count=2), Facet(name="vary", count=1)]


def test_pages_hold_every_picture_once_the_newest_job_first(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    for number in range(3):
        paint(queue, ann, f"fox {number}", (coloured(1), coloured(2), coloured(3)))
    for words in (None, "fox"):
        found = pages(queue, Wanted(user_id=ann, words=words), 2)
        assert [len(page) for page in found] == [2, 2, 2, 2, 1]
        seen = [(image.prompt, image.index) for page in found for image in page]
        assert seen == [(f"fox {number}", index) for number in (2, 1, 0) for index in range(3)]


def test_whatever_is_typed_is_words_and_nothing_else(queue: Queue) -> None:
    ann, ben = add_users(queue.database, "ann", "ben")
    paint(queue, ann, "a red fox", ONE)
    paint(queue, ben, "a fox of ben and hen, near or not", ONE)
    for words in HOSTILE:
        assert set(found(queue, ann, words=words)) <= {"a red fox"}, words
    with queue.database.read() as session:
        assert len(session.scalars(select(Image.id)).all()) == 2


def test_too_many_words_are_refused() -> None:
    assert len(terms_of("fox " * 32)) == 32
    with pytest.raises(ConfigError, match=r"at most 32 words"):
        terms_of("fox " * 33)


def test_strange_prompts_are_kept_and_found(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    for prompt in ("fox\0one", "fox \ud800 two", "fox " + "y" * 7000, "fox " * 1500):
        paint(queue, ann, prompt, ONE)
    assert len(found(queue, ann, words="fox")) == 4
    assert found(queue, ann, words="one") == ["fox one"]


def test_words_are_forgotten_with_their_picture(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    [image] = paint(queue, ann, "a red fox", ONE)
    delete_image(queue.database, image.id, ann)
    sweep(queue.database, queue.files, keep_deleted_s=-1)
    assert found(queue, words="fox") == []
    if queue.database.on_sqlite:
        with queue.database.read() as session:
            query = text("SELECT count(*) FROM image_words WHERE image_words MATCH 'fox'")
            assert session.scalar(query) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_search_on_sqlite_reads_indices_and_sorts_nothing(database: Database) -> None:
    wanted = {
        "ix_images_of_user": Wanted(user_id="u", min_width=9, since=1.0, until=2.0, kind="vary"),
        "ix_images_of_model": Wanted(user_id="u", model="flow"),
        "ix_images_of_seed": Wanted(user_id="u", seed=3),
        "ix_images_of_parent": Wanted(user_id="u", parent="a"),
        "ix_images_of_source": Wanted(user_id="u", parent="a-0"),
        "ix_images_visibility_place": Wanted(public=True),
    }
    for index, one in wanted.items():
        plan = _plan(database, one)
        assert index in plan
        assert "SCAN images" not in plan
        assert "TEMP B-TREE" not in plan
    assert "COVERING INDEX ix_images_of_user" in _plan(database, wanted["ix_images_of_user"])
    rare = _plan(database, Wanted(user_id="u", words="fox"), newest=9)
    assert "SCAN image_words VIRTUAL TABLE" in rare
    assert "SEARCH images USING COVERING INDEX" in rare
    common = _plan(database, Wanted(user_id="u", words="fox"))
    assert "COVERING INDEX ix_images_of_user (user_id=?)" in common.splitlines()[0]
    assert "TEMP B-TREE" not in common


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_search_on_postgresql_chooses_indices_by_how_rare_a_word_is(queue: Queue) -> None:
    [ann] = add_users(queue.database, "ann")
    [image] = paint(queue, ann, "a red fox", ONE)
    columns = [column.name for column in Image.__table__.columns]
    other = {
        "id": "'copy-' || n",
        "index": "n",
        "place": "n",
        "details": "json_build_object('said', repeat('x', 500))",
        "search": "'common word' || (n % 500)",
    }
    chosen = ", ".join(other.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    copies = f"INSERT INTO images ({names}) SELECT {chosen} FROM images, generate_series(1, 3000) AS n"
    with queue.database.write() as session:
        session.execute(text(copies))
        session.execute(text("ANALYZE images"))
        plans = list[str]()
        for word in ("word7", "common"):
            query = places(Wanted(user_id=image.user_id, words=word), [[word]], on_sqlite=False).limit(50)
            compiled = query.compile(session.get_bind())
            rows = session.connection().exec_driver_sql(f"EXPLAIN {compiled}", compiled.params)
            plans.append("\n".join(row[0] for row in rows))
    assert "ix_images_words" in plans[0]
    assert "Index Scan" in plans[1]
    assert "ix_images_words" not in plans[1]
    assert "Sort" not in plans[1]


def _plan(database: Database, wanted: Wanted, newest: int | None = None) -> str:
    terms = terms_of(wanted.words) if wanted.words else None
    query = places(wanted, terms, on_sqlite=True, newest=newest).limit(51)
    compiled = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with database.read() as session:
        rows = session.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all()
    return "\n".join(row.detail for row in rows)


def test_pictures_of_before_are_found_after_the_tables_went_up(queue: Queue) -> None:
    database = queue.database
    [ann] = add_users(database, "ann")
    [one, two] = paint(queue, ann, "a Réd\0 fox", (coloured(1), coloured(2)), seed=7, kind="vary")
    paint(queue, ann, "a hen", ONE)
    show(database, two)
    database.downgrade("0002")
    database.upgrade()
    with database.read() as session:
        again = session.get_one(Image, one.id)
        assert [job.number for job in session.scalars(select(Job).order_by(Job.id))] == [1, 2]
        assert session.get_one(User, ann).train_on_ratings is False
    for name in ("user_id", "place", "prompt", "search", "model", "model_hash", "kind", "seed", "parent_id"):
        assert getattr(again, name) == getattr(one, name), name
    assert found(queue, ann, words="red fox", seed=7, kind="vary") == ["a Réd  fox"]
    assert found(queue, public=True) == ["a Réd  fox"]
    [new] = paint(queue, ann, "a fox of now", ONE)
    assert found(queue, ann, words="fox") == [new.prompt, one.prompt]
