"""Prompt to pictures, whole, in the order in which it happens. Read this first.

    load      a model folder, checked, on ONNX Runtime or torch
    paint     1 read the prompt          tokens          encode/tokenizer.py
              2 understand it            features        runtime/ or families/
              3 draw noise, one stream per picture       sample/randomness.py
              4 follow the velocity from noise to latent sample/ode.py, guidance.py
              5 decode the latent        pixels          runtime/ or families/
              6 scale, and say how it was painted        store/metadata.py
    repaint   the same from what a picture says about itself
    explain   where a model that attends to words looked for each of them

A model of an adversarial family paints in one pass: 4 and 5 are one call of its generator.

Letters B batch, C latent channels, h w latent size, N noise numbers, S side, T text tokens.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pictura
from pictura.core import images
from pictura.core.errors import ConfigError, ModelError, PromptError
from pictura.core.sheets import sheet, word_sheet
from pictura.core.types import Backend, Conditioning, OnePass, OnePassBackend
from pictura.encode.tokenizer import Tokenizer, split_words
from pictura.runtime.open import open_backend
from pictura.sample.guidance import guided
from pictura.sample.ode import check_solver, solve
from pictura.sample.randomness import draw_seed, noise
from pictura.sample.schedules import time_grid
from pictura.sample.sizes import DEFAULT_SIZE, check_size, nearest_grid
from pictura.store.atomic import atomic_file
from pictura.store.metadata import on_white, read_metadata, read_settings, save_picture
from pictura.store.models import AS_LEARNT, AT_ONCE, ModelInfo, find_models, home, resolve

MAX_PROMPT = 2000
MAX_IMAGES = 64
Floats = NDArray[np.float32]
OnStep = Callable[[int, int], None]
"""Called with (network steps done, network steps in all), over all pictures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A painted picture that knows how it was painted."""

    image: Image.Image
    """RGBA with straight alpha, or RGB."""
    prompt: str
    seed: int
    index: int
    """Its number among the pictures of its seed, from 0."""
    settings: dict[str, Any]
    """num_steps, guidance_scale, guidance_interval, solver, shift, size and painted_size (width, height),
    scaling (``lanczos`` or none), device; strength where the model has a delta."""
    model: str
    model_hash: str
    version: str

    def metadata(self) -> dict[str, Any]:
        """Everything but the pixels, as JSON can hold it."""
        names = ("prompt", "seed", "index", "settings", "model", "model_hash", "version")
        return {name: getattr(self, name) for name in names}

    def save(self, path: Path | str, *, format: str = "png") -> Path:  # noqa: A002
        """Write the picture with its metadata, whole or not at all.

        Args:
            path: of the file.
            format: ``png``, ``webp`` or ``jpeg`` (on white).

        Raises:
            StorageError: the disk is full or the place cannot be written.
        """
        with atomic_file(Path(path)) as temporary:
            save_picture(self.image, temporary, self.metadata(), format=format)
        return Path(path)


class Painter:
    """A loaded model, ready to paint."""

    def __init__(self, model: ModelInfo, backend: Backend | OnePassBackend) -> None:
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
        on_step: OnStep | None = None,
    ) -> list[Picture]:
        """Paint pictures of a sentence.

        Args:
            prompt: what to paint, in English.
            num_images: how many pictures, 1 to 64.
            first: number of the first of them; 4 goes on where a seed's first four ended.
            seed: the same seed paints the same pictures; None draws one.
            num_steps: network steps per picture; None as the model advises, as for the next two. A model
                that paints in one pass takes none of the three.
            guidance_scale: how closely to follow the prompt; 1 = off.
            solver: ``euler``, ``ab2`` or ``dpmpp_2m``.
            size: (width, height) of the pictures in pixels, each 16 to 1024, at most 2:1; None is 256x256.
            on_step: called with (network steps done, network steps in all).

        Returns:
            The pictures; number i depends on the prompt, the seed, the settings and i alone.

        Raises:
            PromptError: the prompt is empty or too long.
            SizeError: the size is out of range.
            ConfigError: another setting is out of range.
        """
        if not 1 <= num_images <= MAX_IMAGES:
            raise ConfigError(f"num_images must be from 1 to {MAX_IMAGES}; got {num_images}.")
        if self.model.one_pass:
            given = {"num_steps (--steps)": num_steps, "guidance_scale (--guidance)": guidance_scale}
            _refuse(self.model.name, {**given, "solver": solver})
        advised = self.model.sampling
        settings = {
            "num_steps": advised.num_steps if num_steps is None else num_steps,
            "guidance_scale": advised.guidance_scale if guidance_scale is None else float(guidance_scale),
            "guidance_interval": list(advised.guidance_interval),
            "solver": advised.solver if solver is None else solver,
            "shift": advised.shift,
            "size": list(DEFAULT_SIZE if size is None else size),
        }
        numbers = range(first, first + num_images)
        return self._paint(prompt, draw_seed() if seed is None else seed, numbers, settings, on_step)

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
        if count > self.model.max_tokens:
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
        on_step: OnStep | None = None,
    ) -> list[Picture]:
        """Paint the pictures `numbers` of `seed`, scale them, and say how they were painted."""
        check_prompt(prompt)
        check_size(tuple(settings["size"]))
        way = self._in_one_pass if self.model.one_pass else self._by_steps
        painted = way(prompt, seed, numbers, settings, on_step or (lambda *_: None))
        painted_size = [painted.shape[3], painted.shape[2]]
        scaling = "none" if painted_size == settings["size"] else "lanczos"
        told = {**settings, "painted_size": painted_size, "scaling": scaling, "device": self.device}
        if self.model.deltas:
            told["strength"] = self.strength
        return [
            Picture(
                image=image,
                prompt=prompt,
                seed=seed,
                index=i,
                settings=told,
                model=self.model.name,
                model_hash=self.model.hash,
                version=pictura.__version__,
            )
            for i, image in zip(
                numbers, images.to_pil(images.resize(painted, tuple(settings["size"]))), strict=True
            )
        ]

    def _by_steps(
        self, prompt: str, seed: int, numbers: Sequence[int], settings: dict[str, Any], on_step: OnStep
    ) -> Floats:
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
        return backend.numpy(backend.decode(x_0))

    def _in_one_pass(
        self, prompt: str, seed: int, numbers: Sequence[int], settings: dict[str, Any], on_step: OnStep
    ) -> Floats:
        """From words to pixels (B, C, S, S) in one call for each picture."""
        if settings["solver"] != AT_ONCE:
            _refuse(self.model.name, {"solver": settings["solver"]})
        text, painted = self._read(prompt), []
        for done, i in enumerate(numbers, start=1):
            painted.append(self._pass(text, seed, i).images)
            on_step(done, len(numbers))
        return np.concatenate(painted)

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
    return painter._paint(said["prompt"], said["seed"], [said["index"]], settings, on_step)[0]


def grid(pictures: Sequence[Picture]) -> Image.Image:
    """Pictures side by side on white, as square as they go: four make 2x2.

    Args:
        pictures: at least one, all of one size.

    Returns:
        RGB image with a gutter of 1/32 of a picture's longer side.
    """
    return sheet([on_white(picture.image) for picture in pictures])


def _refuse(name: str, given: dict[str, Any]) -> None:
    """Refuse settings of steps for a model that has none.

    Raises:
        ConfigError: a value is given.
    """
    if chosen := [setting for setting, value in given.items() if value is not None]:
        raise ConfigError(
            f"The model {name!r} paints in one pass, without steps and guidance: "
            f"leave {', '.join(chosen)} out."
        )


def check_prompt(prompt: str) -> None:
    """Refuse what cannot be painted.

    Raises:
        PromptError: the prompt is empty, too long or no text.
    """
    if not prompt.strip():
        raise PromptError("The prompt is empty. Say what to paint, such as 'a red fox'.")
    if len(prompt) > MAX_PROMPT:
        raise PromptError(f"The prompt has {len(prompt)} characters; at most {MAX_PROMPT} are allowed.")
    if any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise PromptError("The prompt holds bytes that are no text in UTF-8. Type it in a UTF-8 terminal.")


def _load(model: ModelInfo, device: str, strength: float, *, compile: bool = False) -> Painter:  # noqa: A002
    _ = model.sampling  # a part has none and is refused, before its files are read
    model.check_strength(strength)
    model.verify()
    return Painter(model, open_backend(model, device, strength, compile=compile))
