"""Actions of painters by imagination: what their CLIP sees in pictures, varied, mixed, and painted.

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125), section 3. Differs: more than two pictures meet in the
        mean of their vectors, which for two is the middle of the arc.
Letters B pictures, N given ones, D numbers of a vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from PIL import Image

from pictura.actions.renoising import told
from pictura.imagination.eyes import Eyes, Floats, Source
from pictura.imagination.work import Manner, Workshop, repeated
from pictura.pipeline import Painter, Picture
from pictura.sample.by_imagination import by_imagination
from pictura.sample.calls import Asked, Seen, Way
from pictura.sample.randomness import draw_seed
from pictura.sample.request import Choices, check_numbers, check_prompt, choose
from pictura.sample.sizes import DEFAULT_SIZE, check_size

_WORDS = ("typed", "resolved")


@dataclass(frozen=True, kw_only=True, slots=True)
class Varied:
    """Pictures that the CLIP would see as it sees this one."""

    image: Image.Image
    action: Mapping[str, Any]
    """With its ``eta``."""
    together: bool = True

    def making(self, painter: Painter, prompt: str, **choices: Unpack[Choices]) -> Way[list[Picture]]:
        """See `making.Work`."""
        eyes, shop = Eyes(painter.model), Workshop(painter)
        numbers, manner, words = _plain(choices)
        source = eyes.take(self.image)
        job = shop.plan(
            self.action["action"],
            [source],
            numbers,
            manner,
            eta=self.action["eta"],
            prompt=prompt,
            strip=False,
        )
        done = yield from shop.working(
            job, repeated(source.vector, len(numbers)), lambda found, _: repeated(found, len(numbers))
        )
        made = shop.framed(job, done)
        return [told(_noted(one, [self.image], [source], instead=True), self.action, **words) for one in made]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompted:
    """Pictures of a prompt that are told, beside it, how a given picture looks to the CLIP."""

    image: Image.Image
    action: Mapping[str, Any]
    """With its ``share``."""
    together: bool = True

    def making(self, painter: Painter, prompt: str, **choices: Unpack[Choices]) -> Way[list[Picture]]:
        """See `making.Work`."""
        source = Eyes(painter.model).take(self.image)
        seen = Seen(source.vector, self.action["share"])
        made = yield from _of_vector(painter, prompt, seen, choices)
        return [told(_noted(one, [self.image], [source]), self.action) for one in made]


@dataclass(frozen=True, kw_only=True, slots=True)
class Blended:
    """Pictures of what is between given ones, and a prompt, if there is one."""

    images: Sequence[Image.Image]
    action: Mapping[str, Any]
    together: bool = True

    def making(self, painter: Painter, prompt: str, **choices: Unpack[Choices]) -> Way[list[Picture]]:
        """See `making.Work`."""
        eyes = Eyes(painter.model)
        sources = [eyes.take(image) for image in self.images]
        middle = mean_vector([source.vector for source in sources])
        # A prompt is one voice more beside the pictures; without one the pictures are all there is.
        num = len(sources)
        seen = Seen(middle, num / (num + 1) if self.action.get("prompted") else 1.0)
        made = yield from _of_vector(painter, prompt, seen, choices)
        return [told(_noted(one, self.images, sources), self.action) for one in made]


def mean_vector(vectors: Sequence[Floats]) -> Floats:
    """The mean direction of unit vectors (1, D)."""
    mean = np.concatenate(vectors).mean(axis=0, keepdims=True)
    return (mean / max(float(np.linalg.norm(mean)), 1e-6)).astype(np.float32)


def _noted(
    picture: Picture, given: Sequence[Image.Image], sources: Sequence[Source], *, instead: bool = False
) -> Picture:
    """A picture with the notices of sources that lost something: those that were no squares.

    Args:
        picture: that was painted.
        given: pictures.
        sources: what was made of them.
        instead: whether the picture has the notices of all sources.
    """
    pairs = list(zip(given, sources, strict=True))
    lost = tuple(told for image, source in pairs if image.width != image.height for told in source.notices)
    of_all = {told for _, source in pairs for told in source.notices} if instead else set()
    kept = tuple(notice for notice in picture.notices if notice not in of_all)
    return replace(picture, notices=tuple(dict.fromkeys(kept + lost)))


def _of_vector(painter: Painter, prompt: str, seen: Seen, choices: Choices) -> Way[list[Picture]]:
    """By imagination, with a vector that was seen."""
    numbers, manner, words = _plain(choices)
    check_prompt(prompt)
    size, seed = manner.pop("size", None) or DEFAULT_SIZE, manner.pop("seed", None)
    check_size(tuple(size))
    settings = {**choose(painter.model, manner), **words, "size": list(size)}
    settings |= painter.wording(prompt, settings)
    asked = Asked(prompt, draw_seed() if seed is None else seed, numbers, settings, seen=seen)
    painted = yield from by_imagination(painter.model, painter.backend, painter.reader(settings), asked)
    return painter.frame(painted, asked)


def _plain(choices: Choices) -> tuple[range, dict[str, Any], dict[str, Any]]:
    """Numbers of the pictures, how they are painted, and how the prompt was typed."""
    given: dict[str, Any] = dict(choices)
    num, first = given.get("num_images", 4), given.get("first", 0)
    check_numbers(num, None)
    manner = {name: given[name] for name in Manner.__annotations__ if name in given}
    return range(first, first + num), manner, {name: given[name] for name in _WORDS if name in given}
