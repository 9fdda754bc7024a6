"""What is asked of a model: `glyphbench` or a set of captions in, an ordered list of prompts out."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pictura.core.errors import ConfigError, DataError, did_you_mean
from pictura.core.types import Claim
from pictura.data.sources import open_source
from pictura.evaluate.glyphbench import load_glyphbench

GLYPHBENCH = "glyphbench"
CAPTIONS = "captions"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One sentence to paint."""

    id: str
    task: str
    """One of GlyphBench's six; ``captions`` where nothing is known of the sentence."""
    text: str
    claim: Claim | None = None
    """What a right picture shows; None where no judge can say."""
    style: str | None = None
    """The drawing style that the sentence names, if any: real renders take it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """An ordered list of prompts under a name."""

    name: str
    prompts: tuple[Prompt, ...]
    total: int
    """How many prompts the whole benchmark has: more than `prompts` where a limit was set."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task, in the order in which it first comes."""
        return tuple(dict.fromkeys(prompt.task for prompt in self.prompts))

    @property
    def judged(self) -> bool:
        """Whether every prompt has a claim that judges can check."""
        return all(prompt.claim is not None for prompt in self.prompts)

    @property
    def whole(self) -> bool:
        """Whether no limit left prompts out."""
        return len(self.prompts) == self.total

    @property
    def hash(self) -> str:
        """12 hex digits over every prompt and claim."""
        rows = [dataclasses.astuple(prompt) for prompt in self.prompts]
        return _short_hash(json.dumps(rows))


def load_benchmark(on: str, *, limit: int | None = None) -> Benchmark:
    """Load what ``--on`` names.

    Args:
        on: ``glyphbench``, or ``captions:PATH`` with a text file of one caption a line or a captioned image
            set in any layout that `pictura data inspect` knows (of each picture the first caption).
        limit: keep so many prompts, evenly over the tasks and the first of each; None keeps all.

    Raises:
        ConfigError: `on` is neither, or the limit is impossible.
        DataError: the captions cannot be read, or there is none.
    """
    kind, _, path = on.partition(":")
    if on == GLYPHBENCH:
        prompts = _glyphbench()
    elif kind == CAPTIONS and path:
        prompts = _captions(Path(path).expanduser())
    else:
        hint = did_you_mean(on, [GLYPHBENCH, f"{CAPTIONS}:PATH"])
        raise ConfigError(f"--on is glyphbench or captions:PATH; got {on!r}. {hint}")
    least = 2 * len({prompt.task for prompt in prompts})
    if limit is not None and limit < least:
        raise ConfigError(f"--limit must be at least {least}, two prompts of each task; got {limit}.")
    kept = prompts if limit is None else _evenly(prompts, limit)
    return Benchmark(name=kind, prompts=tuple(kept), total=len(prompts))


def _glyphbench() -> list[Prompt]:
    return [
        Prompt(id=p.id, task=p.task, text=p.prompt, claim=p.claim, style=p.style) for p in load_glyphbench()
    ]


def _captions(path: Path) -> list[Prompt]:
    if path.suffix == ".txt" and path.is_file():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: expected captions in UTF-8, one a line ({error}).") from error
        texts: Iterable[str] = (" ".join(line.split()) for line in lines)
    else:
        texts = (record.captions[0] for record in open_source(path) if record.captions)
    unique = list(dict.fromkeys(text for text in texts if text))
    if len(unique) < 2:
        raise DataError(
            f"{path}: expected at least 2 different captions; {len(unique)} came. "
            "Write one a line, or name a captioned image set."
        )
    return [Prompt(id=_short_hash(text), task=CAPTIONS, text=text) for text in unique]


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _evenly(prompts: Sequence[Prompt], limit: int) -> list[Prompt]:
    """`limit` prompts: one of each task in turn, each task's in its own order."""
    rank: dict[str, int] = {}
    order = []
    for place, prompt in enumerate(prompts):
        rank[prompt.task] = rank.get(prompt.task, 0) + 1
        order.append((rank[prompt.task], place))
    kept = sorted(place for _, place in sorted(order)[:limit])
    return [prompts[place] for place in kept]
