"""Model folders: where they are, what their `model.json` says, and whether they are intact.

    model.json            what the networks are, how to sample them, SHA-256 of every other file
    weights.safetensors   fp16, named network.*, text_encoder.*, autoencoder.*
    *.onnx                text_encoder, network, decoder, encoder: graphs without weights
    tokenizer.json, words.txt, README.md (the card); delta*.safetensors where something was learnt later;
    student.safetensors where it has one (`student.py`)

A painter in one pass (stackgan, attngan, dfgan) has weights generator.*, text_encoder.* and graphs of these
names; one by tokens (dalle) has weights transformer.*, dvae.* and graphs reader, painter, decoder, encoder;
one by imagination (unclip) has weights prior.*, decoder.*, upsampler.*, graphs of these names, and
text_encoder, whose weights lie in the folder of a CLIP (`clips.py`).
A folder of kind "part" (a CLIP, a judge) does not paint: it says nothing of sampling and grids, and its
networks, graphs and files are those that it needs.

Two places are looked in: a user's own ``$PICTURA_HOME/models/NAME``, then the models inside the
package. A path to a model folder works wherever a name does.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pictura.core.errors import ConfigError, ModelError, ModelNotFoundError, did_you_mean
from pictura.store.places import home as home
from pictura.store.promoted import read_shelf

SHOWN = ("README.md", "samples.png")
"""Files for people: the card and its pictures. Painting needs none of them."""
STUDENT = "student.safetensors"
"""What makes its student of the model; it has a hash of its own, see `student.py`."""
TOLD = ("format", "name", "created", "pictura_version", "licence", "data", "metrics", "recipe", "learnt")
"""Fields of model.json for people and bookkeeping; every other one changes what the model does."""
FORMAT = 1
"""Version of the model folder's layout that this Pictura reads and writes."""
MANIFEST = "model.json"
DELTA = "delta.safetensors"
"""What was learnt on top of the weights."""
DELTAS = "delta*.safetensors"
"""What the names of such files look like; a model that learnt twice has two."""
AS_LEARNT = 100.0
"""Strength, in percent of what was learnt, at which a model paints unless told otherwise."""
MAX_STRENGTH = 200.0
KINDS = ("painter", "part")
AT_ONCE = "one_pass"
"""In the place of a solver: of a painter that calls its network once, without steps and guidance."""
AUTOREGRESSIVE = "autoregressive"
"""In the place of a solver: of a painter that draws one token after another."""
BY_IMAGINATION = "unclip"
"""In the place of a solver: of a painter that first imagines how a CLIP would see the picture."""
_OWN: Mapping[str, tuple[str, ...]] = {
    AUTOREGRESSIVE: ("temperature", "top_k"),
    BY_IMAGINATION: ("vector", "prior_steps", "prior_guidance", "decoder_solver", "eta", "upsampler_steps"),
}
"""Fields of `Sampling` that painters with such a solver have alone."""
ALIASES = {"default": "flow"}
"""What stands for what, unless something was promoted: see `default_name`."""
EMBEDDED = Path(__file__).resolve().parents[1] / "models"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How a model is best sampled."""

    solver: str
    num_steps: int
    guidance_scale: float
    guidance_interval: tuple[float, float]
    shift: float
    temperature: float = 1.0
    """Of painters by tokens: below 1 likely tokens become likelier; 0 takes the likeliest."""
    top_k: int = 0
    """Of painters by tokens: draw among so many likeliest ones; 0 = all."""
    vector: str = "prior"
    """Of painters by imagination: what the decoder is told of the picture, see `sample.by_imagination`."""
    prior_steps: int = 16
    """Of painters by imagination, whose `num_steps` and `guidance_scale` are the decoder's."""
    prior_guidance: float = 1.0
    """The same."""
    decoder_solver: str = "ddim"
    """The same; or a solver of `sample.ode`."""
    eta: float = 0.0
    """The same: 0 takes no fresh noise on the decoder's way, 1 as much as DDPM."""
    upsampler_steps: int = 4
    """The same."""

    def table(self) -> dict[str, Any]:
        """As model.json holds it: what only painters by tokens or by imagination have, others lack."""
        foreign = {name for solver, names in _OWN.items() if solver != self.solver for name in names}
        return {name: value for name, value in asdict(self).items() if name not in foreign}


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """What a model folder says about itself."""

    name: str
    family: str
    kind: str
    """``painter`` (paints by itself) or ``part`` (something else needs it)."""
    size_mb: float
    licence: str
    data: tuple[str, ...]
    """What it learnt from."""
    metrics: Mapping[str, Any]
    path: Path
    hash: str
    """SHA-256 over the hashes of all files that its use needs, and over what model.json says of its
    networks and of how it paints: equal hash, equal pictures, equal scores."""
    grids: tuple[tuple[int, int], ...]
    """Latent (height, width) shapes that it was trained for; none for a part."""
    factor: int
    """Picture pixels per latent pixel, along one side."""
    max_tokens: int
    advised: Sampling | None
    """How it is best sampled; None for a part."""
    graphs: Mapping[str, tuple[str, ...]]
    """Graph name (its file is NAME.onnx) to the names of the weights that it must be handed."""
    files: Mapping[str, str]
    """File name to SHA-256."""
    manifest: Mapping[str, Any]
    """All of `model.json`: `network`, `text_encoder` and `autoencoder` are the fields of their configs (the
    last is None for a model that paints pixels); of a painter in one pass, `gan` and `text_encoder` are."""

    @property
    def sampling(self) -> Sampling:
        """How a painter is best sampled.

        Raises:
            ModelError: this is a part, which does not paint.
        """
        if self.advised is None:
            raise ModelError(
                f"{self.name!r} is a {self.family} part and does not paint. "
                "Choose a model of the kind painter: `pictura models` lists them."
            )
        return self.advised

    @property
    def one_pass(self) -> bool:
        """Whether it paints in one call of its network.

        Raises:
            ModelError: this is a part, which does not paint.
        """
        return self.sampling.solver == AT_ONCE

    @property
    def by_tokens(self) -> bool:
        """Whether it paints by drawing one token after another.

        Raises:
            ModelError: this is a part, which does not paint.
        """
        return self.sampling.solver == AUTOREGRESSIVE

    @property
    def by_imagination(self) -> bool:
        """Whether it first imagines how a CLIP would see the picture.

        Raises:
            ModelError: this is a part, which does not paint.
        """
        return self.sampling.solver == BY_IMAGINATION

    @property
    def attends(self) -> bool:
        """Whether it can say where it looked for each word."""
        return bool(self.manifest.get("attention"))

    def check_attention(self) -> None:
        """Refuse to explain a model that does not attend to words.

        Raises:
            ConfigError: it does not; the message names those that do.
        """
        if not self.attends:
            names = [model.name for model in find_models(on_broken=lambda _: None) if model.attends]
            others = (
                f"These do: {', '.join(names)}."
                if names
                else "Models of the family attngan do; none is here."
            )
            raise ConfigError(f"The model {self.name!r} does not say where it looks for each word. {others}")

    @property
    def deltas(self) -> tuple[str, ...]:
        """Its files of what was learnt on top of the base; none for a base."""
        return tuple(name for name in sorted(self.files) if fnmatch(name, DELTAS))

    @property
    def delta_mb(self) -> float | None:
        """Size of these; None for a base."""
        found = [path.stat().st_size for path in map(self.path.joinpath, self.deltas) if path.is_file()]
        return round(sum(found) / 1e6, 2) if self.deltas else None

    def check_strength(self, strength: float) -> None:
        """Refuse a strength at which this model cannot be loaded.

        Raises:
            ConfigError: it is out of range, or the model is a base that nothing was learnt on top of.
        """
        if not 0 <= strength <= MAX_STRENGTH:
            raise ConfigError(
                f"strength must be from 0 (the base) over {AS_LEARNT:g} (as learnt) to {MAX_STRENGTH:g}; "
                f"got {strength:g}."
            )
        if strength != AS_LEARNT and not self.deltas:
            raise ConfigError(
                f"strength must be {AS_LEARNT:g} for the model {self.name!r}, for nothing was learnt on top "
                f"of it; got {strength:g}. `pictura models` shows of which something was."
            )

    def verify(self) -> None:
        """Compare every file with its hash.

        Raises:
            ModelError: a file is missing, cannot be read, or differs, or there is a delta that is not listed.
        """
        for path in sorted(self.path.glob(DELTAS)):
            if path.name not in self.files:
                raise ModelError(f"{path} is not listed in {MANIFEST}. Remove it, or export the model again.")
        for name, expected in self.files.items():
            path = self.path / name
            if not path.is_file():
                raise ModelError(f"{path} is missing. Install or export the model {self.name!r} again.")
            try:
                found = file_hash(path)
            except OSError as error:
                raise ModelError(
                    f"{path} cannot be read ({(error.strerror or str(error)).lower()}). "
                    f"Allow yourself to read it, or install or export the model {self.name!r} again."
                ) from error
            if found != expected:
                raise ModelError(
                    f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}. "
                    f"Install or export the model {self.name!r} again."
                )


