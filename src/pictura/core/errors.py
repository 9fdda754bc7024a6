"""Every error that Pictura shows to a person.

    PicturaError
    ├── ConfigError          a setting, recipe or network configuration is impossible
    ├── PromptError          the prompt cannot be painted
    ├── SizeError            the picture size cannot be painted
    ├── DataError            a captioned image set is missing, unreadable or wrong
    ├── ModelNotFoundError   no model has that name or path
    ├── ModelError           a model folder is damaged or of another format
    ├── MetadataError        a picture does not say how it was painted
    ├── MissingExtraError    a part of Pictura is not installed
    ├── DeviceError          the asked-for device is not there
    ├── StorageError         a file cannot be written or opened (disk full, no permission)
    ├── TrainingError        a training run cannot go on (diverged, bad checkpoint)
    ├── RewardError          a reward failed, gave too few numbers, or did not answer in time
    ├── DatabaseError        the database is not there, does not answer, or is of a newer Pictura
    ├── NotFoundError        no job or picture of that user has that id
    │   └── NoPairsError     there are no two pictures left to choose between
    ├── QueueFullError       too many jobs wait
    ├── KeyReusedError       an idempotency key came again with another request
    ├── LeaseLostError       a job that a worker held was given to another one, or ended
    ├── LoginError           a request to the studio does not say who asks, or the key or password is wrong
    ├── NotAllowedError      who asks may not do that
    ├── LimitError           too many requests, or pictures, in too short a time
    ├── BudgetError          one request asks for more than its user may ever ask for at once
    ├── TooLargeError        a request has more bytes than the studio reads
    ├── PolicyError          the studio's administrator does not allow such prompts
    ├── ConflictError        the name is taken
    ├── TooSlowError         a picture did not come in time
    └── NoWorkerError        no worker of the studio answers

A message says where, what was expected, what came, what to do, in at most two sentences. Anything
else that is raised is a bug of ours.
"""

import difflib
from collections.abc import Iterable


class PicturaError(Exception):
    """Base of all errors that are shown to a person as one sentence."""

    code = "pictura_error"
    """Stable name for programs."""
    http_status = 500
    exit_code = 1


class ConfigError(PicturaError):
    """A setting, recipe or network configuration is impossible."""

    code = "bad_config"
    http_status = 422
    exit_code = 2


class PromptError(PicturaError):
    """The prompt cannot be painted."""

    code = "bad_prompt"
    http_status = 422
    exit_code = 2


class SizeError(PicturaError):
    """The picture size cannot be painted."""

    code = "bad_size"
    http_status = 422
    exit_code = 2


class DataError(PicturaError):
    """A captioned image set is missing, unreadable or wrong."""

    code = "bad_data"
    http_status = 422
    exit_code = 3


class ModelNotFoundError(PicturaError):
    """No model has that name or path."""

    code = "model_not_found"
    http_status = 404
    exit_code = 4


class ModelError(PicturaError):
    """A model folder is damaged or of another format."""

    code = "bad_model"
    http_status = 500
    exit_code = 5


class MetadataError(PicturaError):
    """A picture does not say how it was painted."""

    code = "no_metadata"
    http_status = 422
    exit_code = 6


class MissingExtraError(PicturaError):
    """A part of Pictura is not installed."""

    code = "missing_extra"
    http_status = 501
    exit_code = 7


class DeviceError(PicturaError):
    """The asked-for device is not there."""

    code = "no_device"
    http_status = 503
    exit_code = 8


class StorageError(PicturaError):
    """A file cannot be written or opened."""

    code = "cannot_write"
    http_status = 507
    exit_code = 9


class TrainingError(PicturaError):
    """A training run cannot go on."""

    code = "training_failed"
    http_status = 500
    exit_code = 10


class RewardError(PicturaError):
    """A reward failed, gave something else than one number for each picture, or did not answer in time."""

    code = "bad_reward"
    http_status = 502
    exit_code = 11


class DatabaseError(PicturaError):
    """The database is not there, does not answer, or was made by a newer Pictura."""

    code = "no_database"
    http_status = 503
    exit_code = 12


class NotFoundError(PicturaError):
    """No job or picture of that user has that id."""

    code = "not_found"
    http_status = 404
    exit_code = 13


class NoPairsError(NotFoundError):
    """There are no two pictures left to choose between."""

    code = "no_pairs"


class QueueFullError(PicturaError):
    """Too many jobs wait, of one user or of all."""

    code = "queue_full"
    http_status = 429
    exit_code = 14


class KeyReusedError(PicturaError):
    """An idempotency key came again with another request."""

    code = "key_reused"
    http_status = 409
    exit_code = 15


class LeaseLostError(PicturaError):
    """A job that a worker held was given to another one, or ended."""

    code = "lease_lost"
    http_status = 409
    exit_code = 16


class LoginError(PicturaError):
    """A request does not say who asks, or the key or password is wrong."""

    code = "unauthenticated"
    http_status = 401
    exit_code = 17


class NotAllowedError(PicturaError):
    """Who asks may not do that."""

    code = "forbidden"
    http_status = 403
    exit_code = 18


class LimitError(PicturaError):
    """Too many requests, or pictures, in too short a time."""

    code = "rate_limited"
    http_status = 429
    exit_code = 19

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BudgetError(PicturaError):
    """One request asks for more than its user may ever ask for at once."""

    code = "over_budget"
    http_status = 422
    exit_code = 20


class TooLargeError(PicturaError):
    """A request has more bytes than the studio reads."""

    code = "too_large"
    http_status = 413
    exit_code = 21


class PolicyError(PicturaError):
    """The studio's administrator does not allow such prompts."""

    code = "refused_by_policy"
    http_status = 422
    exit_code = 22


class ConflictError(PicturaError):
    """The name is taken."""

    code = "conflict"
    http_status = 409
    exit_code = 23


class TooSlowError(PicturaError):
    """A picture did not come in time."""

    code = "too_slow"
    http_status = 504
    exit_code = 24


class NoWorkerError(PicturaError):
    """No worker of the studio answered in time."""

    code = "no_worker"
    http_status = 503
    exit_code = 25


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End a message about an unknown `name`: the nearest known names, or all of them if few.

    Args:
        name: what came.
        known: what is allowed.

    Returns:
        A sentence such as ``Did you mean 'flow'?``, or ``Known: 'a', 'b'.``; empty if nothing is known.
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return "Did you mean " + " or ".join(repr(n) for n in near) + "?"
    if not names:
        return ""
    shown = ", ".join(repr(n) for n in names[:12]) + (", …" if len(names) > 12 else "")
    return f"Known: {shown}."
