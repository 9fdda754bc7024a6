"""What a recipe's `[data]` and `[model]` tables stand for: batches, captions and networks.

The parts come from `data`, `encode` and `families`; this joins them for the loop.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pictura.core.errors import ConfigError, DataError
from pictura.core.types import BatchSource
from pictura.data.batches import CaptionedBatches, load_captioned
from pictura.data.glyphs import GlyphSet
from pictura.data.holdouts import Holdouts, Split
from pictura.data.scenes import SceneSource
from pictura.data.world import World
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.encode.tokenizer import Tokenizer, split_words
from pictura.families.flow.model import FlowConfig, FlowTransformer
from pictura.families.flow.presets import get_preset
from pictura.store.models import Sampling, resolve
from pictura.store.weights import read_weights
from pictura.train import checkpoint
from pictura.train.autoencoder import AutoencoderStep, AutoencoderTask
from pictura.train.flow import FlowStep, FlowTask
from pictura.train.recipe import SAMPLING, ModelSettings, Recipe, from_table

VALIDATION_SEED = 1_000_003
CAPTION_BATCHES = 400
"""Batches of 128 scenes whose captions teach tokenizer and word list."""

Task = FlowTask | AutoencoderTask


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """Batches of a recipe."""

    train: BatchSource
    validation: BatchSource
    captions: tuple[str, ...]
    """Captions that teach tokenizer and word list; of training pictures only."""


def load_materials(recipe: Recipe, root: Path, device: torch.device) -> Materials:
    """Read what the recipe learns from.

    Args:
        recipe: its `[data]` table is used.
        root: folder that relative paths start from.
        device: where the pictures are kept, as uint8.

    Raises:
        ConfigError: an unknown kind of data.
        DataError: data is missing or unreadable.
    """
    data = recipe.data
    path = root / data.path
    if not path.exists():
        raise DataError(f"The recipe's data.path is {data.path!r}, but there is no {path}.")
    if data.kind == "captioned":
        return _captioned(recipe, path, device)
    if data.kind not in ("scenes", "glyphs"):
        raise ConfigError(f"data.kind must be 'captioned', 'scenes' or 'glyphs'; got {data.kind!r}.")
    if data.kind == "glyphs" and recipe.task == "flow":
        raise ConfigError("data.kind 'glyphs' knows no hold-outs and is for autoencoders. Take 'scenes'.")
    # Twice the size of the canvas: scenes resample their glyphs once, from more than they need.
    sharp = 2 * data.size if data.kind == "scenes" else data.size
    glyphs = GlyphSet.load(path, size=sharp, cache=root / data.cache if data.cache else None)
    holdouts = Holdouts.load()
    if data.kind == "glyphs":
        return _single_glyphs(recipe, glyphs, holdouts, device)
    seeds: list[tuple[Split, int]] = [("train", recipe.seed), ("validation", VALIDATION_SEED)]
    train, validation = (
        SceneSource(
            glyphs,
            world=World.load(),
            holdouts=holdouts,
            size=(data.size, data.size),
            seed=seed,
            split=split,
            other=data.other,
            xp=torch,
            device=device,
        )
        for split, seed in seeds
    )
    captions = tuple(s.caption for i in range(CAPTION_BATCHES) for s in train.scenes(i, 128))
    return Materials(train=train, validation=validation, captions=captions)


def _single_glyphs(recipe: Recipe, glyphs: GlyphSet, holdouts: Holdouts, device: torch.device) -> Materials:
    parts = [
        glyphs.select([holdouts.split(i) == split for i in glyphs.ids]) for split in ("train", "validation")
    ]
    train, validation = (
        CaptionedBatches(torch.from_numpy(g.images).to(device), [(name,) for name in g.names], seed)
        for g, seed in zip(parts, (recipe.seed, VALIDATION_SEED), strict=True)
    )
    return Materials(train=train, validation=validation, captions=parts[0].names)


def _captioned(recipe: Recipe, path: Path, device: torch.device) -> Materials:
    seen, unseen = (
        load_captioned(path, size=recipe.data.size, split=split, seed=recipe.seed)
        for split in ("train", "validation")
    )
    train, validation = (
        CaptionedBatches(torch.from_numpy(part.images).to(device), part.captions, seed, flip=flip)
        for part, seed, flip in ((seen, recipe.seed, recipe.data.flip), (unseen, VALIDATION_SEED, False))
    )
    return Materials(
        train=train, validation=validation, captions=tuple(c for each in seen.captions for c in each)
    )


def known_words(captions: Iterable[str]) -> list[str]:
    """Words of the captions, commonest first."""
    return [word for word, _ in Counter(w for c in captions for w in split_words(c)).most_common()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Weights and settings that a run starts from."""

    config: dict[str, Any]
    weights: dict[str, Tensor]
    tokenizer: Path | str | None
    words: tuple[str, ...]


