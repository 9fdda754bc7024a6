"""Pictures of people for tests: painted through the real queue, without a model."""

import functools
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image as Pixels

from pictura.jobs.queue import Queue
from pictura.jobs.values import JobRequest
from pictura.store.database import Database
from pictura.store.tables import Image


@functools.cache
def coloured(red: int, green: int = 60, blue: int = 60, side: int = 16) -> bytes:
    """A PNG with some noise, of a colour."""
    noise = np.random.default_rng(red * 65536 + green * 256 + blue).integers(-20, 20, (side, side, 3))
    pixels = np.clip(noise + np.array([red, green, blue]), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Pixels.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def paint(
    queue: Queue,
    user: str,
    prompt: str,
    data: Sequence[bytes],
    *,
    model: str = "flow",
    seed: int = 1,
    public: bool = False,
    **job: Any,
) -> list[Image]:
    """The rows of a job's pictures."""
    request = {"prompt": prompt, "model": model, "choices": {"seed": seed}}
    queue.submit(JobRequest(num_images=len(data), request=request, **job), user)
    [claim] = queue.claim("worker", 1)
    details = {"prompt": prompt, "seed": seed, "model_hash": f"{len(model):064x}"}
    images = [queue.commit_image(claim, index, one, details) for index, one in enumerate(data)]
    queue.finish(claim)
    if public:
        show(queue.database, *images)
    return images


def show(database: Database, *images: Image) -> None:
    """Make pictures public."""
    with database.write() as session:
        for image in images:
            session.get_one(Image, image.id).visibility = "public"