def default_name() -> str:
    """The folder that `default` stands for: the version that was promoted, else the model that came first.

    Raises:
        ModelError: the file of promotions is damaged.
    """
    promoted = read_shelf().default
    return promoted if promoted in _folders() else ALIASES["default"]


def find_models(*, on_broken: Callable[[ModelError], None] | None = None) -> list[ModelInfo]:
    """Every model that a name reaches, sorted by name.

    Args:
        on_broken: told of each folder whose `model.json` cannot be read; without it such a folder raises.

    Raises:
        ModelError: a `model.json` cannot be read and `on_broken` is not given.
    """
    found = []
    for folder in _folders().values():
        try:
            found.append(read_model(folder))
        except ModelError as error:
            if on_broken is None:
                raise
            on_broken(error)
    return sorted(found, key=lambda model: model.name)


def hidden_models() -> list[str]:
    """One sentence for each model of the package that a user's model of the same name hides."""
    told = []
    for name in (path.name for path in _inside(EMBEDDED)):
        own = home() / "models" / name
        if (own / MANIFEST).is_file():
            names = [name, "default"] if name == default_name() else [name]
            told.append(
                f"{' and '.join(map(repr, names))} stand for your own {own}, which hides the embedded model; "
                "rename that folder to have the embedded one back."
            )
    return told


