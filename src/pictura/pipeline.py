"""Prompt to pictures, whole, in the order in which it happens. Read this first.

    load      a model folder, checked, on ONNX Runtime or torch
    paint     1 read the prompt          tokens          encode/lexicon.py, tokenizer.py
              2 understand it            features        runtime/ or families/
              3 draw noise, one stream per picture       sample/randomness.py
              4 from noise to image      latent, tokens  sample/by_steps.py, by_tokens.py, at_once.py,
                                                         by_imagination.py
              5 decode it                pixels          runtime/ or families/
              6 keep the best of many, if asked for      runtime/rerank.py
              7 enlarge, and say how it was painted      runtime/onnx_enlarger.py, store/pictures.py
    complete  the same, below the top rows of a given picture
    repaint   the same from what a picture says about itself
    explain   where a model that attends to words looked for each of them

Steps 1 to 5 are one of the ways of painting in sample/: by steps along a velocity, token by token, in one
pass, or by imagining a CLIP's vector first. Each is a generator of network calls (sample/calls.py): whoever
drives it can stand between any two.

Letters B batch, C channels, H W picture size.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pictura
from pictura.core import images
from pictura.core.errors import ConfigError, ModelError
from pictura.core.sheets import word_sheet
from pictura.core.types import Backend, ImaginationBackend, OnePassBackend, TokenBackend
from pictura.encode.lexicon import read_as, reread
from pictura.encode.tokenizer import Tokenizer, split_words
from pictura.prompt.meaning import merged
from pictura.prompt.request import ParsedPrompt
from pictura.runtime.onnx_enlarger import LANCZOS, LEARNT, check_way, scaled
from pictura.runtime.open import open_backend
from pictura.runtime.rerank import rank
from pictura.sample.at_once import at_once
from pictura.sample.by_imagination import by_imagination
from pictura.sample.by_steps import by_steps
from pictura.sample.by_tokens import by_tokens
from pictura.sample.calls import Asked, OnStep, Painted, Way, drive
from pictura.sample.completion import top_codes
from pictura.sample.from_picture import given_in
from pictura.sample.randomness import draw_seed
from pictura.sample.request import (
    Choices,
    check_length,
    check_numbers,
    check_prompt,
    choose,
    refuse_foreign,
)
from pictura.sample.sizes import DEFAULT_SIZE, check_size, stretched
from pictura.sample.steering import check_steering
from pictura.store.metadata import CHOICE, on_white, read_metadata, read_settings
from pictura.store.models import (
    AS_LEARNT,
    AT_ONCE,
    AUTOREGRESSIVE,
    BY_IMAGINATION,
    ModelInfo,
    find_models,
    home,
    resolve,
)
from pictura.store.pictures import Picture, grid

__all__ = ["Painter", "Picture", "grid", "load", "repaint"]
WayOf = Callable[..., Way[Painted]]
WAYS: Mapping[str, WayOf] = {
    AT_ONCE: at_once,
    AUTOREGRESSIVE: by_tokens,
    BY_IMAGINATION: by_imagination,
}
"""Name of a model's solver to its way of painting; all others go by steps."""


