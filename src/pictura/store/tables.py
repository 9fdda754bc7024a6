"""The tables of the studio: users, keys, logins, jobs, pictures, events, settings, ratings.

Units   every `…_at` is seconds since 1970 (UTC); ids of users, keys and jobs are texts that sort by time.
A change here needs a migration in `store.migrations`; a test compares the two.
"""

import secrets
import time
from typing import Any, ClassVar, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    column,
    func,
    select,
    table,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

Lane = Literal["draft", "fast", "relax"]
State = Literal["queued", "running", "done", "failed", "cancelled", "dead"]
EventKind = Literal["queued", "started", "progress", "preview", "image", "done", "error", "cancelled"]
Visibility = Literal["private", "public"]
RatingKind = Literal[
    "view",
    "like",
    "unlike",
    "dislike",
    "star",
    "upscale",
    "vary",
    "download",
    "delete",
    "report",
    "reroll",
]
Surface = Literal["feed", "lightbox", "gallery", "rank", "api"]
Choice = Literal["left", "right", "tie", "skip"]
ChosenBy = Literal["informative", "least_shown", "repeat"]

LANES: tuple[Lane, ...] = ("draft", "fast", "relax")
"""From the most to the least urgent."""
PENDING: tuple[State, ...] = ("queued", "running")
"""The states of a job that has not ended."""
_ID_DIGITS = 22
PLACES = 1024
"""Numbers that each job has for its pictures' places in the gallery."""


def new_id(after: str = "") -> str:
    """An id: 22 hexadecimal digits, 12 of them the time in ms, the others by chance.

    Args:
        after: an id that the new one must sort behind, whatever the clock does.
    """
    number = (time.time_ns() // 1_000_000 << 40) | secrets.randbits(40)
    return f"{max(number, int(after or '0', 16) + 1):0{_ID_DIGITS}x}"


class Base(MappedAsDataclass, DeclarativeBase):
    """All tables; constraints are named, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        dict[str, Any]: JSON,  # not JSONB, which refuses some of the texts that people can send
        list[str]: JSON,
        float: Double,
        Lane: String(8),
        State: String(12),
        EventKind: String(12),
        Visibility: String(8),
        RatingKind: String(16),
        Surface: String(16),
        Choice: String(8),
        ChosenBy: String(16),
    }


class User(Base, kw_only=True, eq=False):
    """Who may ask for pictures."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(_ID_DIGITS), primary_key=True, default_factory=new_id)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16), default="user")
    password_hash: Mapped[str | None] = mapped_column(Text, default=None, repr=False)
    created_at: Mapped[float] = mapped_column(default_factory=time.time)
    served: Mapped[int] = mapped_column(BigInteger, default=0)
    """Number of the latest claim that was for this user; the smallest is the one served longest ago."""
    disabled_at: Mapped[float | None] = mapped_column(default=None)
    """Since when the user may do nothing any more."""
    train_on_ratings: Mapped[bool] = mapped_column(default=False)
    """Whether models may learn from what this user rates."""


class ApiKey(Base, kw_only=True, eq=False):
    """A key by which programs act for a user; only its hash is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(_ID_DIGITS), primary_key=True, default_factory=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    hash: Mapped[str] = mapped_column(String(128), unique=True, repr=False)
    prefix: Mapped[str] = mapped_column(String(16))
    """The first characters, by which people tell their keys apart."""
    scopes: Mapped[list[str]]
    created_at: Mapped[float] = mapped_column(default_factory=time.time)
    last_used_at: Mapped[float | None] = mapped_column(default=None)
    revoked_at: Mapped[float | None] = mapped_column(default=None)


class LoginSession(Base, kw_only=True, eq=False):
    """A browser in which a user is logged in; only the hash of its token is kept."""

    __tablename__ = "login_sessions"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True, repr=False)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[float] = mapped_column(default_factory=time.time)
    expires_at: Mapped[float]


_NEXT = select(func.coalesce(func.max(column("number")), 0) + 1).select_from(table("jobs")).scalar_subquery()


class Job(Base, kw_only=True, eq=False):
    """A request and how far it has come."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key", "part"),
        Index(None, "state", "id"),
        Index(None, "user_id", "id"),
    )

    id: Mapped[str] = mapped_column(String(_ID_DIGITS), primary_key=True)
    """Sorts in the order of arrival."""
    number: Mapped[int] = mapped_column(BigInteger, insert_default=_NEXT, init=False, unique=True, index=True)
    """Counts in the order of arrival."""
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    lane: Mapped[Lane]
    state: Mapped[State] = mapped_column(default="queued")
    kind: Mapped[str] = mapped_column(String(32))
    request: Mapped[dict[str, Any]]
    """Resolved and frozen: the same request paints the same pictures."""
    num_images: Mapped[int]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), default=None, index=True)
    source_image_id: Mapped[str | None] = mapped_column(String(_ID_DIGITS + 6), default=None, index=True)
    """The picture that it goes on from; it may be gone by now."""
    max_attempts: Mapped[int]
    attempt: Mapped[int] = mapped_column(default=0)
    """How many times it was claimed, those that were given back not counted."""
    lease_until: Mapped[float | None] = mapped_column(default=None)
    lease_token: Mapped[str | None] = mapped_column(String(32), default=None)
    """Of the claim that may commit; every claim has its own."""
    worker: Mapped[str | None] = mapped_column(Text, default=None)
    cancel_asked: Mapped[bool] = mapped_column(default=False)
    error_code: Mapped[str | None] = mapped_column(String(64), default=None)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    idempotency_key: Mapped[str | None] = mapped_column(String(255), default=None)
    part: Mapped[int] = mapped_column(default=0)
    """Its number among the jobs that were submitted together."""
    fingerprint: Mapped[str | None] = mapped_column(String(64), default=None)
    """Of what the client sent with the idempotency key."""
    created_at: Mapped[float]
    started_at: Mapped[float | None] = mapped_column(default=None)
    finished_at: Mapped[float | None] = mapped_column(default=None)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    """What came of a job that paints nothing."""