def resolve(name_or_path: str | Path) -> ModelInfo:
    """The model of a name (a folder's name, or ``default``), or of a path to its folder.

    Raises:
        ModelNotFoundError: there is none.
        ModelError: its `model.json` cannot be read.
    """
    name = str(name_or_path)
    folders = _folders()
    folder = folders.get(name) or (folders.get(default_name()) if name == "default" else None)
    if folder is None and (Path(name) / MANIFEST).is_file():
        folder = Path(name)
    if folder is None:
        if os.sep in name or Path(name).is_dir():
            raise ModelNotFoundError(f"{name} is no model folder: it holds no {MANIFEST}.")
        hint = did_you_mean(name, [*folders, *(alias for alias, of in ALIASES.items() if of in folders)])
        raise ModelNotFoundError(f"No model is named {name!r}. {hint or 'None is installed.'}")
    return read_model(folder)


def read_model(folder: Path) -> ModelInfo:
    """Read `model.json` of one folder; the other files are only measured.

    Raises:
        ModelError: it is missing, damaged, or of another format.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["format"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} should describe a model, but cannot be read ({error!r}).") from error
    if version != FORMAT:
        raise ModelError(
            f"{path} has format {version!r}, but this Pictura reads format {FORMAT}. "
            "Update Pictura or export the model again."
        )
    try:
        return _info(folder, manifest)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path} lacks a field or has a wrong one ({error!r}). Export the model again."
        ) from error


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _info(folder: Path, manifest: dict[str, Any]) -> ModelInfo:
    kind = str(manifest["kind"])
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}")
    paints = kind == "painter"
    files = {str(name): str(digest) for name, digest in manifest["files"].items()}
    needed = sorted(f"{name} {digest}" for name, digest in files.items() if name not in (*SHOWN, STUDENT))
    works = {name: value for name, value in manifest.items() if name not in (*TOLD, "files", "student")}
    needed.append(json.dumps(works, sort_keys=True))
    sizes = [path.stat().st_size for path in folder.iterdir() if path.is_file()]
    return ModelInfo(
        name=str(manifest["name"]),
        family=str(manifest["family"]),
        kind=kind,
        size_mb=round(sum(sizes) / 1e6, 1),
        licence=str(manifest["licence"]),
        data=tuple(manifest["data"]),
        metrics=dict(manifest["metrics"]),
        path=folder,
        hash=hashlib.sha256("\n".join(needed).encode()).hexdigest(),
        grids=tuple((int(h), int(w)) for h, w in manifest["grids"]) if paints else (),
        factor=int(manifest["factor"]) if paints else 1,
        max_tokens=int(manifest["max_tokens"]),
        advised=sampling_in(manifest["sampling"]) if paints else None,
        graphs={name: tuple(weights) for name, weights in manifest["graphs"].items()},
        files=files,
        manifest=manifest,
    )


def sampling_in(table: Mapping[str, Any]) -> Sampling:
    """How to paint, as a table of model.json says it; what is missing or wrong raises as Python does."""
    low, high = table["guidance_interval"]
    own = {name for names in _OWN.values() for name in names if name in table}
    return Sampling(
        solver=str(table["solver"]),
        num_steps=int(table["num_steps"]),
        guidance_scale=float(table["guidance_scale"]),
        guidance_interval=(float(low), float(high)),
        shift=float(table["shift"]),
        **{name: Sampling.__annotations__[name](table[name]) for name in own},
    )


def _folders() -> dict[str, Path]:
    """Name to folder; what the user put there comes before what the package brings."""
    return {path.name: path for place in (EMBEDDED, home() / "models") for path in _inside(place)}


def _inside(place: Path) -> Iterator[Path]:
    """The model folders of a place; hidden ones are of an export that is not done, or was killed."""
    if place.is_dir():
        for path in sorted(place.iterdir()):
            if not path.name.startswith(".") and (path / MANIFEST).is_file():
                yield path
