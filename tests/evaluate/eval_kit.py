"""A small benchmark about colours, judges that look at the mean colour, and pictures of one colour each.

The judges are real readers of pixels: what they accept follows from the picture alone.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictura.core.types import Claim, Demand
from pictura.encode.judges.judge import Sight
from pictura.evaluate.benchmark import Benchmark, Prompt
from pictura.evaluate.runner import Scorers
from pictura.evaluate.scorers import ClipScorer, FeatureScorer, Floats, JudgeScorer

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 220), "yellow": (230, 220, 50)}
THINGS = ("fox", "ball", "apple")


def benchmark(name: str = "glyphbench") -> Benchmark:
    """Two tasks of 12 prompts: every colour with every thing."""
    prompts = tuple(
        Prompt(
            id=f"{task}-{colour}-{thing}",
            task=task,
            text=f"{article} {colour} {thing}",
            claim=Claim(objects=(Demand(thing=thing, colour=colour),)),
        )
        for task, article in (("single", "a"), ("colour", "the"))
        for colour in COLOURS
        for thing in THINGS
    )
    return Benchmark(name=name, prompts=prompts, total=len(prompts))


def few(number: int = 4) -> Benchmark:
    """The first prompts of each task: of one colour."""
    whole = benchmark()
    prompts = [p for task in whole.tasks for p in [p for p in whole.prompts if p.task == task][:number]]
    return Benchmark(name=whole.name, prompts=tuple(prompts), total=len(prompts))


class ColourJudge:
    """Accepts a picture whose mean colour is nearest to the colour that is claimed."""

    things: tuple[str, ...] = THINGS

    def __init__(self, name: str = "judge-a", *, least: float = 0.5) -> None:
        self.name, self.least = name, least
        self.hash = hashlib.sha256(f"{name} {least}".encode()).hexdigest()[:12]
        self.num_seen = 0

    def verify(self, images: Floats, claims: Sequence[Claim]) -> NDArray[np.float64]:
        """The softmax of the nearness of the claimed colour among all."""
        return self.look(images, claims).chances

    def look(self, images: Floats, claims: Sequence[Claim]) -> Sight:
        """The shares, and the features."""
        self.num_seen += len(images)
        return Sight(self._shares(images, claims), self._quarters(images))

    def _shares(self, images: Floats, claims: Sequence[Claim]) -> NDArray[np.float64]:
        places = {colour: place for place, colour in enumerate(COLOURS)}
        wanted = [places.get(claim.objects[0].colour or "", 0) for claim in claims]
        near = -20 * np.linalg.norm(self._mean(images)[:, None] - _palette()[None], axis=2)
        share = np.exp(near - near.max(axis=1, keepdims=True))
        return (share / share.sum(axis=1, keepdims=True))[np.arange(len(images)), wanted]

    def passes(self, chances: NDArray[np.float64], tasks: Sequence[str]) -> NDArray[np.bool_]:
        """Whether the shares are large enough."""
        return chances >= self.least

    def features(self, images: Floats) -> Floats:
        """The mean colour and the colour of the quarters."""
        self.num_seen += len(images)
        return self._quarters(images)

    def _quarters(self, images: Floats) -> Floats:
        halves = [images[:, :, y : y + 32, x : x + 32] for y in (0, 32) for x in (0, 32)]
        return np.concatenate([self._mean(half) for half in (images, *halves)], axis=1)

    def read(self, images: Floats) -> list[str]:
        """The name of the nearest colour."""
        names = list(COLOURS)
        apart = np.linalg.norm(self._mean(images)[:, None] - _palette()[None], axis=2)
        return [f"something {names[i]}" for i in apart.argmin(axis=1)]

    def _mean(self, images: Floats) -> Floats:
        return images.mean(axis=(2, 3))


class ColourClip:
    """Embeds a picture as its nearness to every colour, and a sentence as the colour that it names."""

    name = "clip-score"
    hash = "c010c010c010"

    def embed_images(self, images: Floats) -> Floats:
        """(N, 4) of unit length."""
        means = images.mean(axis=(2, 3))
        near = np.exp(-8 * np.linalg.norm(means[:, None] - _palette()[None], axis=2)).astype(np.float32)
        return near / np.linalg.norm(near, axis=1, keepdims=True)

    def embed_text(self, captions: Sequence[str]) -> Floats:
        """(N, 4) of unit length."""
        rows = [[0.01 + (colour in caption.split()) for colour in COLOURS] for caption in captions]
        return np.array(rows, dtype=np.float32)


class Pooled:
    """Features: the picture at 4x4 pixels, times a factor."""

    hash = "5ca1ab1e0000"

    def __init__(self, name: str = "pooled", factor: float = 1.0) -> None:
        self.name, self.factor = name, factor

    def __call__(self, images: Floats) -> Floats:
        """(N, 48)."""
        small = images.reshape(len(images), 3, 4, 16, 4, 16).mean(axis=(3, 5))
        return self.factor * small.reshape(len(images), -1)


def scorers() -> Scorers:
    """Two judges, the second stricter, a CLIP and two feature nets."""
    judges = (JudgeScorer(ColourJudge()), JudgeScorer(ColourJudge("judge-b", least=0.9)))
    nets = (FeatureScorer(Pooled()), FeatureScorer(Pooled("pooled-twice", 2.0)))
    return Scorers(judges=judges, clip=ClipScorer(ColourClip()), nets=nets)


def write_folder(folder: Path, asked: Benchmark, *, images: int = 2, noise: float = 12.0) -> Path:
    """A folder of right pictures: each mostly of the colour that its prompt names, named after the prompt."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for prompt in asked.prompts:
        colour = next(colour for colour in COLOURS if colour in prompt.text.split())
        for number in range(1, images + 1):
            pixels = np.array(COLOURS[colour]) + random.normal(0, noise, (64, 64, 3))
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(folder / f"{prompt.text.replace(' ', '-')}-{number}.png")
    return folder


def _palette() -> Floats:
    return np.array(list(COLOURS.values()), dtype=np.float32) / np.float32(255)