class Painter:
    """A loaded model, ready to paint."""

    def __init__(
        self, model: ModelInfo, backend: Backend | OnePassBackend | TokenBackend | ImaginationBackend
    ) -> None:
        self.model = model
        self._backend: Any = backend
        self._tokenizer = Tokenizer.load(model.path / "tokenizer.json", max_tokens=model.max_tokens)
        self._words = (model.path / "words.txt").read_text(encoding="utf-8").split()
        self._known = {word: rank for rank, word in enumerate(self._words)}

    @property
    def backend(self) -> Any:
        """The networks: a `Backend`, or one for another way of painting, of core/types.py."""
        return self._backend

    @property
    def device(self) -> str:
        """What computes: ``cpu`` or ``cuda``."""
        return self._backend.device

    @property
    def strength(self) -> float:
        """Of what the model learnt on top of its base, in percent."""
        return self._backend.strength

    def paint(
        self, prompt: str | ParsedPrompt, *, on_step: OnStep | None = None, **choices: Unpack[Choices]
    ) -> list[Picture]:
        """Paint pictures of a sentence.

        Args:
            prompt: what to paint, in English: plain words, or one of what `pictura.prompt.parse` gives.
            on_step: called with (network steps done, network steps in all).
            choices: `num_images`, `seed`, `size`, … see `sample.request.Choices`; what is left out is as the
                model advises. A model takes those that its way of painting has, and refuses the others.

        Returns:
            The pictures; number i depends on the prompt, the seed, the settings and i alone.

        Raises:
            PromptError: the prompt is empty or too long.
            SizeError: the size is out of range.
            ConfigError: another setting is out of range, the model does not have it, or both the prompt and
                the choices say it; or the prompt asks for another model, another strength or several jobs.
        """
        return drive(self.making(prompt, **choices), self._backend, on_step)

    def making(self, prompt: str | ParsedPrompt, **choices: Unpack[Choices]) -> Way[list[Picture]]:
        """The way to what `paint` returns, for whoever calls the networks himself, with the same errors.

        They are raised here, as far as prompt and choices alone tell, before the way begins.
        """
        if isinstance(prompt, ParsedPrompt):
            choices = cast(Choices, merged(prompt, self.model, self.strength, choices))
            prompt = prompt.words
        words = {name: choices.pop(name) for name in ("typed", "resolved") if name in choices}
        num_images, candidates = choices.pop("num_images", 4), choices.pop("candidates", None)
        first, seed, size = choices.pop("first", 0), choices.pop("seed", None), choices.pop("size", None)
        enlarge, read = choices.pop("enlarge", None), choices.pop("read_as", None)
        check_numbers(num_images, candidates)
        check_way(enlarge)
        refuse_foreign(self.model, choices)
        given = given_in(choices)
        for name in ("image", "noise_level", "mask"):
            choices.pop(name, None)  # type: ignore[misc]  # one of its keys
        chosen = choose(self.model, choices, from_noise=given is None)
        settings = chosen | (given.told() if given else {}) | words
        settings |= self.wording(prompt, settings, given=read)
        settings["size"] = list(DEFAULT_SIZE if size is None else size)
        settings["enlarge"] = enlarge or LEARNT
        self._check(prompt, settings)
        numbers = range(first, first + (candidates or num_images))
        asked = Asked(prompt, draw_seed() if seed is None else seed, numbers, settings, given)
        return self._making(asked, keep=num_images if candidates else None)

    def complete(
        self, picture: Picture | Image.Image, prompt: str | ParsedPrompt, *, rows: int, **settings: Any
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

    def wording(
        self, prompt: str, settings: Mapping[str, Any], *, given: Sequence[Sequence[str]] | None = None
    ) -> dict[str, Any]:
        """What is read in the place of words that the model does not know, as a setting; empty if nothing is.

        Args:
            prompt: what to paint.
            settings: with `parts`, if there are some.
            given: what a person chose to be read so; None looks it up.
        """
        texts = (prompt, *(text for text, _ in settings.get("parts", ())))
        for text in texts:
            check_prompt(text)
        pairs = (pair for text in texts for pair in read_as(text, self._known)) if given is None else given
        found = [list(pair) for pair in dict.fromkeys(map(tuple, pairs))]
        return {"read_as": found} if found else {}

    def notices(self, prompt: str | ParsedPrompt, *, as_written: bool = False) -> list[str]:
        """What a person should know before painting `prompt`: words the model never saw, and cut ends.

        Args:
            prompt: what to paint.
            as_written: whether unknown words stay as they are, as `read_as=()` has it.
        """
        if isinstance(prompt, ParsedPrompt):
            texts = (text for text, _ in prompt.shares())
            told = (notice for text in texts for notice in self.notices(text, as_written=as_written))
            return list(dict.fromkeys(told))
        pairs = () if as_written else read_as(prompt, self._known)
        found = [f"{said!r} is read as {read!r}." for said, read in pairs]
        understood = {word for said, _ in pairs for word in split_words(said)}
        for word in dict.fromkeys(split_words(prompt)):
            if word not in self._known and word not in understood and not word.isdigit():
                near = difflib.get_close_matches(word, self._words, n=3, cutoff=0.6)
                hint = f" Near it: {', '.join(near)}." if near else ""
                found.append(f"The model has never seen the word {word!r}.{hint}")
        count = self._tokenizer.count(reread(prompt, pairs))
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
        asked = Asked(picture.prompt, picture.seed, [picture.index], picture.settings)
        attention = drive(
            at_once(self.model, self._backend, self.reader(asked.settings), asked), self._backend
        ).attention
        assert attention is not None  # the folder says that there is one
        places = self._tokenizer.places(reread(picture.prompt, picture.settings.get("read_as", ())))
        words = [(word, attention[0, tokens].sum(axis=0)) for word, tokens in places]
        return word_sheet(on_white(picture.image), words)

    def _check(self, prompt: str, settings: Mapping[str, Any]) -> None:
        for text in (prompt, *(text for text, _ in settings.get("parts", ()))):
            check_prompt(text)
        check_steering(settings)
        check_size(tuple(settings["size"]))
        if self.model.by_tokens:
            check_length(self.model, self._tokenizer.count(reread(prompt, settings.get("read_as", ()))))

    def _making(self, asked: Asked, *, keep: int | None = None) -> Way[list[Picture]]:
        way: WayOf = WAYS.get(self.model.sampling.solver, by_steps)
        painted = yield from way(self.model, self._backend, self.reader(asked.settings), asked)
        return self.frame(painted, asked, keep=keep)

    def frame(self, painted: Painted, asked: Asked, *, keep: int | None = None) -> list[Picture]:
        """Keep the best of what was painted, scale it, and say how it was painted.

        Args:
            painted: what came out of the networks.
            asked: what they were asked for.
            keep: how many of the best; None keeps all, in their order.
        """
        prompt, seed, numbers, settings = asked.prompt, asked.seed, asked.numbers, dict(asked.settings)
        painted_size = [painted.images.shape[3], painted.images.shape[2]]
        way = settings.pop("enlarge", LEARNT)
        rows, chosen, scores = list(range(len(numbers))), {}, {}
        if keep is not None:
            understood = reread(prompt, settings.get("read_as", ()))
            ranking = rank(images.to_pil(painted.images), understood, keep=keep)
            rows, chosen = list(ranking.best), {"candidates": len(numbers), "scored_by": ranking.by}
            scores = {row: {"score": ranking.scores[row]} for row in rows}
        arrays, scaling = scaled(
            painted.images[rows], tuple(settings["size"]), way=way, wrapped=bool(settings.get("tile"))
        )
        told = {**settings, "painted_size": painted_size, **scaling, "device": self.device}
        if self.model.deltas:
            told["strength"] = self.strength
        told |= chosen
        return [
            Picture(
                image=image,
                prompt=prompt,
                seed=seed,
                index=numbers[row],
                settings={**told, **scores.get(row, {})},
                model=self.model.name,
                model_hash=self.model.hash,
                version=pictura.__version__,
                notices=painted.notices + stretched(painted_size, settings["size"]),
            )
            for row, image in zip(rows, images.to_pil(arrays), strict=True)
        ]

    def read(self, words: str) -> NDArray[np.int64]:
        """Words to token ids (T,), as they are written, cut at what the model reads."""
        return np.array(self._tokenizer.encode(words), dtype=np.int64)

    def reader(self, settings: Mapping[str, Any]) -> Callable[[str], NDArray[np.int64]]:
        """The same with what the settings say is read in the place of unknown words."""
        return lambda words: self.read(reread(words, settings.get("read_as", ())))


def load(
    name: str | Path = "default",
    *,
    device: str = "auto",
    strength: float = AS_LEARNT,
    compile: bool = False,  # noqa: A002
    num_threads: int | None = None,
) -> Painter:
    """Load a model.

    Args:
        name: of a model (see `pictura models`), or a path to a model folder.
        device: ``cpu``, ``cuda`` (needs the extra `train`), or ``auto``: CUDA where it is, else CPU.
        strength: of what the model learnt on top of its base: 0 is the base, 100 as learnt, 200 at most.
        compile: on CUDA, compile the network first: a minute that pays for hundreds of pictures.
        num_threads: threads of one network call on a CPU; None measures which number is fastest.

    Raises:
        ModelNotFoundError: no model has that name or path.
        ModelError: the model is damaged.
        ConfigError: the strength is out of range, or not 100 where nothing was learnt on top of a base.
        DeviceError: the asked-for device is not there.
        MissingExtraError: CUDA is asked for and torch is not installed.
    """
    return _load(resolve(name), device, strength, compile=compile, num_threads=num_threads)


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
    if said["settings"].get("scaling") == LANCZOS:
        settings["enlarge"] = LANCZOS
    painter = _load(model, device, settings.pop("strength", AS_LEARNT))
    choice = {name: settings.pop(name) for name in CHOICE if name in settings}
    painter._check(said["prompt"], settings)
    asked = Asked(said["prompt"], said["seed"], [said["index"]], settings)
    (picture,) = drive(painter._making(asked), painter._backend, on_step)
    notices, by = picture.notices, said["settings"].get("enlarged_by")
    if by and picture.settings.get("enlarged_by") != by:
        notices += (f"It was enlarged by {by}, which is not here: its edges may differ.",)
    return replace(picture, settings={**picture.settings, **choice}, notices=notices)


def _load(model: ModelInfo, device: str, strength: float, **how: Any) -> Painter:
    _ = model.sampling  # a part has none and is refused, before its files are read
    model.check_strength(strength)
    model.verify()
    return Painter(model, open_backend(model, device, strength, **how))
