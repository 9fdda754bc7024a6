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
    └── RewardError          a reward failed, gave too few numbers, or did not answer in time

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