def read_start(where: str, root: Path) -> Start:
    """Read a run, a checkpoint, or a model by name or folder: its long-average weights.

    Raises:
        ModelNotFoundError: nothing is there.
        ModelError: the model is damaged.
    """
    folder = checkpoint.find_latest(root / where)
    if folder is not None:
        saved = checkpoint.load(folder)
        weights = {**saved.weights.get("frozen", {}), **saved.weights["ema_long"]}
        return Start(config=saved.config, weights=weights, tokenizer=saved.tokenizer, words=saved.words)
    model = resolve(str(root / where) if (root / where).exists() else where)
    model.verify()
    return Start(
        config=dict(model.manifest),
        weights={name: torch.from_numpy(array) for name, array in read_weights(model.path).items()},
        tokenizer=model.path / "tokenizer.json",
        words=tuple((model.path / "words.txt").read_text(encoding="utf-8").split()),
    )


def build_task(
    recipe: Recipe, root: Path, materials: Materials, device: torch.device
) -> tuple[Task, tuple[str, ...]]:
    """Make the networks of a recipe, from noise or from `init_from`, and list the words they may know."""
    torch.manual_seed(recipe.seed)
    start = read_start(recipe.model.init_from, root) if recipe.model.init_from else None
    if recipe.task == "autoencoder":
        return _autoencoder_task(recipe, start, materials, device), ()
    return _flow_task(recipe, root, start, materials.captions, device)


def _autoencoder_task(
    recipe: Recipe, start: Start | None, materials: Materials, device: torch.device
) -> AutoencoderTask:
    if start:
        _require(start, "autoencoder", recipe)
    table = start.config["autoencoder"] if start else recipe.model.autoencoder_config
    autoencoder = Autoencoder(from_table(AutoencoderConfig, table, "model.autoencoder_config"))
    if start:
        autoencoder.load_state_dict(part(start.weights, "autoencoder"))
    else:
        autoencoder.start_from_components(torch.as_tensor(materials.train.batch(0, 1024).images).cpu())
    step = AutoencoderStep(autoencoder, kl_weight=recipe.training.kl_weight).to(device)
    return AutoencoderTask(step, recipe.training, device=device)


def _flow_task(
    recipe: Recipe, root: Path, start: Start | None, captions: tuple[str, ...], device: torch.device
) -> tuple[FlowTask, tuple[str, ...]]:
    model = recipe.model
    space = read_start(model.autoencoder, root) if model.autoencoder else start
    autoencoder = None
    if space and space.config.get("autoencoder"):
        autoencoder = Autoencoder(from_table(AutoencoderConfig, space.config["autoencoder"], "autoencoder"))
        autoencoder.load_state_dict(part(space.weights, "autoencoder"))
        autoencoder.requires_grad_(False).eval().to(device)
    words = known_words(captions)
    if start:
        _require(start, "network", recipe)
        tokenizer = _tokenizer(start, start.config.get("max_tokens", model.max_tokens))
        network_table, text_table = start.config["network"], start.config["text_encoder"]
        words = list(dict.fromkeys([*start.words, *words]))
    else:
        tokenizer = Tokenizer.train(captions, vocab_size=model.vocab_size, max_tokens=model.max_tokens)
        network_table, text_table = _preset_tables(model, autoencoder, tokenizer)
    network = FlowTransformer(from_table(FlowConfig, network_table, "network"))
    text_encoder = TextEncoder(from_table(TextEncoderConfig, text_table, "text_encoder"))
    if start:
        network.load_state_dict(part(start.weights, "network"))
        text_encoder.load_state_dict(part(start.weights, "text_encoder"))
    step = FlowStep(network, text_encoder).to(device)
    before = from_table(Sampling, start.config["sampling"], "sampling") if start else SAMPLING
    task = FlowTask(
        step,
        autoencoder,
        tokenizer,
        recipe.training,
        sampling=recipe.sampling or before,
        device=device,
        learnt_from=[line for origin in (start, space) if origin for line in origin.config.get("data", ())],
    )
    return task, tuple(words)


def _preset_tables(
    model: ModelSettings, autoencoder: Autoencoder | None, tokenizer: Tokenizer
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configs of network and text tower by the preset's name."""
    preset = get_preset(model.preset)
    if ("latent_channels" in preset.network) == (autoencoder is not None):
        raise ConfigError(
            f"model.preset {model.preset!r} does not go with model.autoencoder {model.autoencoder!r}: "
            f"presets ending in '-pixels' paint without an autoencoder, the others need one."
        )
    channels = autoencoder.config.latent_channels if autoencoder else 4
    text_table = {**preset.text_encoder, "vocab_size": tokenizer.vocab_size}
    return {**preset.network, "latent_channels": channels}, text_table


def _require(start: Start, network: str, recipe: Recipe) -> None:
    if not start.config.get(network):
        raise ConfigError(f"model.init_from is {recipe.model.init_from!r}, which holds no {network}.")


def _tokenizer(start: Start, max_tokens: int) -> Tokenizer:
    if isinstance(start.tokenizer, Path):
        return Tokenizer.load(start.tokenizer, max_tokens=max_tokens)
    return Tokenizer.from_text(str(start.tokenizer), max_tokens=max_tokens)


def part(weights: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The weights whose names open with ``name.``, without it."""
    return {k.removeprefix(f"{name}."): v for k, v in weights.items() if k.startswith(f"{name}.")}
