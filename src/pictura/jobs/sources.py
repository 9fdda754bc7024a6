"""Pictures that jobs begin with: uploads, and pictures that the studio painted before.

A job's request holds no picture, only names: ``pictures``, a name such as ``image`` or ``mask`` to a path in
`store.files`. A file that a job names is kept for as long as the job waits, runs, or ended less than
`store.gallery.KEEP_USED_S` ago, so that it can be done again (`store.gallery.sweep`).
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image
from sqlalchemy.orm import Session

from pictura.core.errors import NotFoundError
from pictura.jobs.values import JobRequest
from pictura.store.files import Files
from pictura.store.tables import Job, JobPicture

KEY = "pictures"
"""In a request."""
_FORMATS = ("PNG", "WEBP", "JPEG")
_OLD = ("image", "mask")
"""Keys of requests that were made when these still held pictures themselves, in base64."""


def stored(files: Files, requests: Sequence[JobRequest]) -> list[JobRequest]:
    """Requests that name their uploads, which are on the disk now.

    Raises:
        StorageError: the place is full or cannot be written.
    """
    known = dict[bytes, str]()  # the jobs of one prompt share their pictures
    return [_named(files, request, known) if request.uploads else request for request in requests]


def _named(files: Files, request: JobRequest, known: dict[bytes, str]) -> JobRequest:
    for data in request.uploads.values():
        if data not in known:
            known[data] = files.put_upload(data)
    names = {**request.request.get(KEY, {}), **{name: known[data] for name, data in request.uploads.items()}}
    return replace(request, request={**request.request, KEY: names}, uploads={})


def hold(session: Session, files: Files, jobs: Iterable[Job]) -> None:
    """Keep the files that jobs name from being swept, within the transaction that makes the jobs wait.

    Raises:
        NotFoundError: one of them is not there any more.
    """
    for job in jobs:
        for name, path in job.request.get(KEY, {}).items():
            if not files.exists(path):
                raise _gone(name)
            session.merge(JobPicture(job_id=job.id, name=name, path=path))


def opened(files: Files, request: Mapping[str, Any]) -> dict[str, Image.Image]:
    """The pictures that a job begins with, by name.

    Args:
        files: that hold them.
        request: of the job.

    Raises:
        NotFoundError: one of them is not there any more.
        StorageError: the place does not answer.
    """
    found = {name: _decoded(base64.b64decode(request[name])) for name in _OLD if name in request}
    for name, path in request.get(KEY, {}).items():
        if not files.exists(path):
            raise _gone(name)
        found[name] = _decoded(files.read(path))
    return found


def _decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    image.load()
    return image


def _gone(name: str) -> NotFoundError:
    return NotFoundError(f"The picture {name!r} that this begins with is not kept any more; send it again.")
