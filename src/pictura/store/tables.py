"""The tables of the studio: users, keys, logins, jobs, pictures, events, settings.

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
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

Lane = Literal["draft", "fast", "relax"]
State = Literal["queued", "running", "done", "failed", "cancelled", "dead"]
EventKind = Literal["queued", "started", "progress", "preview", "image", "done", "error", "cancelled"]
Visibility = Literal["private", "public"]

LANES: tuple[Lane, ...] = ("draft", "fast", "relax")
"""From the most to the least urgent."""
PENDING: tuple[State, ...] = ("queued", "running")
"""The states of a job that has not ended."""
_ID_DIGITS = 22


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
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    lane: Mapped[Lane]
    state: Mapped[State] = mapped_column(default="queued")
    kind: Mapped[str] = mapped_column(String(32))
    request: Mapped[dict[str, Any]]
    """Resolved and frozen: the same request paints the same pictures."""
    num_images: Mapped[int]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), default=None)
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


class Image(Base, kw_only=True, eq=False):
    """A picture of a job; its files are in `store.files`."""

    __tablename__ = "images"
    __table_args__ = (UniqueConstraint("job_id", "index"),)

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
    """How it was painted: what its file says of itself, for searching."""
    created_at: Mapped[float]
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


class Setting(Base, kw_only=True, eq=False):
    """A setting that an administrator changed."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[dict[str, Any]]
    changed_at: Mapped[float] = mapped_column(default_factory=time.time)
