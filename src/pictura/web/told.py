"""What the API tells, as frozen values.

Fields that a studio does not tell keep their defaults; fields that are not known here are let be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Generic, TypeVar

Told = Mapping[str, Any]
T = TypeVar("T")
ENDS = frozenset(("done", "error", "cancelled"))
"""Events after which nothing more happens to a job."""
PENDING = frozenset(("queued", "running"))
"""States of jobs that have not ended."""


def read(kind: type[T], told: Told, **made: Any) -> T:
    """Fill a dataclass from JSON.

    Args:
        kind: the dataclass.
        told: by the API.
        made: fields that are values of their own, ready made.
    """
    given = {one.name: told[one.name] for one in fields(kind) if one.name in told}  # type: ignore[arg-type]
    for one in fields(kind):  # type: ignore[arg-type]
        is_needed = one.default is MISSING and one.default_factory is MISSING
        if is_needed and one.name not in given and one.name not in made:
            raise KeyError(one.name)
    return kind(**{**given, **made})


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T]):
    """Some of many things."""

    items: Sequence[T]
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A picture."""

    id: str
    job_id: str
    index: int
    width: int
    height: int
    num_bytes: int = 0
    sha256: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    """How it was painted: prompt, seed, settings, model, notices."""
    visibility: str = "private"
    created_at: float
    deleted_at: float | None = None
    liked: bool = False

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the model was told beside the words."""
        found: Mapping[str, Any] = self.details.get("settings") or {}
        return found

    @property
    def prompt(self) -> str:
        """As a person wrote it."""
        return str(self.settings.get("typed") or self.details.get("prompt") or "")

    @property
    def model(self) -> str:
        """The name of what painted it."""
        return str(self.details.get("model", ""))


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """What is wrong with a prompt, and where."""

    message: str
    column: int | None = None
    found: str | None = None
    expected: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """One request of a prompt."""

    parts: Sequence[tuple[str, float]] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptTold:
    """What a prompt means, or why it means nothing."""

    ok: bool
    error: Mistake | None = None
    num_jobs: int = 0
    prompts: Sequence[Parsed] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobError:
    """Why a job ended without its pictures."""

    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job, as far as it has come."""

    id: str
    status: str
    lane: str
    prompt: str
    resolved: str = ""
    model: str = ""
    seed: int = 0
    num_images: int = 4
    kind: str = "paint"
    choices: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    parent_id: str | None = None
    source_image_id: str | None = None
    action: Mapping[str, Any] | None = None
    position: int | None = None
    cancel_asked: bool = False
    error: JobError | None = None
    images: Sequence[Image] = ()
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it waits or runs."""
        return self.status in PENDING


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to a job."""

    kind: str
    number: int
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A user."""

    id: str
    name: str
    role: str = "user"
    limits: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Who asks."""

    user: User
    by: str
    scopes: Sequence[str] = ()
    csrf_token: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        """Whether everybody's things are theirs to see."""
        return self.user.role == "admin" and "admin" in self.scopes

    @property
    def train_on_ratings(self) -> bool:
        """Whether models may learn from this user's ratings."""
        return bool(self.settings.get("train_on_ratings", False))


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model that can paint."""

    name: str
    family: str = ""
    is_default: bool = False
    licence: str = ""
    size_mb: float = 0.0
    transparent: bool = False
    sampling: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two pictures of one prompt, of which one shall be chosen."""

    token: str
    prompt: str
    left: Image
    right: Image
    number: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class PairStats:
    """What was chosen so far."""

    pairs: int = 0
    ties: int = 0
    skips: int = 0
    repeats: int = 0
    consistency: float | None = None
    by_model: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A key of a program; `key` itself is told once, when it is made."""

    id: str
    prefix: str
    scopes: Sequence[str] = ()
    created_at: float
    last_used_at: float | None = None
    revoked_at: float | None = None
    key: str = ""


def image(told: Told) -> Image:
    """A picture."""
    return read(Image, told)


def job(told: Told) -> Job:
    """A job with its pictures."""
    error = read(JobError, told["error"]) if told.get("error") else None
    return read(Job, told, error=error, images=tuple(image(one) for one in told.get("images", ())))


def jobs(told: Told) -> list[Job]:
    """The jobs that were accepted."""
    return [job(one) for one in told["jobs"]]


def session(told: Told) -> Session:
    """Who asks."""
    return read(Session, told, user=read(User, told["user"]))


def pair(told: Told) -> Pair:
    """Two pictures to choose from."""
    return read(Pair, told, left=image(told["left"]), right=image(told["right"]))


def prompt(told: Told) -> PromptTold:
    """What a prompt means."""
    error = read(Mistake, told["error"]) if told.get("error") else None
    parts = tuple(read(Parsed, one) for one in told.get("prompts", ()))
    return read(PromptTold, told, error=error, prompts=parts)


def page(told: Told, one: Callable[[Told], T]) -> Page[T]:
    """Some of many things, each read by `one`."""
    return Page(items=[one(item) for item in told["items"]], next_cursor=told.get("next_cursor"))
