"""A painter's student: what a model folder says of the change of low rank that `--draft` paints with.

The student is the model's network with the pairs of factors in ``student.safetensors`` added, painted in few
steps without guidance. model.json tells of it under ``student``:

    sampling    how it paints
    learnt      how it was made (`learn/card.py`); metrics, where it was measured

It does not change what the model paints without it, so it is no part of the model's hash: it has its own.
"""

from dataclasses import dataclass

from pictura.core.errors import ModelError
from pictura.store.models import STUDENT, ModelInfo, Sampling, sampling_in


@dataclass(frozen=True, kw_only=True, slots=True)
class Student:
    """What a folder says about its student."""

    sampling: Sampling
    """How it paints."""
    hash: str
    """First 12 hex digits of the SHA-256 of its file: pictures that it painted name it so."""
    size_mb: float | None
    """None where the file is not there."""


_SHARE, _FEWEST = 1 / 2, 4


def draft_steps(model: ModelInfo) -> int:
    """Steps of a draft that the model itself paints: half of the usual ones, but at least 4."""
    usual = model.sampling.num_steps
    return min(usual, max(_FEWEST, round(usual * _SHARE)))


def student_of(model: ModelInfo) -> Student | None:
    """The student of a model; None where it has none.

    Raises:
        ModelError: model.json tells of one wrongly.
    """
    said = model.manifest.get("student")
    if said is None:
        return None
    path = model.path / STUDENT
    try:
        return Student(
            sampling=sampling_in(said["sampling"]),
            hash=model.files[STUDENT][:12],
            size_mb=round(path.stat().st_size / 1e6, 2) if path.is_file() else None,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"model.json of {model.name!r} tells of a student wrongly ({error!r}). Export it again."
        ) from error
