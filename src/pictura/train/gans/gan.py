"""What the adversarial families learn from: pictures, their sentences read by a frozen text tower, and noise.

The steps themselves are in `train/gans/adversarial.py`.

Letters B batch, C channels, S side, T text tokens, D text width, N noise numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.core.registry import Registry
from pictura.core.types import Batch, BatchSource, Conditioning
from pictura.encode.damsm.losses import MatchSettings, damsm_losses
from pictura.encode.damsm.model import Damsm
from pictura.encode.tokenizer import Tokenizer
from pictura.nn.gan import GanFamily
from pictura.nn.one_pass import as_pictures
from pictura.train.gans.gan_losses import check_loss
from pictura.train.materials import Materials
from pictura.train.recipe import ONE_PASS, ModelSettings, Recipe, from_table
from pictura.train.start import Start, part, read_start, require
from pictura.train.tasks.clip import rivals
from pictura.train.tasks.damsm import damsm_of

FAMILIES = Registry(
    "adversarial family",
    {name: f"pictura.families.{name}.family:FAMILY" for name in ("stackgan", "attngan", "dfgan")},
    group="pictura.gans",
)
BACKGROUND = 1.0
"""White: what pictures without transparency are laid on."""


class Inputs(NamedTuple):
    """What a step sees."""

    images: Tensor
    """(B, C, S, S) real pictures in [-1, 1]."""
    noise: Tensor
    """(B, N), standard normal."""
    tokens: Tensor
    """(B, T, D)."""
    mask: Tensor
    """(B, T)."""
    sentence: Tensor
    """(B, D)."""
    rival: Tensor
    """(B, B) true where the sentence of one picture (column) is surely wrong for another (row)."""

    @property
    def cond(self) -> Conditioning:
        """What generators are told."""
        return Conditioning(tokens=self.tokens, mask=self.mask, sentence=self.sentence)


class GanModule(nn.Module):
    """Generator and discriminators; called, it tells how far painted pictures are from their sentences."""

    generator: Any
    """`nn.gan.Generator`."""
    discriminators: Any
    """One `nn.gan.Discriminator` for each of its sizes."""

    def __init__(
        self, generator: nn.Module, discriminators: nn.ModuleList, matcher: Damsm, match: MatchSettings
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminators = discriminators
        self._outside = (matcher, match)  # in a tuple, so that it is no part of the module

    def forward(self, *inputs: Tensor) -> Tensor:
        """The four DAMSM losses of what is painted, summed: (B,). See `Inputs`."""
        given = Inputs(*inputs)
        return self.mismatch(self.generator(given.noise, given.cond).images[-1], given)

    def mismatch(self, images: Tensor, given: Inputs) -> Tensor:
        """The four DAMSM losses of pictures (B, C, S, S), cut to [-1, 1] as when painted, summed: (B,)."""
        matcher, match = self._outside
        look = matcher.look(on_background(images.clamp(-1, 1) / 2 + 0.5))
        losses = damsm_losses(look, given.cond, match, given.rival)
        return torch.stack(list(losses.values())).sum(dim=0)


class GanTask:
    """Turns batches into `Inputs`, and paints samples."""

    factor = 1

    def __init__(
        self,
        module: GanModule,
        matcher: Damsm,
        tokenizer: Tokenizer,
        *,
        device: torch.device,
        learnt_from: Sequence[str] = (),
    ) -> None:
        """Keep the parts.

        Args:
            module: generator and discriminators.
            matcher: whose text tower reads the captions; not trained.
            tokenizer: of the captions.
            device: where it computes.
            learnt_from: the sources of what the run started from, for the card.
        """
        self.module = module
        self.matcher = matcher
        self.tokenizer = tokenizer
        self.device = device
        self.learnt_from = tuple(dict.fromkeys(learnt_from))
        self.config_of = module.generator.config

    def inputs(self, batch: Batch, rng: np.random.Generator) -> Inputs:
        """Read the captions of a batch and draw its noise."""
        images = torch.as_tensor(batch.images).to(self.device)
        if self.config_of.image_channels == 3:
            images = on_background(images, BACKGROUND)
        cond = self.read(batch.captions)
        noise = rng.standard_normal((len(images), self.module.generator.noise_size), dtype=np.float32)
        rival = torch.from_numpy(rivals(batch.captions, batch.scenes, len(batch.captions), batch.classes))
        return Inputs(
            images * 2 - 1,
            torch.from_numpy(noise).to(self.device),
            cond.tokens,
            cond.mask,
            torch.as_tensor(cond.sentence),
            rival.to(self.device),
        )

    @torch.no_grad()
    def read(self, captions: Sequence[str]) -> Conditioning:
        """Captions to what the text tower makes of them, padded to the longest."""
        ids, mask = self.tokenizer.batch(captions)
        return self.matcher.read(
            torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)
        )

    @torch.no_grad()
    def sample(self, prompts: Sequence[str], *, seed: int = 0) -> Tensor:
        """Paint one picture per prompt with the weights that the module holds: (B, 3 or 4, S, S)."""
        generator = self.module.generator
        before = generator.training
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((len(prompts), generator.noise_size), dtype=np.float32)
        generator.eval()
        images = generator(torch.from_numpy(noise).to(self.device), self.read(prompts)).images[-1]
        generator.train(before)
        return as_pictures(images)

    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor:
        """Paint the recipe's prompts, or captions that are never trained on: (B, 3 or 4, S, S)."""
        return self.sample((recipe.log.prompts or materials.validation.batch(0, count).captions)[:count])

    def finish(self, train: BatchSource, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Nothing is left to do."""

    def frozen(self) -> dict[str, Tensor]:
        """The matcher, and its text tower once more under the name that a model folder has for it."""
        matcher = {f"matcher.{name}": value for name, value in self.matcher.state_dict().items()}
        text = {f"text_encoder.{name}": value for name, value in self.matcher.text.state_dict().items()}
        return {**matcher, **{name: value.clone() for name, value in text.items()}}

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Read captions as before: with the tokenizer and text tower that the run began with."""
        self.tokenizer = tokenizer
        self.matcher.load_state_dict(part(dict(frozen), "matcher"))

    def config(self) -> dict[str, Any]:
        """What the networks are, how they paint and whence they come, for checkpoints."""
        return {
            "gan": asdict(self.config_of),
            "text_encoder": asdict(self.matcher.config),
            "max_tokens": self.tokenizer.max_tokens,
            "sampling": ONE_PASS.table(),
            "data": list(self.learnt_from),
        }


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[GanTask, tuple[str, ...]]:
    """Make generator and discriminators, from noise or from `start`, and list the words they may know.

    Raises:
        ConfigError: there is no text tower, it does not fit the preset, the pictures have another size, or
            `start` holds other networks.
    """
    if not recipe.model.text:
        raise ConfigError(
            f"A recipe of the task {recipe.task!r} needs model.text: the run of a DAMSM, whose text tower "
            f"reads the captions. Train one first: pictura train recipes/damsm.toml"
        )
    if start:
        require(start, "gan", recipe)
    text = read_start(recipe.model.text, root)
    matcher, tokenizer = _matcher(text, recipe)
    family: GanFamily = FAMILIES.get(recipe.task)
    config = _config(family, recipe, start, matcher.config.width)
    generator: Any = family.generator(config)
    if recipe.data.size != generator.sizes[-1]:
        raise ConfigError(
            f"data.size is {recipe.data.size}, but the generator paints at {generator.sizes[-1]} pixels. "
            f"Make them equal."
        )
    match = MatchSettings.of(config.fidelity)
    module = GanModule(generator, family.discriminators(config), matcher.to(device), match)
    if start:
        _take_over(module, start)
    task = GanTask(
        module.to(device),
        matcher,
        tokenizer,
        device=device,
        learnt_from=[line for origin in (start, text) if origin for line in origin.config.get("data", ())],
    )
    return task, tuple(dict.fromkeys([*text.words, *materials.captions.words()]))


def _matcher(text: Start, recipe: Recipe) -> tuple[Damsm, Tokenizer]:
    if not text.config.get("damsm"):
        raise ConfigError(f"model.text is {recipe.model.text!r}, which holds no DAMSM.")
    matcher, tokenizer = damsm_of(text, recipe.model.max_tokens)
    return matcher.requires_grad_(False).eval(), tokenizer


def _config(family: GanFamily, recipe: Recipe, start: Start | None, text_width: int) -> Any:
    """The networks' config: of the preset, or, where none is named, of what the run starts from."""
    model = recipe.model
    going_on = model.preset == ModelSettings().preset
    table = dict(start.config["gan"]) if start and going_on else dict(family.preset(model.preset))
    table |= model.gan
    if model.fidelity:
        table["fidelity"] = model.fidelity
    where = f"model.init_from {model.init_from!r}" if start and going_on else f"model.preset {model.preset!r}"
    config: Any = from_table(family.config, table, where)
    check_loss(config.loss)
    if config.text_width != text_width:
        raise ConfigError(
            f"{where} reads sentences of {config.text_width} numbers, but those of {model.text!r} have "
            f"{text_width}. Train a DAMSM with model.damsm.width = {config.text_width}."
        )
    return config


def _take_over(module: GanModule, start: Start) -> None:
    """Start from earlier weights: all that are there, or those of a first stage."""
    weights = {k: v for k, v in start.weights.items() if k.startswith(("generator.", "discriminators."))}
    if hasattr(module.generator, "stage_1") and not any(k.startswith("generator.stage_1.") for k in weights):
        module.generator.take_stage_1(part(weights, "generator"))
        return
    if not any(k.startswith("discriminators.") for k in weights):  # a finished model has none
        weights.update({f"discriminators.{k}": v for k, v in module.discriminators.state_dict().items()})
    wanted, given = ({k: tuple(v.shape) for k, v in w.items()} for w in (module.state_dict(), weights))
    for name in sorted(wanted.keys() | given.keys()):
        if wanted.get(name) != given.get(name):
            raise ConfigError(
                f"model.init_from must hold {name} of shape {wanted.get(name, 'nothing')}; got "
                f"{given.get(name, 'nothing')}. Leave model.preset and model.gan out to take its networks."
            )
    module.load_state_dict(weights)
