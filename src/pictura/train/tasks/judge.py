"""What judges learn: to say what is in a scene whose truth is known, drawn well or badly.

Pictures are turned, blurred, dimmed and passed through a painter's autoencoder with noise on the latent, so
that a judge reads generated pictures too; some are cut to pieces and shuffled, and hold nothing then.

Letters B batch, M things in a picture at most, T things, K colours, W words.
"""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.core.types import Batch, BatchSource
from pictura.data.scenes.source import Scene, SceneSource
from pictura.data.vocabulary.colours import COLOURS
from pictura.data.vocabulary.world import World
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.judges.detector import Detections, Detector, DetectorConfig
from pictura.encode.judges.inquirer import Answers, Inquirer, InquirerConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.train.materials import Materials
from pictura.train.recipe import Recipe, from_table
from pictura.train.start import Start, part, read_start, require
from pictura.train.tasks.damage import shuffle, spoil, turn

MOST = 4
NOTHING, STRANGER = -1, -2
"""In place of a thing's number: no object, and one that is none of the world's things."""
NEEDS_TRUTH = "A judge learns from pictures whose truth is known: data.kind must be 'scenes'."
_BROKEN = 0.06  # of the pictures are cut to pieces
_CLEAN_FROM, _CLEAN_BATCHES = 1 << 30, 16
_RARE = 3  # words of fewer pack names are not learnt


class JudgeStep(nn.Module):
    """A judge with its loss, and a head that names the words of the pack, which only training needs."""

    def __init__(self, network: Detector | Inquirer, natural_TK: Tensor, num_words: int) -> None:
        super().__init__()
        self.network = network
        width = network.width if isinstance(network, Detector) else network.config.width
        self.words = nn.Linear(width, num_words)
        nn.init.constant_(self.words.bias, -6.0)
        self.register_buffer("natural_TK", natural_TK, persistent=False)
        self.natural_TK: Tensor

    def forward(
        self, images: Tensor, things: Tensor, centres: Tensor, colours: Tensor, words: Tensor, named: Tensor
    ) -> Tensor:
        """What the judge says against the truth.

        Args:
            images: (B, 3, H, W) in [0, 1].
            things: (B, M) numbers of things, `NOTHING` or `STRANGER`.
            centres: (B, M, 2) x, y as fractions of the picture.
            colours: (B, M) numbers of colours that were said, or -1.
            words: (B, W), 1 for each word of the one thing's pack name.
            named: (B,), 1 where `words` is known.

        Returns:
            (B,) one loss per picture.
        """
        said = self.network(images)
        if isinstance(said, Detections):
            loss_B = detector_loss(said, things, centres, colours, self.natural_TK)
        else:
            loss_B = inquirer_loss(said, things, centres, colours, self.natural_TK)
        spelt = F.binary_cross_entropy_with_logits(self.words(said.features), words, reduction="none")
        return loss_B + 0.3 * named * spelt.sum(dim=1)


def colour_loss(logits_NK: Tensor, colours_N: Tensor, natural_NK: Tensor) -> Tensor:
    """How far colours are from the truth: (N,).

    A said colour is that colour. One that was not said is either the thing's own look (the last class) or a
    colour that such things show by themselves.

    Args:
        logits_NK: (N, K + 1).
        colours_N: (N,) the colour said, or -1.
        natural_NK: (N, K) true for colours that the thing shows by itself.
    """
    log_p = logits_NK.log_softmax(dim=-1)
    said = -log_p.gather(1, colours_N.clamp_min(0)[:, None])[:, 0]
    own = torch.cat([natural_NK, torch.ones_like(natural_NK[:, :1])], dim=1)
    unsaid = -log_p.masked_fill(~own, -torch.inf).logsumexp(dim=1)
    return torch.where(colours_N >= 0, said, unsaid)


def cells(centres: Tensor, h: int, w: int) -> Tensor:
    """The cell (…, 2), x and y, of a map of h rows and w columns in which each centre (…, 2) lies."""
    size = torch.tensor([w, h], device=centres.device)
    return torch.minimum((centres * size).floor().long().clamp_min(0), size - 1)


