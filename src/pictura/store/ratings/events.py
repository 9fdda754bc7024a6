"""What users do with pictures: recorded with what was shown, told, and forgotten when they say so.

Each act is a row that is never changed. Beside them stands one opinion of a user about a picture, the newest
of like, dislike and star, which `unlike` takes back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from pictura.core.errors import NotFoundError
from pictura.store.database import Database
from pictura.store.tables import Image, Opinion, Pair, Rating, RatingKind, Surface, User, new_id

OPINIONS = ("like", "dislike", "star")
_AT_ONCE = 500
_OF_OPINION = (*OPINIONS, "unlike")


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """What somebody did with a picture."""

    kind: RatingKind
    image_id: str
    slot: int | None = None
    """Its place among what was shown, from 0."""
    shown_ids: tuple[str, ...] = ()
    """All pictures that were seen together; the others of its job that are not deleted if empty."""
    surface: Surface = "api"


@dataclass(frozen=True, kw_only=True, slots=True)
class Forgotten:
    """What was forgotten."""

    ratings: int
    pairs: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Rater:
    """Who rates."""

    user_id: str
    sees_all: bool = False
    """Whether everybody's pictures are theirs to see."""


def record(database: Database, rater: Rater, acts: Sequence[Act]) -> list[str]:
    """Keep what a user did, all or nothing.

    Returns:
        The ids of the new rows.

    Raises:
        NotFoundError: the user may not see one of the pictures, or it is not there.
    """
    with database.write() as session:
        user = session.get_one(User, rater.user_id)
        named = {one for act in acts for one in (act.image_id, *act.shown_ids)}
        images = _seen(session, rater, named)
        rows, last, now = list[Rating](), "", database.now(session)
        for act in acts:
            last = new_id(after=last)
            image = images[act.image_id]
            shown = list(act.shown_ids) or _of_job(session, image)
            rows.append(
                Rating(
                    id=last,
                    user_id=user.id,
                    kind=act.kind,
                    image_id=image.id,
                    slot=_slot(act, shown),
                    shown_ids=shown,
                    surface=act.surface,
                    model=image.model,
                    model_hash=image.model_hash,
                    consent=user.train_on_ratings,
                    created_at=now,
                )
            )
            _have_opinion(session, rows[-1])
        session.add_all(rows)
        return [row.id for row in rows]


def opinions(database: Database, user_id: str, image_ids: Iterable[str]) -> dict[str, str]:
    """What a user thinks of pictures: like, dislike or star by id, where they think anything."""
    with database.read() as session:
        mine = Opinion.user_id == user_id
        query = select(Opinion.image_id, Opinion.rating).where(mine, Opinion.image_id.in_(list(image_ids)))
        return dict(session.execute(query).all())


def page(
    database: Database, user_id: str, *, limit: int, before: str | None = None
) -> tuple[list[Rating | Pair], str | None]:
    """What a user did and chose, the newest first, and the id behind which the next page begins."""
    found = list[Rating | Pair]()
    with database.read() as session:
        acts = select(Rating).where(Rating.user_id == user_id).order_by(Rating.id.desc())
        pairs = select(Pair).where(Pair.user_id == user_id, Pair.choice.is_not(None)).order_by(Pair.id.desc())
        if before is not None:
            acts, pairs = acts.where(Rating.id < before), pairs.where(Pair.id < before)
        found += session.scalars(acts.limit(limit + 1)).all()
        found += session.scalars(pairs.limit(limit + 1)).all()
    found.sort(key=attrgetter("id"), reverse=True)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def forget(database: Database, user_id: str) -> Forgotten:
    """Delete everything that a user did, chose and was asked; nothing of it can be brought back."""
    with database.write() as session:
        gone = session.scalars(delete(Rating).where(Rating.user_id == user_id).returning(Rating.id)).all()
        pairs = session.scalars(delete(Pair).where(Pair.user_id == user_id).returning(Pair.id)).all()
        session.execute(delete(Opinion).where(Opinion.user_id == user_id))
        return Forgotten(ratings=len(gone), pairs=len(pairs))


def forget_one(database: Database, user_id: str, rating_id: str) -> Forgotten:
    """Delete one act or pair of a user; opinions are then what the acts that are left say.

    Raises:
        NotFoundError: that user has none of that id.
    """
    with database.write() as session:
        plain = rating_id.isalnum() and rating_id.isascii()
        act = session.get(Rating, rating_id) if plain else None
        pair = session.get(Pair, rating_id) if plain else None
        if act is not None and act.user_id == user_id:
            session.delete(act)
            session.flush()
            _think_again(session, user_id, act.image_id)
            return Forgotten(ratings=1, pairs=0)
        if pair is not None and pair.user_id == user_id:
            session.delete(pair)
            session.execute(update(Pair).where(Pair.repeat_of == pair.id).values(repeat_of=None))
            return Forgotten(ratings=0, pairs=1)
    raise NotFoundError(f"There is no rating {rating_id[:100]!r} of yours.")


def set_consent(database: Database, user_id: str, consent: bool, *, past: bool = False) -> None:
    """Say whether models may learn from what a user rates from now on.

    Args:
        database: that keeps it.
        user_id: whose word it is.
        consent: whether they may.
        past: the same of everything rated before. A no holds for that in any case, as long as it stands.
    """
    with database.write() as session:
        session.get_one(User, user_id).train_on_ratings = consent
        if past:
            for kind in (Rating, Pair):
                session.execute(update(kind).where(kind.user_id == user_id).values(consent=consent))


def may_see(rater: Rater) -> ColumnElement[bool]:
    """The pictures that somebody may rate: their own, and what is public."""
    if rater.sees_all:
        return Image.id.is_not(None)
    shown = (Image.visibility == "public") & Image.deleted_at.is_(None)
    return or_(Image.user_id == rater.user_id, shown)


def _seen(session: Session, rater: Rater, named: set[str]) -> dict[str, Image]:
    plain = [one for one in named if one.isascii() and one.isprintable()]
    found = dict[str, Image]()
    for start in range(0, len(plain), _AT_ONCE):
        query = select(Image).where(Image.id.in_(plain[start : start + _AT_ONCE]), may_see(rater))
        found |= {image.id: image for image in session.scalars(query)}
    if missing := sorted(named - found.keys()):
        raise NotFoundError(f"There is no picture {missing[0][:100]!r} of yours.")
    return found


def _of_job(session: Session, image: Image) -> list[str]:
    query = select(Image.id).where(Image.job_id == image.job_id, Image.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Image.index)))


def _slot(act: Act, shown: Sequence[str]) -> int | None:
    if act.slot is not None or act.image_id not in shown:
        return act.slot
    return shown.index(act.image_id)


def _have_opinion(session: Session, row: Rating) -> None:
    if row.kind == "unlike":
        mine = (Opinion.user_id == row.user_id) & (Opinion.image_id == row.image_id)
        session.execute(delete(Opinion).where(mine))
    elif row.kind in OPINIONS:
        session.merge(Opinion(user_id=row.user_id, image_id=row.image_id, rating=row.kind))
        session.flush()


def _think_again(session: Session, user_id: str, image_id: str) -> None:
    mine = (Rating.user_id == user_id) & (Rating.image_id == image_id) & Rating.kind.in_(_OF_OPINION)
    newest = session.scalar(select(Rating).where(mine).order_by(Rating.id.desc()).limit(1))
    session.execute(delete(Opinion).where(Opinion.user_id == user_id, Opinion.image_id == image_id))
    if newest is not None:
        _have_opinion(session, newest)
