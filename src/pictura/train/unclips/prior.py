"""What unCLIP's priors learn: which embedding a CLIP would have of the picture that a caption asks for.

Source  Ramesh et al. 2022 (arXiv:2204.06125), section 2.2. Differs: the error of x_0 counts as that of the
        velocity does, and times of a batch are spread evenly, both as in `train/tasks/diffusion.py`.
Letters B pictures, T text tokens, E width of the text features, D of the embeddings, K components.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.types import Batch, BatchSource, TextConditioning
from pictura.encode.tokenizer import Tokenizer
from pictura.families.unclip.ar_prior import ArPrior, ArPriorConfig
from pictura.families.unclip.presets import get_preset
from pictura.families.unclip.prior import DiffusionPrior, PriorConfig
from pictura.sample.diffusion import alpha_sigma
from pictura.train.distributed import Process
from pictura.train.materials import Materials
from pictura.train.recipe import Recipe, TrainingSettings, from_table
from pictura.train.start import Start, part, require
from pictura.train.step import Supervised, rng_of
from pictura.train.tasks.diffusion import MOST_WEIGHT, draw_times
from pictura.train.unclips.frozen_clip import FrozenClip

GROUPS = 2
"""Of a batch, by length."""
FIRST_BATCHES, FIRST_SIZE = 32, 128
"""Pictures that scale, components and buckets are measured on."""


class PriorStep(nn.Module):
    """The diffusion prior with its loss: the module that a training step runs."""

    def __init__(self, prior: DiffusionPrior) -> None:
        super().__init__()
        self.prior = prior

    def forward(
        self,
        z: Tensor,
        tokens: Tensor,
        mask: Tensor,
        sentence: Tensor,
        keep: Tensor,
        noise: Tensor,
        t: Tensor,
    ) -> Tensor:
        """Weighted mean squared error of the clean embedding.

        Args:
            z: (B, D) unit vectors of pictures.
            tokens: (B, T, E) features of their captions.
            mask: (B, T), true where a token is.
            sentence: (B, D) unit vectors of the captions.
            keep: (B,) false where the caption is left out.
            noise: (B, D) standard normal.
            t: (B,) times.

        Returns:
            (B,) one loss per picture.
        """
        rows = by_length(z, tokens, mask, sentence, keep, noise, t)
        return torch.cat([self._loss(*some) for some in rows.groups])[rows.back]

    def _loss(
        self,
        z: Tensor,
        tokens: Tensor,
        mask: Tensor,
        sentence: Tensor,
        keep: Tensor,
        noise: Tensor,
        t: Tensor,
    ) -> Tensor:
        config = self.prior.config
        x_0 = config.scale * z
        a_B, s_B = alpha_sigma(config.schedule, t)
        cond = TextConditioning(tokens=tokens, mask=mask, sentence=sentence, keep=keep)
        error = self.prior(a_B[:, None] * x_0 + s_B[:, None] * noise, t, cond).float() - x_0
        return error.square().mean(dim=1) / s_B.square().clamp_min(1 / MOST_WEIGHT)

    def randoms(self, size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Noise and times of a batch of `size`."""
        noise = rng.standard_normal((size, self.prior.config.dim), dtype=np.float32)
        return torch.from_numpy(noise), draw_times(size, rng, shift=1.0)


