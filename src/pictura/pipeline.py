"""Prompt to pictures, whole, in the order in which it happens. Read this first.

    load      a model folder, checked, on ONNX Runtime or torch
    paint     1 read the prompt          tokens          encode/tokenizer.py
              2 understand it            features        runtime/ or families/
              3 draw noise, one stream per picture       sample/randomness.py
              4 follow the velocity from noise to latent sample/ode.py, guidance.py
              5 decode the latent        pixels          runtime/ or families/
              6 keep the best of many, if asked for      runtime/rerank.py
              7 scale, and say how it was painted        store/pictures.py
    complete  the same, below the top rows of a given picture
    repaint   the same from what a picture says about itself
    explain   where a model that attends to words looked for each of them

A model of an adversarial family paints in one pass: 4 and 5 are one call of its generator. One of the family
dalle draws tokens instead, one after another: sample/autoregressive.py stands for 3 and 4.

Letters B batch, C channels, h w latent size or token grid, H W picture size, N noise numbers, S side.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pictura
from pictura.core import images
from pictura.core.errors import ConfigError, ModelError
from pictura.core.sheets import word_sheet
from pictura.core.types import Backend, Conditioning, OnePass, OnePassBackend, TokenBackend
from pictura.encode.tokenizer import Tokenizer, split_words
from pictura.runtime.open import open_backend
from pictura.runtime.rerank import rank
from pictura.sample.autoregressive import TokenLaw, draw_codes, no_better_than_chance
from pictura.sample.completion import top_codes
from pictura.sample.guidance import guided
from pictura.sample.ode import check_solver, solve
from pictura.sample.randomness import draw_seed, noise
from pictura.sample.request import check_length, check_numbers, check_prompt, choose, refuse_foreign
from pictura.sample.schedules import time_grid
from pictura.sample.sizes import DEFAULT_SIZE, check_size, nearest_grid
from pictura.store.metadata import CHOICE, on_white, read_metadata, read_settings
from pictura.store.models import AS_LEARNT, AT_ONCE, AUTOREGRESSIVE, ModelInfo, find_models, home, resolve
from pictura.store.pictures import Picture, grid

__all__ = ["Painter", "Picture", "grid", "load", "repaint"]
UNTRAINED = (
    "THE MODEL {!r} SEEMS UNTRAINED: its guesses of the next token are no better than chance, "
    "and what it paints is noise."
)
Floats = NDArray[np.float32]
OnStep = Callable[[int, int], None]
"""Called with (network steps done, network steps in all), over all pictures."""


class Painted(NamedTuple):
    """What came out of the networks."""

    images: Floats
    """(B, 3 or 4, H, W) in [0, 1], premultiplied."""
    notices: tuple[str, ...] = ()
    """What a person should know about them."""


class Painter:
    """A loaded model, ready to paint."""

    def __init__(self, model: ModelInfo, backend: Backend | OnePassBackend | TokenBackend) -> None:
        self.model = model
        self._backend: Any = backend
        self._tokenizer = Tokenizer.load(model.path / "tokenizer.json", max_tokens=model.max_tokens)
        self._words = (model.path / "words.txt").read_text(encoding="utf-8").split()

    @property
    def device(self) -> str:
        """What computes: ``cpu`` or ``cuda``."""
        return self._backend.device

    @property
    def strength(self) -> float:
        """Of what the model learnt on top of its base, in percent."""
        return self._backend.strength

    def paint(
        self,
        prompt: str,
        *,
        num_images: int = 4,
        first: int = 0,
        seed: int | None = None,
        num_steps: int | None = None,
        guidance_scale: float | None = None,
        size: tuple[int, int] | None = None,
        solver: str | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        candidates: int | None = None,
        given: Sequence[int] | None = None,
        on_step: OnStep | None = None,
    ) -> list[Picture]:
        """Paint pictures of a sentence.

        Args:
            prompt: what to paint, in English.
            num_images: how many pictures, 1 to 64.
            first: number of the first of them; 4 goes on where a seed's first four ended.
            seed: the same seed paints the same pictures; None draws one.
            num_steps: network steps per picture; None as the model advises, as for the next five. A model
                takes those that its way of painting has, and refuses the others.
            guidance_scale: how closely to follow the prompt; 1 = off.
            size: (width, height) of the pictures in pixels, each 16 to 1024, at most 2:1; None is 256x256.
            solver: ``euler``, ``ab2`` or ``dpmpp_2m``.
            temperature: of painters by tokens: 0 takes the likeliest token, 1 draws as they are likely.
            top_k: of painters by tokens: draw among so many likeliest; 0 = all.
            candidates: paint so many, up to 128, and keep those that `clip-guide` finds best, best first.
            given: tokens that every picture begins with; `complete` reads them off a picture.
            on_step: called with (network steps done, network steps in all).

        Returns:
            The pictures; number i depends on the prompt, the seed, the settings and i alone.

        Raises:
            PromptError: the prompt is empty or too long.
            SizeError: the size is out of range.
            ConfigError: another setting is out of range, or the model does not have it.
        """
        check_numbers(num_images, candidates)
        settings = choose(
            self.model,
            {
                "num_steps": num_steps,
                "guidance_scale": None if guidance_scale is None else float(guidance_scale),
                "solver": solver,
                "temperature": None if temperature is None else float(temperature),
                "top_k": top_k,
                "given": None if given is None else list(given),
            },
        )
        settings["size"] = list(DEFAULT_SIZE if size is None else size)
        numbers = range(first, first + (candidates or num_images))
        keep = num_images if candidates else None
        return self._paint(
            prompt, draw_seed() if seed is None else seed, numbers, settings, keep=keep, on_step=on_step
        )

    def complete(
        self, picture: Picture | Image.Image, prompt: str, *, rows: int, **settings: Any
    ) -> list[Picture]:
        """Paint on below the top rows of a picture.

        The rows are read as tokens, so that they come out as the model can draw them, not pixel for pixel.

        Args:
            picture: of the very size that the model paints.
            prompt: what the whole picture shall show.
            rows: of pixels from the top that are kept; what lies below them is not looked at.
            settings: those of `paint`.

        Returns:
            The pictures.

        Raises:
            SizeError: the picture has another size.
            ConfigError: the model does not paint token by token, or no token ends at that row.
            PromptError: as for `paint`.
        """
        refuse_foreign(self.model, {"given": picture})
        image = picture.image if isinstance(picture, Picture) else picture
        return self.paint(prompt, given=top_codes(self.model, self._backend, image, rows), **settings)

    def notices(self, prompt: str) -> list[str]:
        """What a person should know before painting `prompt`: words the model never saw, and cut ends."""
        found = []
        known = set(self._words)
        for word in dict.fromkeys(split_words(prompt)):
            if word not in known and not word.isdigit():
                near = difflib.get_close_matches(word, self._words, n=3, cutoff=0.6)
                hint = f" Near it: {', '.join(near)}." if near else ""
                found.append(f"The model has never seen the word {word!r}.{hint}")
        count = self._tokenizer.count(prompt)
        if count > self.model.max_tokens and not self.model.by_tokens:  # which refuse it
            found.append(
                f"The prompt has {count} tokens; the model reads the first {self.model.max_tokens} of them."
            )
        return found

    def explain(self, picture: Picture) -> Image.Image:
        """Show where the model looked for each word of a picture that it painted.

        Returns:
            RGB: the picture, then for each word the picture again, lit by how much each place attends to the
            word, brightest where most; below it the word, and the most attention that a place gives it.

        Raises:
            ConfigError: the model does not attend to words, or another one painted the picture.
        """
        self.model.check_attention()
        if picture.model_hash != self.model.hash:
            raise ConfigError(
                f"The model {self.model.name!r} explains its own pictures; this one is by {picture.model!r}."
            )
        attention = self._pass(self._read(picture.prompt), picture.seed, picture.index).attention
        assert attention is not None  # the folder says that there is one
        places = self._tokenizer.places(picture.prompt)
        words = [(word, attention[0, tokens].sum(axis=0)) for word, tokens in places]
        return word_sheet(on_white(picture.image), words)

    def _paint(
        self,
        prompt: str,
        seed: int,
        numbers: Sequence[int],
        settings: dict[str, Any],
        *,
        keep: int | None = None,
        on_step: OnStep | None = None,
    ) -> list[Picture]:
        """Paint the pictures `numbers` of `seed`, keep the best, scale, and say how they were painted."""
        check_prompt(prompt)
        check_size(tuple(settings["size"]))
        ways = {AT_ONCE: self._in_one_pass, AUTOREGRESSIVE: self._by_tokens}
        way = ways.get(self.model.sampling.solver, self._by_steps)
        painted = way(prompt, seed, numbers, settings, on_step or (lambda *_: None))

        painted_size = [painted.images.shape[3], painted.images.shape[2]]
        scaling = "none" if painted_size == settings["size"] else "lanczos"
        told = {**settings, "painted_size": painted_size, "scaling": scaling, "device": self.device}
        if self.model.deltas:
            told["strength"] = self.strength

        kept = [(row, told) for row in range(len(numbers))]
        if keep is not None:
            ranking = rank(images.to_pil(painted.images), prompt, keep=keep)
            told |= {"candidates": len(numbers), "scored_by": ranking.by}
            kept = [(row, {**told, "score": ranking.scores[row]}) for row in ranking.best]
        arrays = images.resize(painted.images[[row for row, _ in kept]], tuple(settings["size"]))
        return [
            Picture(
                image=image,
                prompt=prompt,
                seed=seed,
                index=numbers[row],
                settings=said,
                model=self.model.name,
                model_hash=self.model.hash,
                version=pictura.__version__,
                notices=painted.notices,
            )
            for (row, said), image in zip(kept, images.to_pil(arrays), strict=True)
        ]

    def _by_steps(
        self, prompt: str, seed: int, numbers: Sequence[int], settings: dict[str, Any], on_step: OnStep
    ) -> Painted:
        """From words to pixels (B, C, H, W) along a velocity. The whole way is here, in order."""
        check_solver(settings["solver"])
        times = time_grid(settings["num_steps"], shift=settings["shift"])
        backend: Backend = self._backend

        # 1. and 2. Read the prompt, and nothing, which guidance steers away from.
        text, no_text = self._read(prompt), self._read("")
        velocity = guided(
            partial(backend.velocity, cond=text),
            partial(backend.velocity, cond=no_text),
            guidance_scale=settings["guidance_scale"],
            interval=tuple(settings["guidance_interval"]),
        )

        # 3. Noise, of the shape nearest to the wanted one among those that the network was trained for.
        width, height = settings["size"]
        h, w = nearest_grid(self.model.grids, width, height, self.model.factor)
        noise_BChw = np.stack([noise(seed, i, (backend.latent_channels, h, w)) for i in numbers])

        # 4. From noise to image, and 5. pixels.
        num = len(numbers)
        x_0 = solve(
            velocity,
            backend.asarray(noise_BChw),
            times,
            method=settings["solver"],
            on_step=lambda done, total: on_step(done * num, total * num),
        )
        return Painted(backend.numpy(backend.decode(x_0)))

    def _in_one_pass(
        self, prompt: str, seed: int, numbers: Sequence[int], settings: dict[str, Any], on_step: OnStep
    ) -> Painted:
        """From words to pixels (B, C, S, S) in one call for each picture."""
        if settings["solver"] != AT_ONCE:
            refuse_foreign(self.model, {"solver": settings["solver"]})
        text, painted = self._read(prompt), []
        for done, i in enumerate(numbers, start=1):
            painted.append(self._pass(text, seed, i).images)
            on_step(done, len(numbers))
        return Painted(np.concatenate(painted))

    def _by_tokens(
        self, prompt: str, seed: int, numbers: Sequence[int], settings: dict[str, Any], on_step: OnStep
    ) -> Painted:
        """From words to pixels (B, C, H, W) by drawing a token at a time."""
        if settings["solver"] != AUTOREGRESSIVE:
            refuse_foreign(self.model, {"solver": settings["solver"]})
        backend: TokenBackend = self._backend
        law = TokenLaw(**{name: settings[name] for name in ("temperature", "top_k", "guidance_scale")})
        check_length(self.model, self._tokenizer.count(prompt))
        text, no_text = (np.array(self._tokenizer.encode(words), dtype=np.int64) for words in (prompt, ""))
        drawn = draw_codes(
            backend,
            text,
            no_text,
            seed=seed,
            numbers=numbers,
            law=law,
            given=settings.get("given", ()),
            on_step=on_step,
        )
        chance = no_better_than_chance(drawn, backend.num_codes)
        notices = (UNTRAINED.format(self.model.name),) if chance else ()
        return Painted(backend.decode(drawn.codes.reshape(-1, *backend.grid)), notices)

    def _read(self, words: str) -> Conditioning:
        """What the network is told of some words."""
        return self._backend.encode_text(np.array(self._tokenizer.encode(words), dtype=np.int64))

    def _pass(self, text: Conditioning, seed: int, index: int) -> OnePass:
        return self._backend.paint(noise(seed, index, (self._backend.noise_size,))[None], text)


def load(
    name: str | Path = "default",
    *,
    device: str = "auto",
    strength: float = AS_LEARNT,
    compile: bool = False,  # noqa: A002
) -> Painter:
    """Load a model.

    Args:
        name: of a model (see `pictura models`), or a path to a model folder.
        device: ``cpu``, ``cuda`` (needs the extra `train`), or ``auto``: CUDA where it is, else CPU.
        strength: of what the model learnt on top of its base: 0 is the base, 100 as learnt, 200 at most.
        compile: on CUDA, compile the network first: a minute that pays for hundreds of pictures.

    Raises:
        ModelNotFoundError: no model has that name or path.
        ModelError: the model is damaged.
        ConfigError: the strength is out of range, or not 100 where nothing was learnt on top of a base.
        DeviceError: the asked-for device is not there.
        MissingExtraError: CUDA is asked for and torch is not installed.
    """
    return _load(resolve(name), device, strength, compile=compile)


def repaint(path: Path | str, *, device: str = "auto", on_step: OnStep | None = None) -> Picture:
    """Paint a picture again from its metadata.

    Args:
        path: of a picture that Pictura saved.
        device: as in `load`; ``auto`` takes what the picture was painted on.
        on_step: as in `Painter.paint`.

    Returns:
        On the same machine and version and the same device, the same picture, bit for bit.

    Raises:
        MetadataError: the file does not say how it was painted.
        ModelError: the model that painted it is not here.
    """
    said = read_metadata(Path(path))
    here = find_models(on_broken=lambda _: None)
    model = next((model for model in here if model.hash == said["model_hash"]), None)
    if model is None:
        raise ModelError(
            f"{path} was painted by the model {said['model']!r} with hash {said['model_hash'][:10]}, "
            f"which is not here. Put that model's folder into {home() / 'models'}."
        )
    settings = read_settings(said, Path(path))
    if device == "auto" and said["settings"].get("device") == "cpu":
        device = "cpu"
    painter = _load(model, device, settings.pop("strength", AS_LEARNT))
    choice = {name: settings.pop(name) for name in CHOICE if name in settings}
    (picture,) = painter._paint(said["prompt"], said["seed"], [said["index"]], settings, on_step=on_step)
    return replace(picture, settings={**picture.settings, **choice})


def _load(model: ModelInfo, device: str, strength: float, *, compile: bool = False) -> Painter:  # noqa: A002
    _ = model.sampling  # a part has none and is refused, before its files are read
    model.check_strength(strength)
    model.verify()
    return Painter(model, open_backend(model, device, strength, compile=compile))