def detector_loss(
    said: Detections, things: Tensor, centres: Tensor, colours: Tensor, natural_TK: Tensor
) -> Tensor:
    """Loss of the maps, (B,): presence everywhere but around centres; thing, colour and offset at centres."""
    h, w = said.presence.shape[1:]
    there = things != NOTHING
    b, m = there.nonzero(as_tuple=True)
    x, y = cells(centres, h, w)[b, m].unbind(-1)
    size = torch.tensor([w, h], device=centres.device)
    target = torch.zeros_like(said.presence)
    target[b, y, x] = 1
    near = F.max_pool2d(target[:, None], 3, stride=1, padding=1)[:, 0]
    error = F.binary_cross_entropy_with_logits(said.presence, target, reduction="none")
    loss_B = (error * (1 - near + target)).sum(dim=(1, 2)) / 4

    known = things[b, m] >= 0
    corner = torch.stack([x, y], dim=-1)
    offset = (said.offsets[b, :, y, x] - (centres[b, m] * size - corner)).abs().sum(dim=1)
    b, x, y, thing, colour = b[known], x[known], y[known], things[b, m][known], colours[b, m][known]
    named = F.cross_entropy(said.things[b, :, y, x], thing, reduction="none", label_smoothing=0.05)
    tinted = colour_loss(said.colours[b, :, y, x], colour, natural_TK[thing])
    per_picture = there.sum(dim=1).clamp_min(1)
    loss_B = loss_B.index_add(0, there.nonzero(as_tuple=True)[0], offset / 2)
    return loss_B.index_add(0, b, (named + 0.7 * tinted) / per_picture[b])


def inquirer_loss(
    said: Answers, things: Tensor, centres: Tensor, colours: Tensor, natural_TK: Tensor
) -> Tensor:
    """Loss of the answers, (B,): numbers of all things; name, colour and place of those that are there.

    Where things are is told too: a question that has to find out by itself which cells to look at learns
    several times more slowly.
    """
    B, T, h, w = said.match.shape
    b, m = (things >= 0).nonzero(as_tuple=True)
    thing = things[b, m]
    count = torch.zeros(B, T, dtype=torch.long, device=things.device)
    count.index_put_((b, thing), torch.ones_like(b), accumulate=True)
    strange = (things == STRANGER).any(dim=1)
    numbers = F.cross_entropy(said.counts.flatten(0, 1), count.flatten(), reduction="none").view(B, T)
    numbers = torch.where(strange[:, None], torch.zeros_like(numbers), numbers)

    x, y = cells(centres, h, w)[b, m].unbind(-1)
    named = F.cross_entropy(said.match[b, :, y, x], thing, reduction="none", label_smoothing=0.05)
    target = torch.zeros_like(said.match)
    target[b, thing, y, x] = 1
    near = F.max_pool2d(target, 3, stride=1, padding=1).flatten(2)[b, thing]
    looks = said.match.flatten(2)[b, thing].softmax(dim=-1)
    missed = -(looks * near).sum(dim=-1).clamp_min(1e-6).log()
    tinted = colour_loss(said.colours[b, thing], colours[b, m], natural_TK[thing])
    number = count[b, thing]
    counted = F.cross_entropy(said.counts[b, thing, 1:], number - 1, reduction="none")
    alone = number == 1
    far = (said.centres[b, thing] - centres[b, m]).abs().sum(dim=1) * alone
    per_picture = (things >= 0).sum(dim=1).clamp_min(1)
    loss_B = 0.3 * numbers.sum(dim=1)
    return loss_B.index_add(0, b, (named + counted + 0.3 * missed + 0.7 * tinted + far) / per_picture[b])