class JobPicture(Base, kw_only=True, eq=False):
    """A file that a job begins with; while there is such a row, the file is kept."""

    __tablename__ = "job_pictures"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Such as image or mask."""
    path: Mapped[str] = mapped_column(String(128), index=True)
    """In `store.files`: of an upload, or of a picture that was painted here."""


_SEARCHED = ("deleted_at", "visibility", "width", "created_at", "kind", "model")


class Image(Base, kw_only=True, eq=False):
    """A picture of a job; its files are in `store.files`."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("job_id", "index"),
        # With all that a search may ask for: it reads the index alone, far fewer bytes than the rows.
        Index("ix_images_gallery", "place", "user_id", *_SEARCHED),
        Index("ix_images_of_user", "user_id", "place", *_SEARCHED),
        Index("ix_images_of_model", "user_id", "model", "deleted_at", "place"),
        Index(None, "visibility", "place"),
        Index("ix_images_of_seed", "user_id", "seed", "place"),
        Index("ix_images_of_parent", "user_id", "parent_id", "place"),
        Index("ix_images_of_source", "user_id", "source_image_id", "place"),
    )

    id: Mapped[str] = mapped_column(String(_ID_DIGITS + 6), primary_key=True)
    """That of its job, and its index."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    index: Mapped[int]
    """Among the pictures of its job, from 0."""
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    path: Mapped[str] = mapped_column(String(128))
    thumb_path: Mapped[str] = mapped_column(String(128))
    width: Mapped[int]
    height: Mapped[int]
    num_bytes: Mapped[int]
    details: Mapped[dict[str, Any]]
    """How it was painted: what its file says of itself."""
    created_at: Mapped[float]
    user_id: Mapped[str] = mapped_column(String(_ID_DIGITS))
    """Whose it is. This and what follows is copied from its job and its details, so that it is found fast."""
    place: Mapped[int] = mapped_column(BigInteger)
    """In the gallery, the greatest first: `PLACES` for each job, and within a job the first picture first."""
    prompt: Mapped[str] = mapped_column(Text, default="")
    search: Mapped[str] = mapped_column(Text, default="", repr=False)
    """The prompt's words as `store.search` compares them; the database keeps an index of them."""
    model: Mapped[str] = mapped_column(String(255), default="")
    model_hash: Mapped[str] = mapped_column(String(64), default="")
    kind: Mapped[str] = mapped_column(String(32), default="")
    seed: Mapped[int | None] = mapped_column(BigInteger, default=None)
    parent_id: Mapped[str | None] = mapped_column(String(_ID_DIGITS), default=None)
    source_image_id: Mapped[str | None] = mapped_column(String(_ID_DIGITS + 6), default=None)
    features: Mapped[list[float] | None] = mapped_column(JSON(none_as_null=True), default=None, repr=False)
    """What `store.ratings.looks` measured of it; None until somebody asked."""
    visibility: Mapped[Visibility] = mapped_column(default="private")
    deleted_at: Mapped[float | None] = mapped_column(default=None, index=True)


