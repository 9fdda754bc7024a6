"""What a painter by imagination makes of given pictures.

    vary          a picture            others that its CLIP would see alike
    interpolate   two pictures         those between them
    edit          a picture, a text    the picture, changed towards the text
    round_trip    a picture            itself, from its vector and its noise, and from its vector alone
    components    a picture            what the first principal components of its vector hold

A picture is a vector, which a CLIP sees in it, and the noise of which the decoder makes it, told that vector:
all that the vector does not say. The noise is found by going the decoder's way backwards.

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125), section 3 and figure 7.
Letters B pictures, C channels, h w small size, H W large size, D numbers of a vector.
"""

from collections.abc import Sequence
from typing import NamedTuple, Unpack

import numpy as np
from PIL import Image

from pictura.core import images
from pictura.core.errors import ConfigError
from pictura.imagination.eyes import Eyes, Floats, PictureLike, psnr
from pictura.imagination.work import Manner, Workshop, mixed, repeated
from pictura.pipeline import Painter, Picture
from pictura.sample.calls import OnStep
from pictura.sample.embeddings import Pca, reconstruct, text_difference
from pictura.sample.request import MAX_IMAGES, check_numbers, check_prompt

ETA = 0.5
"""How free variations are."""
THETA = 0.4
"""How far `edit` goes."""
COUNTS = (2, 5, 10, 20, 40)
"""Of components; and all."""


class RoundTrip(NamedTuple):
    """A picture that went there and back."""

    original: Image.Image
    """As the model took it: a square of the size that it paints."""
    again: Picture
    """From its vector and its noise."""
    imagined: Picture
    """From its vector alone."""
    psnr_small: float
    """Of `again`, before it is enlarged."""
    psnr: float
    """Of `again`, as large as the model paints."""


