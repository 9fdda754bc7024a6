"""What a DAMSM learns: which words belong to which regions, and which caption to which picture.

In training, pictures are treated as badly as judges', so that painted ones are read too.

Source  Xu et al. 2018, AttnGAN (arXiv:1711.10485), section 3.2: the four losses, summed.
Letters B pictures, N captions, T text tokens, E numbers of an embedding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.core.types import Batch, BatchSource
from pictura.encode.damsm.config import DamsmConfig
from pictura.encode.damsm.losses import MatchSettings, damsm_losses
from pictura.encode.damsm.model import Damsm, InceptionEncoder
from pictura.encode.tokenizer import Tokenizer
from pictura.train.materials import Materials
from pictura.train.recipe import Recipe, from_table
from pictura.train.start import Start, part, require, tokenizer_of
from pictura.train.tasks.clip import rivals
from pictura.train.tasks.damage import spoil, turn


class DamsmStep(nn.Module):
    """Both encoders with their losses: the module that a training step runs."""

    def __init__(self, damsm: Damsm, settings: MatchSettings) -> None:
        super().__init__()
        self.damsm, self.settings = damsm, settings

    def forward(self, images: Tensor, token_ids: Tensor, mask: Tensor, rival: Tensor, kept: Tensor) -> Tensor:
        """Losses of a batch.

        Args:
            images: (B, 3, S, S) on light grey.
            token_ids: (B, T) of their captions.
            mask: (B, T), true where a token is.
            rival: (B, B), see `damsm_losses`.
            kept: (B, T, E) what embeddings are multiplied by.

        Returns:
            (B,) the four losses summed.
        """
        losses = damsm_losses(
            self.damsm.look(images), self.damsm.read(token_ids, mask, kept), self.settings, rival
        )
        return torch.stack(list(losses.values())).sum(dim=0)


class DamsmTask:
    """Turns batches into the inputs of `DamsmStep`."""

    factor = 1

    def __init__(
        self,
        module: DamsmStep,
        tokenizer: Tokenizer,
        *,
        device: torch.device,
        learnt_from: Sequence[str] = (),
    ) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.device = device
        self.learnt_from = tuple(learnt_from)

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Pictures, captions, which captions compete, and which embedding numbers are kept."""
        images = on_background(torch.as_tensor(batch.images).to(self.device))
        if self.module.training:
            images = spoil(turn(images, torch.zeros(len(images), 1, 2), rng)[0], rng)
        ids, mask = self.tokenizer.batch(batch.captions)
        rival = rivals(batch.captions, batch.scenes, len(batch.captions), batch.classes)
        kept = self._kept(ids.shape, rng)
        rest = (torch.from_numpy(array).to(self.device) for array in (ids, mask, rival, kept))
        return (images, *rest)

    def _kept(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        config = self.module.damsm.config
        if not self.module.training:
            return np.ones((1, 1, 1), dtype=np.float32)
        stays = rng.random((*shape, config.embedding), dtype=np.float32) >= config.dropout
        return stays.astype(np.float32) / np.float32(1 - config.dropout)

    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor | None:
        """There is nothing to look at."""
        return None

    def finish(self, train: BatchSource, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Nothing is left to do."""

    def frozen(self) -> dict[str, Tensor]:
        """Nothing is used that is not in the module."""
        return {}

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Read captions with the tokenizer that was learnt with."""
        self.tokenizer = tokenizer

    def config(self) -> dict[str, Any]:
        """What the networks are and whence they come, for checkpoints."""
        return {
            "damsm": asdict(self.module.damsm.config),
            "max_tokens": self.tokenizer.max_tokens,
            "data": list(self.learnt_from),
        }


def damsm_of(start: Start, max_tokens: int) -> tuple[Damsm, Tokenizer]:
    """The matcher of a run, with the tokenizer that it reads with."""
    damsm = Damsm(from_table(DamsmConfig, start.config["damsm"], "damsm"))
    damsm.load_state_dict(part(start.weights, "damsm"))
    return damsm, tokenizer_of(start, start.config.get("max_tokens", max_tokens))


def _new(table: dict[str, Any], vocab_size: int, root: Path) -> Damsm:
    """An untrained matcher; `inception` in the table is the file of its picture encoder's weights."""
    fields = {"vocab_size": vocab_size, **table}
    file = fields.pop("inception", "")
    damsm = Damsm(from_table(DamsmConfig, fields, "model.damsm"))
    if isinstance(damsm.image, InceptionEncoder) != bool(file):
        raise ConfigError(
            "model.damsm.inception is the file of Inception-v3's weights (safetensors), and belongs with "
            f"image_encoder = 'inception'; got {file!r} with {damsm.config.image_encoder!r}."
        )
    if isinstance(damsm.image, InceptionEncoder):
        damsm.image.net.load(root / file)
    return damsm


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[DamsmTask, tuple[str, ...]]:
    """Make both encoders, from noise or from `start`, and list the words that they may know.

    Raises:
        ConfigError: the settings do not fit each other.
        ModelError: `init_from` or `model.damsm.inception` holds something else.
    """
    model, words = recipe.model, materials.captions.words()
    if start:
        require(start, "damsm", recipe)
        damsm, tokenizer = damsm_of(start, model.max_tokens)
        words = list(dict.fromkeys([*start.words, *words]))
    else:
        tokenizer = materials.captions.tokenizer(vocab_size=model.vocab_size, max_tokens=model.max_tokens)
        damsm = _new(model.damsm, tokenizer.vocab_size, root)
    settings = MatchSettings.of(model.fidelity or "paper")
    task = DamsmTask(
        DamsmStep(damsm, settings).to(device),
        tokenizer,
        device=device,
        learnt_from=start.config.get("data", ()) if start else (),
    )
    return task, tuple(words)
