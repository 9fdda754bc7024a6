"""How given pictures become others: plan, find their noise, paint, and say how it was done.

Letters B pictures, C channels, h w small size, H W large size, D numbers of a vector.
Units   pictures in [-1, 1] between the networks.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np

from pictura.core.errors import ConfigError, did_you_mean
from pictura.imagination.eyes import Floats, Source
from pictura.pipeline import Painter, Picture
from pictura.sample.by_imagination import untrained_notice
from pictura.sample.calls import Asked, Call, Calls, OnStep, Painted, Way, drive
from pictura.sample.embeddings import slerp
from pictura.sample.imagining import Imagining
from pictura.sample.randomness import draw_seed
from pictura.sample.request import choose
from pictura.sample.sizes import DEFAULT_SIZE, check_size

ROUNDS = 4
"""Network calls for each step of the way back; see `sample.diffusion_steps.StepsUp`."""
_NOT_ASKED = ("vector", "prior_steps", "prior_guidance")
"""Settings of a network that takes no part."""
NoiseOf = Callable[[Floats, Floats], Floats]
"""What was found of the sources (num, C, h, w), and fresh noise (B, C, h, w), to that of the pictures."""


class Manner(TypedDict, total=False):
    """How it is painted; what is left out, or None, is as the model advises."""

    seed: int | None
    """Drawn unless given."""
    size: tuple[int, int] | None
    """(width, height) of the pictures in pixels; 256x256 unless given."""
    num_steps: int | None
    """Of the decoder, there and back."""
    guidance_scale: float | None
    decoder_solver: str | None
    upsampler_steps: int | None


class Job(NamedTuple):
    """What is to be painted."""

    asked: Asked
    way: Imagining
    sources: Sequence[Source]
    inverts: bool
    """Whether the noise of the sources is to be found."""


class Done(NamedTuple):
    """What came out of the networks, in [0, 1]."""

    small: Floats
    """(B, C, h, w)."""
    large: Floats
    """(B, C, H, W)."""


class Workshop:
    """A painter by imagination, at work on given pictures."""

    def __init__(self, painter: Painter) -> None:
        """Take the painter."""
        self._painter, self._backend = painter, painter.backend

    def plan(
        self,
        command: str,
        sources: Sequence[Source],
        numbers: Sequence[int],
        manner: Mapping[str, Any],
        *,
        eta: float = 0.0,
        made: Mapping[str, Any] | None = None,
        prompt: str = "",
        inverts: bool = True,
        strip: bool = True,
    ) -> Job:
        """Plan.

        Args:
            command: that a person would type.
            sources: the given pictures.
            numbers: of the pictures that are painted.
            manner: as `Manner`.
            eta: fresh noise on the decoder's way.
            made: what pictures shall say of how they were made, beside command and sources.
            prompt: the text, if there is one.
            inverts: whether the noise of the sources is to be found.
            strip: whether the pictures share all that is random.

        Raises:
            ConfigError: a setting is out of range, or there is none of that name.
            SizeError: the size is out of range.
        """
        for name in manner:
            if name not in Manner.__annotations__:
                near = did_you_mean(name, Manner.__annotations__)
                raise ConfigError(f"`pictura {command}` has no setting {name!r}. {near}")
        said, model = dict(manner), self._painter.model
        given_seed, size = said.pop("seed", None), said.pop("size", None) or DEFAULT_SIZE
        check_size(size)
        settings = {**choose(model, {**said, "eta": eta}), "size": list(size)}
        seed = draw_seed() if given_seed is None else given_seed
        way = Imagining(
            model,
            self._backend,
            seed=seed,
            numbers=[0] * len(numbers) if strip else numbers,
            settings=settings,
            inversions=ROUNDS * settings["num_steps"] * inverts,
            imagines=False,
        )
        told = {name: value for name, value in settings.items() if name not in _NOT_ASKED}
        told["made_by"] = {"command": command, "of": [one.name for one in sources], **(made or {})}
        return Job(Asked(prompt, seed, numbers, told), way, sources, inverts)

    def do(self, job: Job, vectors: Floats, noise_of: NoiseOf, on_step: OnStep | None) -> Done:
        """Paint a job; see `working`."""
        return drive(self.working(job, vectors, noise_of), self._backend, on_step)

    def working(self, job: Job, vectors: Floats, noise_of: NoiseOf) -> Way[Done]:
        """From vectors to pictures. The whole way is here, in order.

        Args:
            job: what is painted.
            vectors: (B, D) of the pictures.
            noise_of: whence they come.
        """
        way, backend = job.way, self._backend
        text = yield Call("encode_text", (self._painter.read(""),))  # not told, but its shape is wanted

        # 1. The noise of which the decoder makes the given pictures.
        fresh = way.noise()
        found = fresh
        if job.inverts:
            small = np.concatenate([one.small for one in job.sources]) * np.float32(2) - np.float32(1)
            seen = backend.asarray(np.concatenate([one.vector for one in job.sources]))
            found = yield from way.invert(backend.asarray(small), seen, text, rounds=ROUNDS)
        x_T = backend.asarray(noise_of(backend.numpy(found), backend.numpy(fresh)))

        # 2. Pictures of those vectors, small and large.
        low = yield from way.paint(x_T, backend.asarray(vectors), text, told=False)
        high = yield from way.enlarge(low)
        low, high = yield Calls(tuple(Call("decode", (x,)) for x in (low, high)))
        return Done(backend.numpy(low), backend.numpy(high))

    def framed(self, job: Job, done: Done) -> list[Picture]:
        """Large pictures, scaled, which say how they were made."""
        notices = untrained_notice(self._painter.model, self._backend)
        notices += tuple(dict.fromkeys(told for one in job.sources for told in one.notices if job.inverts))
        return self._painter.frame(Painted(done.large, notices), job.asked)


def mixed(one: Floats, other: Floats, shares: Sequence[float]) -> Floats:
    """Rows between two (1, ...), along the arc: (B, ...)."""
    return np.concatenate([slerp(one, other, share) for share in shares]).astype(np.float32)


def repeated(row: Floats, num: int) -> Floats:
    """(1, ...) to (num, ...)."""
    return np.repeat(row, num, axis=0)
