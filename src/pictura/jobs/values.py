"""What the queue is given and gives out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pictura.store.tables import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """What is to be done, resolved: the same request paints the same pictures."""

    num_images: int
    request: Mapping[str, Any] = field(default_factory=dict)
    """For the worker, as JSON can hold it: prompt, model, seed, settings …"""
    kind: str = "imagine"
    parent_id: str | None = None
    """The job that it goes on from."""
    source_image_id: str | None = None
    """The picture of the studio that it goes on from."""
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    """PNG files that it begins with, by name; see `jobs.sources`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueConfig:
    """Limits of a queue."""

    max_pending_per_user: int = 100
    """Jobs of one user that wait or run."""
    max_pending: int = 10_000
    """Jobs of all."""
    max_attempts: int = 3
    """Of a job whose worker was lost or which failed for now; after so many it is dead."""
    ageing_s: float = 60.0
    """Waiting so long raises a job by one lane."""
    patience_s: float = 30.0
    """A job that waited so long is passed over no more: the line closes behind it until it fits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """A job that a worker holds, as it was when it was claimed."""

    job: Job
    token: str
    lease_s: float
    committed: frozenset[int]
    """Indices of pictures that an earlier attempt committed; they need no painting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat:
    """What a worker must know of a job it holds."""

    still_mine: bool
    """False: drop it, nothing of it can be committed any more."""
    cancel_asked: bool
    """True: stop, and release it."""