class Imagination:
    """A painter by imagination with its eyes."""

    def __init__(self, painter: Painter) -> None:
        """Find the CLIP that the painter learnt from.

        Args:
            painter: a loaded model.

        Raises:
            ConfigError: it paints in another way.
            ModelError: its CLIP is not here, or damaged.
        """
        self._eyes, self._shop = Eyes(painter.model), Workshop(painter)
        self._space = Pca(*painter.backend.space)

    def vary(
        self,
        picture: PictureLike,
        *,
        num_images: int = 4,
        first: int = 0,
        eta: float = ETA,
        on_step: OnStep | None = None,
        **manner: Unpack[Manner],
    ) -> list[Picture]:
        """Paint pictures that the CLIP would see as it sees this one.

        Args:
            picture: any.
            num_images: how many pictures, 1 to 64.
            first: number of the first of them.
            eta: 0 paints the picture itself; the more, up to 1, the freer they are.
            on_step: called with (network steps done, network steps in all).
            manner: how they are painted.

        Raises:
            DataError: the file is no picture.
            SizeError: the picture is too small, or the size out of range.
            ConfigError: another setting is out of range.
        """
        check_numbers(num_images, None)
        source, numbers = self._eyes.take(picture), range(first, first + num_images)
        job = self._shop.plan("vary", [source], numbers, manner, eta=eta, strip=False)
        vectors = repeated(source.vector, num_images)
        done = self._shop.do(job, vectors, lambda found, _: repeated(found, num_images), on_step)
        return self._shop.framed(job, done)

    def interpolate(
        self,
        one: PictureLike,
        other: PictureLike,
        *,
        num_images: int = 7,
        same_noise: bool = False,
        on_step: OnStep | None = None,
        **manner: Unpack[Manner],
    ) -> list[Picture]:
        """Paint a strip of pictures that goes from one to another.

        Args:
            one: where it begins.
            other: where it ends.
            num_images: how many pictures, both ends included, 2 to 64.
            same_noise: paint all of the same fresh noise, not of what lies between the noises of both: then
                only the idea changes, and the ends are not the pictures themselves.
            on_step: called with (network steps done, network steps in all).
            manner: how they are painted.

        Raises:
            ConfigError: a number is out of range, or the vectors are opposite; and as of `vary`.
        """
        _check_strip(num_images, least=2)
        sources = [self._eyes.take(one), self._eyes.take(other)]
        shares = [i / (num_images - 1) for i in range(num_images)]
        made = {"shares": shares, "same_noise": same_noise}
        job = self._shop.plan(
            "interpolate", sources, range(num_images), manner, made=made, inverts=not same_noise
        )

        def noise_of(found: Floats, fresh: Floats) -> Floats:
            return fresh if same_noise else mixed(found[:1], found[1:], shares)

        vectors = mixed(sources[0].vector, sources[1].vector, shares)
        return self._shop.framed(job, self._shop.do(job, vectors, noise_of, on_step))

    def edit(
        self,
        picture: PictureLike,
        text: str,
        *,
        from_text: str = "",
        theta: float = THETA,
        num_images: int = 1,
        on_step: OnStep | None = None,
        **manner: Unpack[Manner],
    ) -> list[Picture]:
        """Change a picture towards a text.

        Args:
            picture: any.
            text: what it shall show, such as 'a red apple in winter'.
            from_text: what it shows now, such as 'a red apple'; empty is no text at all.
            theta: how far to go, 0 (the picture itself) to 1 (all the text); 0.25 to 0.5 is usual.
            num_images: more than one paint a strip that goes from the picture to theta.
            on_step: called with (network steps done, network steps in all).
            manner: how it is painted.

        Raises:
            PromptError: the text cannot be read.
            ConfigError: theta is out of range, or both texts are the same to the CLIP; and as of `vary`.
        """
        check_prompt(text)
        _check_strip(num_images, least=1)
        if not 0 <= theta <= 1:
            raise ConfigError(f"theta must be from 0 (the picture) to 1 (the text); got {theta:g}.")
        source = self._eyes.take(picture)
        towards = text_difference(self._eyes.read(text), self._eyes.read(from_text))
        thetas = [theta * i / (num_images - 1) for i in range(num_images)] if num_images > 1 else [theta]
        made = {"from_text": from_text, "thetas": thetas}
        job = self._shop.plan("edit", [source], range(num_images), manner, made=made, prompt=text)
        vectors = mixed(source.vector, towards, thetas)
        done = self._shop.do(job, vectors, lambda found, _: repeated(found, num_images), on_step)
        return self._shop.framed(job, done)

    def round_trip(
        self, picture: PictureLike, *, on_step: OnStep | None = None, **manner: Unpack[Manner]
    ) -> RoundTrip:
        """Paint a picture again, from its vector and its noise, and from its vector alone.

        Args:
            picture: any.
            on_step: called with (network steps done, network steps in all).
            manner: how it is painted.

        Raises:
            DataError: the file is no picture.
            SizeError: the picture is too small, or the size out of range.
            ConfigError: another setting is out of range.
        """
        source = self._eyes.take(picture)
        job = self._shop.plan("reconstruct", [source], range(2), manner)

        def noise_of(found: Floats, fresh: Floats) -> Floats:
            return np.concatenate([found, fresh[:1]])

        done = self._shop.do(job, repeated(source.vector, 2), noise_of, on_step)
        again, imagined = self._shop.framed(job, done)
        return RoundTrip(
            original=images.to_pil(source.large)[0],
            again=again,
            imagined=imagined,
            psnr_small=psnr(done.small[:1], source.small),
            psnr=psnr(done.large[:1], source.large),
        )

    def components(
        self,
        picture: PictureLike,
        counts: Sequence[int] = (),
        *,
        on_step: OnStep | None = None,
        **manner: Unpack[Manner],
    ) -> list[Picture]:
        """Paint what the first principal components of a picture's vector hold, all of the same noise.

        Args:
            picture: any.
            counts: how many components each picture keeps; empty is 2, 5, 10, 20, 40 and all of them.
            on_step: called with (network steps done, network steps in all).
            manner: how they are painted.

        Raises:
            ConfigError: there are not so many components; and as of `vary`.
        """
        dim = len(self._space.mean)
        kept = list(counts) or [*(count for count in COUNTS if count < dim), dim]
        _check_strip(len(kept), least=1)
        source = self._eyes.take(picture)
        vectors = np.concatenate([reconstruct(source.vector, self._space, count) for count in kept])
        made = {"components": kept}
        job = self._shop.plan("reconstruct", [source], range(len(kept)), manner, made=made, inverts=False)
        done = self._shop.do(job, vectors, lambda _, fresh: fresh, on_step)
        return self._shop.framed(job, done)


def _check_strip(num: int, *, least: int) -> None:
    if not least <= num <= MAX_IMAGES:
        raise ConfigError(f"A strip has {least} to {MAX_IMAGES} pictures; got {num}.")
