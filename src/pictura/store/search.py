"""Finding pictures again: what of a picture can be searched for, and the search.

A picture's row repeats what its job and its details say, in columns with indices. Words are compared without
case and accents, on every database the same; SQLite's FTS5 and PostgreSQL's tsvector keep their index. A
search first walks an index for places in the gallery, and reads whole rows only of those that it shows.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, column, func, literal_column, select, table
from sqlalchemy.orm import Session

from pictura.core.errors import ConfigError
from pictura.store.database import Database
from pictura.store.files import StoredPicture
from pictura.store.tables import PLACES, Image, Job, Opinion

MAX_WORDS = 32
"""Of one search."""
LIKED = ("like", "star")
_LONGEST_WORD = 100
_NEWEST = 2000
"""Pictures with a word that SQLite looks at before it walks the whole gallery."""
_BY_BEGINNING = 3
"""Letters that a word needs so that it also finds longer ones."""
_WORD = re.compile(r"[^\W_]+")
_WORDS = table("image_words", column("rowid"), column("image_words"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which pictures; what is None or False does not count."""

    user_id: str | None = None
    """Whose; None is everybody's."""
    public: bool = False
    """Only what somebody made public."""
    deleted: bool = False
    """Those that can be restored, instead of the others."""
    words: str | None = None
    """Words of the prompt, all of them; ``"two words"`` in quotes are a phrase."""
    model: str | None = None
    kind: str | None = None
    seed: int | None = None
    parent: str | None = None
    """A picture or a job that they go on from; ids of pictures have a hyphen."""
    liked_by: str | None = None
    """Only what that user likes."""
    since: float | None = None
    """Seconds since 1970."""
    until: float | None = None
    min_width: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Facet:
    """Pictures of one model or kind."""

    name: str
    count: int


def find(
    database: Database, wanted: Wanted, *, limit: int, before: int | None = None
) -> tuple[list[Image], int | None]:
    """A page of pictures, the newest job first.

    Args:
        database: that holds them.
        wanted: which.
        limit: how many at most.
        before: the place that the page before ended with.

    Returns:
        Pictures, and the place that the page ends with if there are more.

    Raises:
        ConfigError: the words are too many.
    """
    terms = None if wanted.words is None or not wanted.words.strip() else terms_of(wanted.words)
    if terms == []:  # signs without a letter
        return [], None
    with database.read() as session:
        found = _first(session, wanted, terms, limit + 1, before, on_sqlite=database.on_sqlite)
        images = _at(session, found[:limit])
    return images, found[limit - 1] if len(found) > limit else None


def places(
    wanted: Wanted,
    terms: Sequence[Sequence[str]] | None,
    before: int | None = None,
    *,
    on_sqlite: bool,
    newest: int | None = None,
) -> Select[int]:
    """The query for places in the gallery, in its order.

    Args:
        wanted: which pictures.
        terms: `terms_of` its words.
        before: only places behind this one.
        on_sqlite: whether SQLite is asked.
        newest: of SQLite: only so many of the newest pictures that have the terms, beginning with these; if
            None it walks the gallery, and leaves out those that have not. PostgreSQL chooses by itself.
    """
    query = select(Image.place).where(*_conditions(wanted))
    if before is not None:
        query = query.where(Image.place < before)
    if terms is None:
        return query.order_by(Image.place.desc())
    if not on_sqlite:
        query = query.where(literal_column("images.words").op("@@")(_tsquery(terms)))
        return query.order_by(Image.place.desc())
    if newest is None:
        among = (Image.place + 0).in_(_having(terms, None))  # + 0: by no index
        return query.where(among).order_by(Image.place.desc())
    having = _having(terms, before).order_by(_WORDS.c.rowid.desc()).limit(newest).subquery()
    return query.join(having, Image.place == having.c.rowid).order_by(having.c.rowid.desc())


def _first(
    session: Session,
    wanted: Wanted,
    terms: Sequence[Sequence[str]] | None,
    count: int,
    before: int | None,
    *,
    on_sqlite: bool,
) -> Sequence[int]:
    """The first places of a search; on SQLite in the way that is fast for its words."""
    if on_sqlite and terms is not None:
        query = places(wanted, terms, before, on_sqlite=True, newest=_NEWEST)
        found = session.scalars(query.limit(count)).all()
        seen = select(func.count()).select_from(_having(terms, before).limit(_NEWEST).subquery())
        if len(found) == count or session.scalars(seen).one() < _NEWEST:
            return found
    return session.scalars(places(wanted, terms, before, on_sqlite=on_sqlite).limit(count)).all()


def _having(terms: Sequence[Sequence[str]], before: int | None) -> Select[Any]:
    """Places of pictures that have terms, on SQLite."""
    query = select(_WORDS.c.rowid).where(_WORDS.c.image_words.op("MATCH")(_fts5(terms)))
    return query if before is None else query.where(_WORDS.c.rowid < before)