class JudgeTask:
    """Turns scenes into the inputs of `JudgeStep`."""

    factor = 1
    tokenizer: Tokenizer | None = None

    def __init__(
        self,
        module: JudgeStep,
        *,
        config: Mapping[str, Any],
        things: Sequence[str],
        words: Sequence[str],
        autoencoder: Autoencoder | None,
        device: torch.device,
    ) -> None:
        """Keep the parts.

        Args:
            module: network and loss.
            config: what the network is, for checkpoints.
            things: phrases of the world, in the order of the network's numbers.
            words: of pack names, in the order of the words head.
            autoencoder: of a painter, through which some of the pictures go.
            device: where it computes.
        """
        self.module, self.device, self.autoencoder = module, device, autoencoder
        self._config = dict(config)
        self._things = {phrase: i for i, phrase in enumerate(things)}
        self._words = {word: i for i, word in enumerate(words)}
        self._colours = {name: i for i, name in enumerate(COLOURS)}

    def config(self) -> dict[str, Any]:
        """What the network is, for checkpoints."""
        return {"judge": self._config}

    def frozen(self) -> dict[str, Tensor]:
        """Nothing that a judge needs later."""
        return {}

    def resume(self, tokenizer: Tokenizer, frozen: dict[str, Tensor], where: Path) -> None:
        """Nothing to do: there are no captions."""

    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor | None:
        """Nothing to see."""
        return None

    def finish(self, train: BatchSource, weights: Sequence[dict[str, Tensor]]) -> None:
        """Measure the norms' statistics of the averages on clean pictures: training saw damaged ones."""
        pictures = clean_pictures(train)
        for average in weights:
            network = copy.deepcopy(self.module.network)
            network.load_state_dict(part(average, "network"))
            settle(network, pictures)
            for name, buffer in network.named_buffers():
                average[f"network.{name}"].copy_(buffer)

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Truth and picture, treated badly in training."""
        scenes: Sequence[Scene] = batch.scenes
        if not scenes:
            raise ConfigError(
                "A judge learns from pictures whose truth is known: data.kind must be 'scenes'."
            )
        size = len(scenes)
        things = np.full((size, MOST), NOTHING)
        centres = np.zeros((size, MOST, 2), dtype=np.float32)
        colours = np.full((size, MOST), -1)
        words = np.zeros((size, len(self._words)), dtype=np.float32)
        named = np.zeros(size, dtype=np.float32)
        for i, scene in enumerate(scenes):
            for j, seen in enumerate(scene.objects):
                things[i, j] = STRANGER if scene.kind == "other" else self._things[seen.thing]
                left, top, right, bottom = seen.box
                centres[i, j] = (left + right) / 2, (top + bottom) / 2
                colours[i, j] = -1 if seen.colour is None else self._colours[seen.colour]
            if len(scene.objects) == 1:
                named[i] = 1
                for word in scene.objects[0].thing.split():
                    if word in self._words:
                        words[i, self._words[word]] = 1
        images = on_background(torch.as_tensor(batch.images).to(self.device))
        truth = [torch.from_numpy(a).to(self.device) for a in (things, centres, colours, words, named)]
        if self.module.training:
            images, truth[1] = turn(images, truth[1], rng)
            images = self._through_the_autoencoder(images, rng)
            images = spoil(images, rng)
            broken = torch.from_numpy(rng.random(size) < _BROKEN).to(self.device)
            images = torch.where(broken[:, None, None, None], shuffle(images, rng), images)
            truth[0] = torch.where(broken[:, None], NOTHING, truth[0])
            truth[4] = truth[4] * ~broken
        return (images, *truth)

    @torch.no_grad()
    def _through_the_autoencoder(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Pass a quarter of the pictures through the autoencoder, with noise on the latent."""
        count = len(images) // 4
        if self.autoencoder is None or not count:
            return images
        opaque = torch.cat([images[:count], torch.ones_like(images[:count, :1])], dim=1)
        latent = self.autoencoder.encode(opaque)
        strength = rng.uniform(0, 0.5, (count, 1, 1, 1)).astype(np.float32)
        noise = rng.standard_normal(latent.shape, dtype=np.float32) * strength
        painted = self.autoencoder.decode(latent + torch.from_numpy(noise).to(latent))
        return torch.cat([on_background(painted), images[count:]])


def clean_pictures(train: BatchSource) -> list[Tensor]:
    """Scenes as they are, far from where training takes its own: batches (B, 3, H, W), on light grey."""
    batches = (train.batch(_CLEAN_FROM + i, 64) for i in range(_CLEAN_BATCHES))
    return [on_background(torch.as_tensor(batch.images)) for batch in batches]


@torch.no_grad()
def settle(network: nn.Module, pictures: Sequence[Tensor]) -> None:
    """Measure the statistics of a network's batch norms anew, as means over `pictures`."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    network.train()
    for batch in pictures:
        network(batch)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[JudgeTask, tuple[str, ...]]:
    """Make a judge of the recipe's kind, from noise or from `start`."""
    if not isinstance(materials.train, SceneSource):
        raise ConfigError(NEEDS_TRUTH)
    world: World = materials.train.world
    settings = dict(recipe.model.judge)
    kind = settings.pop("kind", "detector")
    shape = {"num_things": len(world.things), "num_colours": len(COLOURS), **settings}
    network: Detector | Inquirer
    if kind == "detector":
        network = Detector(from_table(DetectorConfig, shape, "model.judge"))
    elif kind == "inquirer":
        network = Inquirer(from_table(InquirerConfig, shape, "model.judge"))
    else:
        raise ConfigError(f"model.judge.kind must be 'detector' or 'inquirer'; got {kind!r}.")
    things = [thing.phrase for thing in world.things]
    config = {"kind": kind, "network": asdict(network.config), "things": things, "colours": list(COLOURS)}
    if start:
        require(start, "judge", recipe)
        network.load_state_dict(part(start.weights, "network"))
    names = Counter(word for name in materials.train.glyphs.names for word in set(name.split()))
    words = sorted(word for word, count in names.items() if count >= _RARE)
    natural = torch.tensor([[c in thing.natural for c in COLOURS] for thing in world.things])
    autoencoder = None
    if recipe.model.autoencoder:
        space = read_start(recipe.model.autoencoder, root)
        autoencoder = Autoencoder(from_table(AutoencoderConfig, space.config["autoencoder"], "autoencoder"))
        autoencoder.load_state_dict(part(space.weights, "autoencoder"))
        autoencoder.requires_grad_(False).eval().to(device)
    module = JudgeStep(network, natural, len(words)).to(device)
    head = part(start.weights, "words") if start else {}
    if head and head["weight"].shape == module.words.weight.shape:
        module.words.load_state_dict(head)
    task = JudgeTask(
        module,
        config=config,
        things=things,
        words=words,
        autoencoder=autoencoder,
        device=device,
    )
    return task, ()
