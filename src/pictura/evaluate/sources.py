"""Where pictures come from: a folder that any program filled in, the picture of every prompt out.

The prompt of a picture is, in this order: what `metadata.jsonl` in the folder says (``file_name`` and
``prompt``, ``text`` or ``caption``), what the picture itself says (Pictura's chunk, or A1111's
``parameters``), or its file name without the numbers at its end: ``a_red_fox_0001.png``.

Letters P prompts, K pictures of each.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from pictura.core.errors import DataError
from pictura.data import guard
from pictura.evaluate.benchmark import Benchmark
from pictura.store.models import ModelInfo

METADATA = "metadata.jsonl"
PROMPT_KEYS = ("prompt", "text", "caption")
_PNG_END = re.compile(r"\n(?:Negative prompt:|Steps:)")
_NUMBERS = re.compile(r"[\W_]*\d+[\W_]*$")


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureSet:
    """The pictures of every prompt of a benchmark, with where they come from."""

    name: str
    kind: Literal["model", "folder"]
    paths: tuple[Path, ...]
    """(P * K): all pictures of the first prompt, then of the second, …"""
    images: int
    """Pictures of each prompt and seed."""
    seeds: int
    size: tuple[int, int]
    """(width, height) of every file."""
    hash: str
    """12 hex digits over the contents of all files, in order."""
    model: ModelInfo | None = None
    painting: Mapping[str, Any] | None = None
    """device, processes, num_painted, seconds, settings."""
    left_over: int = 0
    """Pictures of the folder that no prompt asked for."""

    @property
    def per_prompt(self) -> int:
        """K."""
        return self.images * self.seeds


def read_folder(folder: Path, benchmark: Benchmark, *, images: int, seeds: int) -> PictureSet:
    """Find the pictures of every prompt in a folder.

    Args:
        folder: of pictures; folders in it are looked into.
        benchmark: whose prompts are wanted.
        images: pictures of each prompt and seed; of more, the first by file name are taken.
        seeds: see `images`.

    Raises:
        DataError: the folder is missing or empty, prompts lack pictures, a picture cannot be read, or the
            pictures are not all of one size.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder. Give a folder of pictures.")
    files = sorted((p for p in folder.rglob("*") if p.suffix.lower() in guard.SUFFIXES), key=_natural)
    if not files:
        raise DataError(f"{folder}: there is no picture in it. Put {images} of each prompt there.")
    said = _metadata_table(folder)
    known = {plain(prompt.text) for prompt in benchmark.prompts}
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(_prompt_key(path, said, known), []).append(path)
    wanted = images * seeds
    chosen: list[Path] = []
    lacking = []
    for prompt in benchmark.prompts:
        mine = found.get(plain(prompt.text), [])
        if len(mine) < wanted:
            lacking.append((prompt.text, len(mine)))
        chosen += mine[:wanted]
    if lacking:
        text, number = lacking[0]
        raise DataError(
            f"{folder}: {len(lacking)} of {len(benchmark.prompts)} prompts lack pictures; the first is "
            f"{text!r} with {number} of {wanted}. Name its files after it, such as "
            f"'{'-'.join(plain(text).split())}-1.png', or list them in {METADATA}."
        )
    return PictureSet(
        name=folder.name or str(folder),
        kind="folder",
        paths=tuple(chosen),
        images=images,
        seeds=seeds,
        size=one_size(folder, chosen),
        hash=hash_files(chosen),
        left_over=len(files) - len(set(chosen)),
    )


def plain(text: str) -> str:
    """A prompt as file names can hold it: its words in lower case, without marks between them."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def one_size(folder: Path, paths: Iterable[Path]) -> tuple[int, int]:
    """The (width, height) that all pictures have; only their heads are read.

    Raises:
        DataError: there are several sizes, or a file is no picture.
    """
    sizes: dict[tuple[int, int], list[Path]] = {}
    for path in paths:
        try:
            with Image.open(path) as image:
                sizes.setdefault(image.size, []).append(path)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: the picture cannot be read. Make it again or remove it.") from error
    if len(sizes) == 1:
        return next(iter(sizes))
    (most, many), *_, (least, few) = Counter({s: len(p) for s, p in sizes.items()}).most_common()
    raise DataError(
        f"{folder}: all pictures must be of one size, but {many} are {most[0]}x{most[1]} and {few} are "
        f"{least[0]}x{least[1]}, such as {sizes[least][0].name}. Scale them alike first."
    )


def hash_files(paths: Sequence[Path]) -> str:
    """12 hex digits over the contents of files, in order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(guard.read_file(path)).digest())
    return digest.hexdigest()[:12]


def _natural(path: Path) -> tuple[list[Any], str]:
    """Sort key that puts picture 2 before picture 10."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], str(path)


def _prompt_key(path: Path, said: Mapping[Path, str], known: set[str]) -> str:
    """The prompt of a picture, as `plain` writes it."""
    if (text := said.get(path)) is not None or (text := _said_inside(path)) is not None:
        return plain(text)
    stem = path.stem
    while plain(stem) not in known and (shorter := _NUMBERS.sub("", stem)) not in ("", stem):
        stem = shorter
    return plain(stem)


def _said_inside(path: Path) -> str | None:
    """The prompt that a picture file holds, if any."""
    try:
        with Image.open(path) as image:
            ours, theirs = image.info.get("pictura"), image.info.get("parameters")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: the picture cannot be read. Make it again or remove it.") from error
    try:
        prompt = json.loads(ours)["prompt"] if ours else None
    except (ValueError, TypeError, KeyError):
        prompt = None
    if isinstance(prompt, str):
        return prompt
    return _PNG_END.split(theirs)[0].strip() if isinstance(theirs, str) else None


def _metadata_table(folder: Path) -> dict[Path, str]:
    """File to prompt, as `metadata.jsonl` says; empty where there is none."""
    file = folder / METADATA
    table: dict[Path, str] = {}
    if not file.is_file():
        return table
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected JSON lines in UTF-8 ({error}).") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text = next(row[key] for key in PROMPT_KEYS if key in row)
            table[folder / row["file_name"]] = str(text)
        except (ValueError, TypeError, KeyError, AttributeError, StopIteration) as error:
            raise DataError(
                f"{file}, line {number}: expected an object with file_name and one of "
                f"{', '.join(PROMPT_KEYS)}; got {line[:60]!r}."
            ) from error
    return table