class Event(Base, kw_only=True, eq=False):
    """What happened to a job, in order; ids rise over all jobs and are never used twice."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "job_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True, init=False
    )
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    kind: Mapped[EventKind]
    payload: Mapped[dict[str, Any]]
    at: Mapped[float]


class Bucket(Base, kw_only=True, eq=False):
    """Tokens that a user or an address has left; see `api.access.buckets`."""

    __tablename__ = "buckets"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    left: Mapped[float]
    at: Mapped[float] = mapped_column(index=True)
    """When there were so many."""


class Setting(Base, kw_only=True, eq=False):
    """A setting that an administrator changed."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[dict[str, Any]]
    changed_at: Mapped[float] = mapped_column(default_factory=time.time)


class Rating(Base, kw_only=True, eq=False):
    """What a user did with a picture, what was shown beside it, and where."""

    __tablename__ = "ratings"
    __table_args__ = (Index(None, "user_id", "id"),)

    id: Mapped[str] = mapped_column(String(_ID_DIGITS), primary_key=True, default_factory=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[RatingKind]
    image_id: Mapped[str] = mapped_column(String(_ID_DIGITS + 6), index=True)
    """The picture may be gone by now."""
    slot: Mapped[int | None] = mapped_column(default=None)
    """Its place among what was shown, from 0."""
    shown_ids: Mapped[list[str]] = mapped_column(default_factory=list)
    """All pictures that were seen together."""
    surface: Mapped[Surface] = mapped_column(default="api")
    model: Mapped[str] = mapped_column(String(255))
    model_hash: Mapped[str] = mapped_column(String(64))
    consent: Mapped[bool]
    """Whether models might learn from it when it was given."""
    created_at: Mapped[float]


class Pair(Base, kw_only=True, eq=False):
    """Two pictures of one prompt that a user was asked to choose between."""

    __tablename__ = "pairs"
    __table_args__ = (Index(None, "user_id", "id"),)

    id: Mapped[str] = mapped_column(String(_ID_DIGITS), primary_key=True, default_factory=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    token: Mapped[str] = mapped_column(String(32), unique=True)
    """By which it is answered."""
    left_id: Mapped[str] = mapped_column(String(_ID_DIGITS + 6))
    right_id: Mapped[str] = mapped_column(String(_ID_DIGITS + 6))
    model: Mapped[str] = mapped_column(String(255))
    """That painted both; empty if two did."""
    model_hash: Mapped[str] = mapped_column(String(64))
    chosen_by: Mapped[ChosenBy]
    repeat_of: Mapped[str | None] = mapped_column(String(_ID_DIGITS), default=None, index=True)
    """The pair that had the same pictures with sides changed."""
    choice: Mapped[Choice | None] = mapped_column(default=None)
    """None until it is answered."""
    ms: Mapped[int | None] = mapped_column(default=None)
    """How long the user looked."""
    consent: Mapped[bool] = mapped_column(default=False)
    """Whether models might learn from it when it was given."""
    asked_at: Mapped[float]
    answered_at: Mapped[float | None] = mapped_column(default=None)


class Opinion(Base, kw_only=True, eq=False):
    """What a user thinks of a picture now: the newest of like, dislike and star."""

    __tablename__ = "opinions"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    image_id: Mapped[str] = mapped_column(String(_ID_DIGITS + 6), primary_key=True)
    rating: Mapped[str] = mapped_column(String(8))
