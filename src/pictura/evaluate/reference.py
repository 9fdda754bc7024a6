"""The floors and ceilings of every table: real pictures, and pictures made worse on purpose.

For GlyphBench the real pictures are renders of its own claims: those of glyphs for training are the
reference that sets are compared with, those of the other glyphs are the ceiling. For captions they are the
two halves of a captioned image set.

Letters N pictures.
Units   float32 (N, 3, 64, 64) in [0, 1].
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pictura.data
from pictura.core.errors import DataError
from pictura.core.images import from_uint8, on_background
from pictura.data.glyphs import GlyphSet, fingerprint
from pictura.data.resize import to_square
from pictura.data.scenes.renders import Renders
from pictura.data.sources import open_source
from pictura.data.vocabulary.holdouts import Holdouts, Split
from pictura.data.vocabulary.world import World
from pictura.evaluate.benchmark import Benchmark, Prompt
from pictura.evaluate.pictures import blur, low_resolution
from pictura.evaluate.scorers import SIZE, Floats, Pictures
from pictura.store.atomic import atomic_file

BLURS = (1, 2, 4)
"""Radii in pixels."""
SHRINKS = (2, 4)
_PARTS: tuple[tuple[str, tuple[Split, ...], int], ...] = (
    ("reference", ("train",), 1),
    ("real", ("validation", "test"), 2),
)
"""Name, split of the glyphs, seed."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Real pictures in two sets without a common original."""

    about: str
    compared_with: Pictures
    """What FD and the like compare every set with."""
    real: Pictures
    """The ceiling."""


def load_reference(path: Path, benchmark: Benchmark, *, per_prompt: int, cache: Path) -> Reference:
    """Open real pictures for a benchmark.

    Args:
        path: a glyph pack for a benchmark with claims, else a captioned image set.
        benchmark: whose prompts the pictures shall show.
        per_prompt: pictures of each prompt, where they are rendered.
        cache: a folder in which renders are kept.

    Raises:
        DataError: it cannot be read, or holds too few pictures.
    """
    if benchmark.judged:
        return _renders(path, benchmark, per_prompt, cache)
    return _halves(path)


def blurred(pictures: Pictures, radius: float) -> Pictures:
    """The same pictures behind a Gaussian blur of `radius` pixels."""
    return _worse(pictures, f"blurred, radius {radius}", lambda images: blur(images, radius))


def shrunk(pictures: Pictures, factor: int) -> Pictures:
    """The same pictures scaled down by `factor` and up again."""
    return _worse(pictures, f"from {SIZE // factor} pixels", lambda images: low_resolution(images, factor))


def shuffled(pictures: Pictures, *, seed: int = 0) -> Pictures:
    """The same pictures, each prompt's under the prompt of others: what chance reaches."""
    order = list(dict.fromkeys(pictures.prompts))
    if len(order) < 2:
        raise DataError("Captions can be shuffled only among two prompts or more; there is one.")
    drawn = [order[i] for i in np.random.Generator(np.random.Philox(seed)).permutation(len(order))]
    other = dict(zip(drawn, drawn[1:] + drawn[:1], strict=True))
    return replace(
        pictures,
        name=f"{pictures.name}, shuffled captions",
        prompts=tuple(other[prompt] for prompt in pictures.prompts),
    )


def _worse(pictures: Pictures, how: str, change: Callable[[Floats], Floats]) -> Pictures:
    digest = hashlib.sha256(f"{pictures.hash} {how}".encode()).hexdigest()[:12]
    name = f"{pictures.name}, {how}"
    return replace(pictures, name=name, hash=digest, load=lambda: change(pictures.load()))