def facets(database: Database, user_id: str) -> dict[str, list[Facet]]:
    """The models and kinds of a user's pictures, the most frequent first."""
    found = dict[str, list[Facet]]()
    with database.read() as session:
        for name, by in (("models", Image.model), ("kinds", Image.kind)):
            query = select(by, func.count()).where(*_conditions(Wanted(user_id=user_id))).group_by(by)
            rows = session.execute(query.order_by(func.count().desc(), by)).all()
            found[name] = [Facet(name=value, count=count) for value, count in rows]
    return found


def terms_of(text: str) -> list[list[str]]:
    """Words and phrases of a search.

    Raises:
        ConfigError: there are too many.
    """
    terms = list[list[str]]()
    for number, part in enumerate(text.split('"')):
        words = words_of(part)
        terms += [words] if number % 2 and words else [[word] for word in words]
    if sum(map(len, terms)) > MAX_WORDS:
        raise ConfigError(f"A search takes at most {MAX_WORDS} words; leave some out.")
    return terms


def words_of(text: str) -> list[str]:
    """Letters and digits that belong together, without case, accents and what nobody sees."""
    apart = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in apart if unicodedata.category(letter) not in ("Mn", "Cf"))
    return [word[:_LONGEST_WORD] for word in _WORD.findall(plain.casefold())]


def storable(text: str) -> str:
    """A text that every database keeps: without NUL and halves of letters."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def found_image(job: Job, index: int, stored: StoredPicture, details: Mapping[str, Any], now: float) -> Image:
    """The row of a new picture.

    Args:
        job: that painted it.
        index: among the pictures of the job, from 0.
        stored: where it lies.
        details: how it was painted, as JSON can hold it.
        now: seconds since 1970.
    """
    assert 0 <= index < PLACES
    prompt = storable(str(job.request.get("prompt", details.get("prompt", ""))))
    seed = details.get("seed")
    return Image(
        id=f"{job.id}-{index}",
        job_id=job.id,
        index=index,
        sha256=stored.sha256,
        path=stored.path,
        thumb_path=stored.thumb_path,
        width=stored.width,
        height=stored.height,
        num_bytes=stored.num_bytes,
        details=dict(details),
        created_at=now,
        user_id=job.user_id,
        place=job.number * PLACES + PLACES - 1 - index,
        prompt=prompt,
        search=" ".join(words_of(prompt)),
        model=storable(str(job.request.get("model", "")))[:255],
        model_hash=storable(str(details.get("model_hash", "")))[:64],
        kind=job.kind,
        seed=seed if isinstance(seed, int) else None,
        parent_id=job.parent_id,
        source_image_id=job.source_image_id,
    )


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        Image.deleted_at.is_not(None) if wanted.deleted else Image.deleted_at.is_(None)
    ]
    if wanted.user_id is not None:
        found.append(Image.user_id == wanted.user_id)
    if wanted.public:
        found.append(Image.visibility == "public")
    for value, field in ((wanted.model, Image.model), (wanted.kind, Image.kind), (wanted.seed, Image.seed)):
        if value is not None:
            found.append(field == (storable(value) if isinstance(value, str) else value))
    if wanted.parent is not None:
        parent = storable(wanted.parent)
        found.append((Image.source_image_id if "-" in parent else Image.parent_id) == parent)
    if wanted.liked_by is not None:
        mine = Opinion.user_id == wanted.liked_by
        liked = select(Opinion.image_id).where(mine, Opinion.rating.in_(LIKED))
        found.append(Image.id.in_(liked))
    if wanted.since is not None:
        found.append(Image.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(Image.created_at <= wanted.until)
    if wanted.min_width is not None:
        found.append(Image.width >= wanted.min_width)
    return found


def _at(session: Session, found: Sequence[int]) -> list[Image]:
    """The pictures at places, in the gallery's order."""
    return list(session.scalars(select(Image).where(Image.place.in_(found)).order_by(Image.place.desc())))


def _fts5(terms: Sequence[Sequence[str]]) -> str:
    """Terms as FTS5 reads them; a word is letters and digits, so that quotes close it in."""
    return " AND ".join(f'"{" ".join(term)}"{"*" if _is_open(term) else ""}' for term in terms)


def _tsquery(terms: Sequence[Sequence[str]]) -> ColumnElement[Any]:
    said = " & ".join(f"({' <-> '.join(term)}{':*' if _is_open(term) else ''})" for term in terms)
    return func.to_tsquery("simple", said)


def _is_open(term: Sequence[str]) -> bool:
    return len(term) == 1 and len(term[0]) >= _BY_BEGINNING