class ArPriorStep(nn.Module):
    """The autoregressive prior with its loss: the module that a training step runs."""

    def __init__(self, prior: ArPrior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, z: Tensor, tokens: Tensor, mask: Tensor, sentence: Tensor, keep: Tensor) -> Tensor:
        """Cross-entropy of the codes, in nats per code; arguments as `PriorStep.forward`.

        Returns:
            (B,) one loss per picture.
        """
        rows = by_length(z, tokens, mask, sentence, keep)
        return torch.cat([self._loss(*some) for some in rows.groups])[rows.back]

    def _loss(self, z: Tensor, tokens: Tensor, mask: Tensor, sentence: Tensor, keep: Tensor) -> Tensor:
        codes_BK = self.prior.codes(z)
        cond = TextConditioning(tokens=tokens, mask=mask, sentence=sentence, keep=keep)
        logits = self.prior(codes_BK, self.prior.dots(z, sentence), cond)
        return F.cross_entropy(logits.float().transpose(1, 2), codes_BK, reduction="none").mean(dim=1)

    def randoms(self, size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Nothing else is drawn."""
        return ()


class ByLength(NamedTuple):
    """A batch in groups of about equal length, without the padding that is needed by longer groups alone."""

    groups: list[tuple[Tensor, ...]]
    """The tensors of each group, shortest first."""
    back: Tensor
    """(B,) where the rows of the batch are, once the groups are joined."""


def by_length(z: Tensor, tokens: Tensor, mask: Tensor, *rest: Tensor) -> ByLength:
    """Sort a batch by the length of its texts: half of all places are padding otherwise.

    Args:
        z: (B, D).
        tokens: (B, T, E), cut to the longest text of a group.
        mask: (B, T), cut too.
        rest: further tensors of B rows.
    """
    length_B = mask.sum(dim=1)
    order_B = length_B.argsort(stable=True)
    groups = []
    for rows in order_B.chunk(GROUPS):
        longest = int(length_B[rows[-1]])
        groups.append((z[rows], tokens[rows, :longest], mask[rows, :longest], *(x[rows] for x in rest)))
    return ByLength(groups, order_B.argsort())


class Embedded(NamedTuple):
    """What the CLIP makes of a batch, in half the memory; padding is left out."""

    z: Tensor
    """(B, D) of the pictures, fp16."""
    sentence: Tensor
    """(B, D) of the captions, fp16."""
    said: Tensor
    """(number of tokens, E) features, fp16."""
    mask: Tensor
    """(B, T) where they belong."""


class PriorTask:
    """Turns batches into the inputs of `PriorStep` or `ArPriorStep`."""

    factor = 1

    def __init__(
        self,
        module: PriorStep | ArPriorStep,
        clip: FrozenClip,
        settings: TrainingSettings,
        *,
        learnt_from: Sequence[str] = (),
    ) -> None:
        """Keep the parts.

        Args:
            module: the prior.
            clip: whose embeddings are learnt.
            settings: of the training.
            learnt_from: the sources of what the run started from, for the card.
        """
        self.module, self.clip, self.settings = module, clip, settings
        self.learnt_from = tuple(dict.fromkeys(learnt_from))

    @property
    def tokenizer(self) -> Tokenizer:
        """The CLIP's."""
        return self.clip.tokenizer

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Embed a batch; draw noise and times, and in training which captions are left out."""
        return self.draw(self.embed(batch), rng)

    def embed(self, batch: Batch) -> Embedded:
        """All that is learnt of a batch."""
        tokens, mask, sentence = self.clip.read(batch.captions)
        return Embedded(
            self.clip.see(torch.as_tensor(batch.images)).half(), sentence.half(), tokens[mask].half(), mask
        )

    def draw(self, embedded: Embedded, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """The module's inputs."""
        size, device = len(embedded.z), embedded.z.device
        tokens = torch.zeros((*embedded.mask.shape, embedded.said.shape[1]), device=device)
        tokens[embedded.mask] = embedded.said.float()
        keep = torch.ones(size, dtype=torch.bool)
        if self.module.training:
            keep = torch.from_numpy(rng.random(size) >= self.settings.caption_dropout)
        rest = (value.to(device) for value in self.module.randoms(size, rng))
        return embedded.z.float(), tokens, embedded.mask, embedded.sentence.float(), keep.to(device), *rest

    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor | None:
        """An embedding is no picture."""
        return None

    def finish(self, train: BatchSource, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Nothing is left to do."""

    def frozen(self) -> dict[str, Tensor]:
        """The CLIP's reader of prompts."""
        return self.clip.text_weights()

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Go on with the same CLIP.

        Raises:
            ConfigError: the recipe names another one now.
        """
        self.clip.check(frozen, where)

    def config(self) -> dict[str, Any]:
        """What the networks are and whence they come, for checkpoints."""
        name = "prior" if isinstance(self.module, PriorStep) else "ar_prior"
        return {
            name: asdict(self.module.prior.config),
            "clip": self.clip.table(),
            "max_tokens": self.tokenizer.max_tokens,
            "data": list(self.learnt_from),
        }


class Remembering(Supervised):
    """Gradient descent on batches that come again: a CLIP costs about as much as the step does."""

    def __init__(self, recipe: Recipe, task: PriorTask, materials: Materials, process: Process) -> None:
        super().__init__(recipe, task, materials, process)
        self.prior_task = task
        self.memory: dict[int, Embedded] = {}

    def inputs(self, position: int) -> tuple[Tensor, ...]:
        """What the module is given for batch number `position`; noise and left out captions are new."""
        number = self.recipe.training.remember
        if not number:
            return super().inputs(position)
        kept = position % number
        if kept not in self.memory:
            batch = self.materials.train.batch(kept, self.recipe.training.batch_size)
            self.memory[kept] = self.prior_task.embed(batch)
        return self.prior_task.draw(self.memory[kept], rng_of(self.recipe, position))


class First(NamedTuple):
    """What is measured before the first step."""

    scale: float
    z: Tensor
    """(N, D) embeddings of pictures."""
    sentence: Tensor
    """(N, D) of their captions."""


def look(clip: FrozenClip, train: BatchSource) -> First:
    """Measure the first batches."""
    count, total, squares = 0, 0.0, 0.0
    seen, read = [], []
    for position in range(FIRST_BATCHES):
        batch = train.batch(position, FIRST_SIZE)
        images = torch.as_tensor(batch.images)
        x = images.double() * 2 - 1
        count, total, squares = count + x.numel(), total + float(x.sum()), squares + float(x.square().sum())
        seen.append(clip.see(images))
        read.append(clip.read(batch.captions)[2])
    z = torch.cat(seen)
    deviation = math.sqrt(squares / count - (total / count) ** 2)
    return First(measured_scale(deviation, z), z, torch.cat(read))


def measured_scale(deviation: float, z: Tensor) -> float:
    """What embeddings (N, D) are multiplied by, so that their numbers deviate as those of pictures do.

    To four digits, so that other threads, which round otherwise, give the same.
    """
    return float(f"{deviation / float(z.double().std(correction=0)):.4g}")


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[PriorTask, tuple[str, ...]]:
    """Make a prior, from noise or from `start`, and list the words that captions have.

    Raises:
        ConfigError: there is no such preset or CLIP, or `start` listened to another CLIP.
    """
    words = materials.captions.words()
    name = "prior" if recipe.task == "unclip-prior" else "ar_prior"
    clip = FrozenClip.load(recipe.model.clip_model, root, device)
    prior: DiffusionPrior | ArPrior
    if start:
        require(start, name, recipe)
        _same_clip(start, clip, recipe)
        prior = _make(name, start.config[name])
        prior.load_state_dict(part(start.weights, "prior"))
        words = list(dict.fromkeys([*start.words, *words]))
    else:
        first, table = look(clip, materials.train), clip.table()
        wide = {key: table[key] for key in ("dim", "text_width", "max_tokens")}
        preset = get_preset(name, recipe.model.preset)
        prior = _make(name, {**preset, **wide, "scale": first.scale, **recipe.model.prior})
        prior.measure(first.z, first.sentence)
    step = PriorStep(prior) if isinstance(prior, DiffusionPrior) else ArPriorStep(prior)
    learnt_from = start.config.get("data", ()) if start else ()
    return PriorTask(step.to(device), clip, recipe.training, learnt_from=learnt_from), tuple(words)


def _make(name: str, table: dict[str, Any]) -> DiffusionPrior | ArPrior:
    if name == "prior":
        return DiffusionPrior(from_table(PriorConfig, table, "model.prior"))
    return ArPrior(from_table(ArPriorConfig, table, "model.prior"))


def _same_clip(start: Start, clip: FrozenClip, recipe: Recipe) -> None:
    """Refuse weights that know another CLIP's embeddings."""
    known = start.config["clip"]
    if known["hash"] != clip.hash:
        raise ConfigError(
            f"model.init_from is {recipe.model.init_from!r}, which learnt embeddings of the CLIP "
            f"{known['name']!r}; model.clip_model is another one, {clip.name!r}. "
            f"Take that CLIP, or start from noise."
        )