def _renders(path: Path, benchmark: Benchmark, per_prompt: int, folder: Path) -> Reference:
    file = folder / f"renders-{_key(path, benchmark, per_prompt)}.npz"
    if not file.is_file():
        made = _paint(path, benchmark, per_prompt)
        with atomic_file(file) as temporary, temporary.open("wb") as out:
            np.savez_compressed(out, **made)  # type: ignore[arg-type]
    with np.load(file, allow_pickle=False) as kept:
        compared_with, real = (
            _kept(name, kept[f"images_{part}"], [benchmark.prompts[i] for i in kept[f"prompts_{part}"]])
            for part, name in (("reference", "renders of the train split"), ("real", "real renders"))
        )
    shown = len(set(real.prompts))
    return Reference(
        about=f"Renders of the benchmark's claims from the pack {path.name}: {len(compared_with)} of glyphs "
        f"for training to compare with, {len(real)} of glyphs that no painter learnt from as the ceiling; "
        f"these show {shown} of the {len(benchmark.prompts)} prompts.",
        compared_with=compared_with,
        real=real,
    )


def _paint(path: Path, benchmark: Benchmark, per_prompt: int) -> dict[str, NDArray[Any]]:
    """Pictures uint8 (N, 3, 64, 64) of both sets, and the place of each one's prompt (N,)."""
    glyphs = GlyphSet.load(path, size=2 * SIZE)  # as sharp as for training
    world, holdouts = World.load(), Holdouts.load()
    made: dict[str, NDArray[Any]] = {}
    for part, splits, seed in _PARTS:
        renders = Renders(glyphs, world=world, holdouts=holdouts, splits=splits, size=SIZE)
        asked = [(i, p, p.claim) for i, p in enumerate(benchmark.prompts) if p.claim is not None]
        can = [row for row in asked if renders.shows(row[2])]
        if len(can) < 2:
            raise DataError(
                f"{path}: the glyphs of the {' and '.join(splits)} split show none of the prompts."
            )
        # As many as a model paints, whatever can be shown: FD depends on the number.
        turns = sorted(i % len(can) for i in range(per_prompt * len(benchmark.prompts)))
        shown = [can[i] for i in turns]
        rgba = renders.paint([claim for *_, claim in shown], seed, styles=[p.style for _, p, _ in shown])
        images = np.clip(on_background(rgba), 0, 1)
        made[f"images_{part}"] = np.rint(images * 255).astype(np.uint8)  # as if from files
        made[f"prompts_{part}"] = np.array([place for place, *_ in shown])
    return made


def _key(path: Path, benchmark: Benchmark, per_prompt: int) -> str:
    """Of the pack, what is asked of it, and the code that paints it."""
    code = b"".join(f.read_bytes() for f in sorted(Path(pictura.data.__file__).parent.rglob("*.py")))
    facts = f"{fingerprint(path)} {benchmark.hash} {per_prompt}"
    return hashlib.sha256(facts.encode() + code).hexdigest()[:12]


def _kept(name: str, images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Pictures:
    digest = hashlib.sha256(images.tobytes()).hexdigest()[:12]
    return Pictures(name=name, hash=digest, prompts=tuple(prompts), load=lambda: from_uint8(images))


def _halves(path: Path) -> Reference:
    source = open_source(path)
    rows = [(record.captions[0], _seen(picture)) for record, picture in source.pictures()]
    if len(rows) < 20:
        raise DataError(f"{path}: a reference needs at least 20 pictures; {len(rows)} came.")
    order = np.random.Generator(np.random.Philox(0)).permutation(len(rows))

    def pictures(name: str, which: Sequence[int]) -> Pictures:
        array = np.concatenate([rows[i][1] for i in which])
        prompts = tuple(Prompt(id=f"{i:05d}", task="captions", text=rows[i][0]) for i in which)
        digest = hashlib.sha256(array.tobytes()).hexdigest()[:12]
        return Pictures(name=name, hash=digest, prompts=prompts, load=lambda: array)

    first, second = sorted(order[: len(rows) // 2]), sorted(order[len(rows) // 2 :])
    return Reference(
        about=f"The {len(rows)} pictures of {path.name} ({source.layout}) in two halves: one to compare "
        "with, one as the ceiling.",
        compared_with=pictures("pictures of the first half", first),
        real=pictures("real pictures", second),
    )


def _seen(picture: Image.Image) -> Floats:
    """One picture as scorers see it, (1, 3, 64, 64)."""
    return np.clip(on_background(from_uint8(to_square(picture, SIZE)[None])), 0, 1)
