"""A model paints a benchmark: one folder of pictures, filled in any number of sittings.

A picture that is there already with the same model, seed, prompt and settings is not painted again. On a
CPU several processes may paint side by side, each on one thread.

Letters P prompts, S seeds, I pictures of each prompt and seed.
"""

import hashlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pictura.core.errors import DeviceError, MetadataError
from pictura.evaluate.benchmark import Benchmark, Prompt
from pictura.evaluate.sources import PictureSet, hash_files
from pictura.pipeline import Painter, load
from pictura.runtime.onnx_backend import available_cores
from pictura.runtime.open import open_on_cpu
from pictura.sample.request import advised
from pictura.store.metadata import read_metadata
from pictura.store.models import AS_LEARNT, ModelInfo, read_model

Progress = Callable[[str, int, int], None]
"""Called with (what is done, how much of it is done, how much there is)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """The pictures of one prompt and seed that are missing."""

    prompt: str
    seed: int
    paths: tuple[Path, ...]
    """Where pictures 0 to I - 1 belong."""
    size: tuple[int, int]


def paint_benchmark(
    model: ModelInfo,
    benchmark: Benchmark,
    folder: Path,
    *,
    images: int,
    seeds: int,
    strength: float = AS_LEARNT,
    device: str = "auto",
    processes: int | None = None,
    on_progress: Progress | None = None,
) -> PictureSet:
    """Paint what is missing of a benchmark, at the size that the model was trained for.

    Args:
        model: that paints.
        benchmark: its prompts.
        folder: for the folder of this model's pictures.
        images: pictures of each prompt and seed.
        seeds: how many seeds, 0 to `seeds` - 1.
        strength: of what the model learnt, as in `pipeline.load`; another than 100 stands in the set's name.
        device: as in `pipeline.load`.
        processes: that paint side by side on a CPU; None takes one a core.
        on_progress: told of pictures painted.

    Raises:
        ModelError: the model is damaged or does not paint.
        ConfigError: the model cannot be loaded at this strength.
        PromptError: a prompt cannot be painted.
        StorageError: the pictures cannot be written.
    """
    settings = _settings(model, strength)
    h, w = model.grids[0]
    size = (w * model.factor, h * model.factor)
    name = model.name if strength == AS_LEARNT else f"{model.name}@{strength:g}"
    own = folder / f"{name}-{model.hash[:10]}-{_key(settings)}"
    jobs = [
        _Job(
            prompt=prompt.text,
            seed=noise_seed(prompt, seed),
            paths=tuple(own / prompt.task / f"{prompt.id}-s{seed}-{i + 1}.png" for i in range(images)),
            size=size,
        )
        for prompt in benchmark.prompts
        for seed in range(seeds)
    ]
    total = len(jobs) * images
    missing = [(job, gone) for job in jobs if (gone := _missing(job, model, settings))]
    done = total - sum(len(gone) for _, gone in missing)
    tell = on_progress or (lambda *_: None)
    what = f"painting with {name}"
    tell(what, done, total)
    start = time.perf_counter()
    used = {"device": "none", "processes": 0}
    if missing:
        model.verify()
        for number, by in _paint(model, strength, missing, device, processes):
            done, used = done + number, by
            tell(what, done, total)
    seconds = time.perf_counter() - start
    paths = tuple(path for job in jobs for path in job.paths)
    return PictureSet(
        name=name,
        kind="model",
        paths=paths,
        images=images,
        seeds=seeds,
        size=size,
        hash=hash_files(paths),
        model=model,
        painting={
            **used,
            "num_painted": sum(len(gone) for _, gone in missing),
            "seconds": round(seconds, 2),
            "settings": settings,
        },
    )


def noise_seed(prompt: Prompt, seed: int) -> int:
    """The painter's seed for one prompt: other noise for each, the same for every model."""
    return int.from_bytes(hashlib.sha256(f"{seed} {prompt.text}".encode()).digest()[:4], "big")


def _settings(model: ModelInfo, strength: float) -> dict[str, Any]:
    found = advised(model)
    model.check_strength(strength)
    return {**found, "strength": strength} if model.deltas else found


def _key(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:6]


def _missing(job: _Job, model: ModelInfo, settings: Mapping[str, Any]) -> tuple[int, ...]:
    """Numbers of the pictures that are not there, or were painted otherwise."""
    wanted = {**settings, "size": list(job.size)}
    gone = []
    for i, path in enumerate(job.paths):
        try:
            said = read_metadata(path)
        except MetadataError:
            gone.append(i)
            continue
        same = (said["prompt"], said["seed"], said["index"], said["model_hash"]) == (
            job.prompt,
            job.seed,
            i,
            model.hash,
        )
        if not same or any(said["settings"].get(name) != value for name, value in wanted.items()):
            gone.append(i)
    return tuple(gone)


def _paint(
    model: ModelInfo,
    strength: float,
    missing: Sequence[tuple[_Job, tuple[int, ...]]],
    device: str,
    processes: int | None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Paint; yields (pictures written, what painted) after each job."""
    count = processes or max(1, min(available_cores(), len(missing) // 8))
    if device != "cpu":
        painter = load(model.path, device=device, strength=strength)
        if painter.device != "cpu" or count == 1:
            for job, gone in missing:
                yield _paint_job(painter, job, gone), {"device": painter.device, "processes": 1}
            return
    if device not in ("auto", "cpu"):
        raise DeviceError(f"The device {device!r} is not there.")
    used = {"device": "cpu", "processes": count}
    if count == 1:
        painter = load(model.path, device="cpu", strength=strength)
        for job, gone in missing:
            yield _paint_job(painter, job, gone), used
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, spawn, initializer=_open_painter, initargs=(model.path, strength))
    try:
        for future in as_completed([pool.submit(_paint_here, job, gone) for job, gone in missing]):
            yield future.result(), used
    finally:
        pool.shutdown(cancel_futures=True)


def _paint_job(painter: Painter, job: _Job, gone: tuple[int, ...]) -> int:
    """Paint the missing pictures of one job and write them; return how many."""
    first, last = gone[0], gone[-1]
    pictures = painter.paint(
        job.prompt, num_images=last - first + 1, first=first, seed=job.seed, size=job.size
    )
    for i in gone:
        pictures[i - first].save(job.paths[i])
    return len(gone)


_painter: Painter | None = None
"""Of a process of the pool."""


def _open_painter(folder: Path, strength: float) -> None:
    global _painter
    model = read_model(folder)
    _painter = Painter(model, open_on_cpu(model, num_threads=1, strength=strength))


def _paint_here(job: _Job, gone: tuple[int, ...]) -> int:
    assert _painter is not None
    return _paint_job(_painter, job, gone)
