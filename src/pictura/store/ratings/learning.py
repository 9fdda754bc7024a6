"""What can be learnt from: of each choice of a user, which picture was better, and how sure that is.

An explicit pair weighs 1. A picture that was liked, starred or upscaled weakly beats each other picture of
its prompt that was shown beside it; one that was disliked weakly loses. A like taken back tells nothing.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select

from pictura.store.database import Database
from pictura.store.files import Files
from pictura.store.ratings.events import OPINIONS
from pictura.store.tables import Image, Opinion, Pair, Rating, User

WEAK = 0.3
"""What a weak pair weighs."""
_LIKES = ("like", "star", "upscale")
_TELLING = (*_LIKES, "dislike")
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class RatedPair:
    """Two pictures of one prompt, of which somebody preferred one."""

    prompt: str
    better: str
    """Id of the picture; of a tie, the one on the left."""
    worse: str
    better_path: str
    """Of its file in `Files`."""
    worse_path: str
    weight: float
    tie: bool
    user: str
    """Id of the rater."""
    model: str
    """That painted both; empty if two did."""
    model_hash: str
    ts: float
    """Seconds since 1970."""
    kind: str
    """``pair``, or the act that a weak pair comes from."""
    side: Literal["left", "right"] | None = None
    """Where the better one stood, of an explicit pair that is no tie."""
    ms: int | None = None
    """How long the rater looked."""
    repeat: bool = False
    """Whether the rater had chosen between the two before, with sides changed."""


def pairs(
    database: Database, files: Files | None = None, *, consent: bool = True, user_id: str | None = None
) -> Iterator[RatedPair]:
    """What users prefer: explicit pairs as they were answered, then weak ones.

    Skipped pairs tell nothing, and pictures that were deleted are left out. It is read page by page.

    Args:
        database: that keeps ratings.
        files: pairs with a picture that is not in there are left out; None does not look.
        consent: only of users who allowed it when they rated and allow it now.
        user_id: only of that user.
    """
    for found in (_explicit, _weak):
        for pair in found(database, consent, user_id):
            if files is None or (files.exists(pair.better_path) and files.exists(pair.worse_path)):
                yield pair


def _explicit(database: Database, consent: bool, user_id: str | None) -> Iterator[RatedPair]:
    query = select(Pair).join(User, User.id == Pair.user_id).where(Pair.choice.in_(("left", "right", "tie")))
    if consent:
        query = query.where(Pair.consent, User.train_on_ratings)
    if user_id is not None:
        query = query.where(Pair.user_id == user_id)
    last = ""
    while True:
        with database.read() as session:
            page = session.scalars(query.where(Pair.id > last).order_by(Pair.id).limit(_AT_ONCE)).all()
        if not page:
            return
        last = page[-1].id
        images = _images(database, {one for pair in page for one in (pair.left_id, pair.right_id)})
        for pair in page:
            if pair.left_id in images and pair.right_id in images:
                yield _told(pair, images[pair.left_id], images[pair.right_id])


def _told(pair: Pair, left: Image, right: Image) -> RatedPair:
    better, worse = (right, left) if pair.choice == "right" else (left, right)
    return RatedPair(
        prompt=left.prompt,
        better=better.id,
        worse=worse.id,
        better_path=better.path,
        worse_path=worse.path,
        weight=1.0,
        tie=pair.choice == "tie",
        user=pair.user_id,
        model=pair.model,
        model_hash=pair.model_hash,
        ts=pair.answered_at or pair.asked_at,
        kind="pair",
        side="left" if pair.choice == "left" else "right" if pair.choice == "right" else None,
        ms=pair.ms,
        repeat=pair.repeat_of is not None,
    )


def _weak(database: Database, consent: bool, user_id: str | None) -> Iterator[RatedPair]:
    query = select(Rating).join(User, User.id == Rating.user_id).where(Rating.kind.in_(_TELLING))
    if consent:
        query = query.where(Rating.consent, User.train_on_ratings)
    if user_id is not None:
        query = query.where(Rating.user_id == user_id)
    last, known = "", set[tuple[str, str, str]]()
    while True:
        with database.read() as session:
            page = session.scalars(query.where(Rating.id > last).order_by(Rating.id).limit(_AT_ONCE)).all()
            users = {row.user_id for row in page}
            thinks = select(Opinion).where(Opinion.user_id.in_(users))
            opinions = {(row.user_id, row.image_id): row.rating for row in session.scalars(thinks)}
        if not page:
            return
        last = page[-1].id
        images = _images(database, {one for row in page for one in (row.image_id, *row.shown_ids)})
        for row in page:
            yield from _weak_of(row, images, opinions, known)


def _weak_of(
    row: Rating,
    images: dict[str, Image],
    opinions: dict[tuple[str, str], str],
    known: set[tuple[str, str, str]],
) -> Iterator[RatedPair]:
    """The pairs of one act; `known` are those that were told before."""
    image, mine = images.get(row.image_id), opinions.get((row.user_id, row.image_id))
    if image is None or not image.prompt or (row.kind in OPINIONS and row.kind != mine):
        return
    for other_id in row.shown_ids:
        other = images.get(other_id)
        if other is None or other.id == image.id or other.prompt != image.prompt:
            continue
        if opinions.get((row.user_id, other.id)) in _same(row.kind):
            continue
        better, worse = (image, other) if row.kind in _LIKES else (other, image)
        if (row.user_id, better.id, worse.id) in known:
            continue
        known.add((row.user_id, better.id, worse.id))
        yield RatedPair(
            prompt=image.prompt,
            better=better.id,
            worse=worse.id,
            better_path=better.path,
            worse_path=worse.path,
            weight=WEAK,
            tie=False,
            user=row.user_id,
            model=image.model if image.model_hash == other.model_hash else "",
            model_hash=image.model_hash if image.model_hash == other.model_hash else "",
            ts=row.created_at,
            kind=row.kind,
        )


def _same(kind: str) -> Collection[str]:
    """Opinions about another picture under which an act prefers neither."""
    return ("dislike",) if kind == "dislike" else ("like", "star")


def _images(database: Database, ids: Collection[str]) -> dict[str, Image]:
    """Pictures that are not deleted, by id."""
    every, found = sorted(ids), dict[str, Image]()
    with database.read() as session:
        for start in range(0, len(every), _AT_ONCE):
            part: Sequence[str] = every[start : start + _AT_ONCE]
            query = select(Image).where(Image.id.in_(part), Image.deleted_at.is_(None))
            found |= {image.id: image for image in session.scalars(query)}
    return found
