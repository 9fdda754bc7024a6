"""What unCLIP's decoder learns: to name the picture under noise, from its vector and its caption.

Source  Ramesh et al. 2022, unCLIP (arXiv:2204.06125), section 2.1: vectors and captions that are dropped at
        random, for guidance; `train/tasks/diffusion.py` has the error.
Letters B pictures, C channels, H W size, D numbers of a vector, T text tokens, E width of the text features.
Units   pictures in [-1, 1]; t in [0, 1], 1 = noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.types import Batch, BatchSource, ImageConditioning
from pictura.encode.tokenizer import Tokenizer
from pictura.families.unclip.decoder import Decoder, DecoderConfig
from pictura.families.unclip.presets import get_preset
from pictura.sample.diffusion_steps import follow, steps_down
from pictura.sample.schedules import time_grid
from pictura.train.materials import Materials
from pictura.train.recipe import Recipe, TrainingSettings, UnclipSettings, from_table
from pictura.train.start import Start, part, require
from pictura.train.tasks.diffusion import (
    MOST_WEIGHT,
    diffusion_loss,
    draw_noise,
    draw_times,
    noisy,
    shrink,
    unit,
)
from pictura.train.unclips.frozen_clip import FrozenClip

MEASURED = 1024
"""Training pictures whose vectors tell the decoder where vectors lie."""
PREVIEW_STEPS, PREVIEW_GUIDANCE = 12, 2.0


class DecoderStep(nn.Module):
    """The decoder with its loss: the module that a training step runs."""

    def __init__(self, decoder: Decoder, *, most_weight: float = MOST_WEIGHT) -> None:
        super().__init__()
        self.most_weight = most_weight
        self.decoder = decoder

    def forward(
        self,
        x_0: Tensor,
        noise: Tensor,
        t: Tensor,
        embedding: Tensor,
        tokens: Tensor,
        mask: Tensor,
        keep_embedding: Tensor,
        keep_text: Tensor,
    ) -> Tensor:
        """Mean squared error of what is predicted.

        Args:
            x_0: (B, C, H, W) pictures.
            noise: the same shape, standard normal.
            t: (B,) times.
            embedding: (B, D) vectors of the pictures.
            tokens: (B, T, E) features of the captions.
            mask: (B, T), true where a token is.
            keep_embedding: (B,), false where the vector is dropped.
            keep_text: (B,), false where the caption is.

        Returns:
            (B,) one loss per picture.
        """
        config = self.decoder.config
        cond = ImageConditioning(
            embedding=embedding,
            tokens=tokens,
            mask=mask,
            keep_embedding=keep_embedding,
            keep_text=keep_text,
        )
        said = self.decoder(noisy(x_0, noise, t, config.schedule), t, cond)
        return diffusion_loss(
            said,
            x_0,
            noise,
            t,
            prediction=config.prediction,
            schedule=config.schedule,
            most_weight=self.most_weight,
        )


class DecoderTask:
    """Turns batches into the inputs of `DecoderStep`, and shows pictures above what their vectors become."""

    def __init__(
        self,
        module: DecoderStep,
        clip: FrozenClip,
        recipe: Recipe,
        *,
        device: torch.device,
        learnt_from: Sequence[str] = (),
    ) -> None:
        """Keep the parts.

        Args:
            module: the decoder.
            clip: gives vectors and features of words; not trained.
            recipe: of the training.
            device: where it computes.
            learnt_from: the sources of what the run started from, for the card.
        """
        self.module, self.clip, self.device = module, clip, device
        self.tokenizer = clip.tokenizer
        self.training: TrainingSettings = recipe.training
        self.settings: UnclipSettings = recipe.unclip
        self.factor = recipe.data.size // module.decoder.config.size
        self.learnt_from = tuple(dict.fromkeys(learnt_from))

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Pictures, noise, times, and what CLIP says of both; in training, some of it is dropped."""
        config, size = self.module.decoder.config, len(batch.captions)
        images = torch.as_tensor(batch.images).to(self.device)
        x_0 = shrink(images, config.size, config.image_channels)
        t = draw_times(size, rng, shift=self.training.time_shift).to(self.device)
        noise = draw_noise(x_0, rng)
        trains, settings = self.module.training, self.settings
        keep_embedding = rng.random(size) >= settings.embedding_dropout * trains
        keep_text = rng.random(size) >= settings.text_dropout * trains
        keeps = (torch.from_numpy(keep).to(self.device) for keep in (keep_embedding, keep_text))
        return (x_0, noise, t, *self.tell(images, batch.captions), *keeps)

    def tell(self, images: Tensor, captions: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors (B, D) of pictures, features of captions (B, T, E), T a multiple of 8, and mask (B, T)."""
        tokens, mask, _ = self.clip.read(captions)
        more = -mask.shape[1] % 8  # so that few shapes occur
        return self.clip.see(images), F.pad(tokens, (0, 0, 0, more)), F.pad(mask, (0, more))

    @torch.no_grad()
    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor:
        """Rows of pictures that are never trained on, each above what is painted from its vector."""
        batch, config = materials.validation.batch(0, count // 2), self.module.decoder.config
        images = torch.as_tensor(batch.images).to(self.device)
        told = self.tell(images, batch.captions)
        seen = shrink(images, config.size, config.image_channels)
        painted = self.paint(draw_noise(seen, np.random.default_rng(0)), *told)
        rows = zip(unit(seen).split(8), painted.split(8), strict=True)
        return torch.cat([row for pair in rows for row in pair])

    def paint(self, noise: Tensor, embedding: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] by a few guided steps of DDIM from noise of that shape."""
        decoder = self.module.decoder
        kept = torch.ones(len(noise), dtype=torch.bool, device=noise.device)

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            with_all, without = (
                decoder.denoise(
                    x_t,
                    t,
                    ImageConditioning(
                        embedding=embedding, tokens=tokens, mask=mask, keep_embedding=keep, keep_text=keep
                    ),
                )
                for keep in (kept, ~kept)
            )
            return without + PREVIEW_GUIDANCE * (with_all - without)

        path = steps_down(noise, time_grid(PREVIEW_STEPS), schedule=decoder.config.schedule)
        return unit(follow(path, denoise))

    def finish(self, train: BatchSource, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Nothing is left to do."""

    def frozen(self) -> dict[str, Tensor]:
        """Weights that read captions, which a finished model needs."""
        return self.clip.text_weights()

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Check that pictures and captions mean what they meant; see `FrozenClip.check`."""
        self.clip.check(frozen, where)

    def config(self) -> dict[str, Any]:
        """What the networks are and whence they come, for checkpoints."""
        return {
            "decoder": asdict(self.module.decoder.config),
            "clip": self.clip.table(),
            "max_tokens": self.tokenizer.max_tokens,
            "data": list(self.learnt_from),
        }


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[DecoderTask, tuple[str, ...]]:
    """Make the decoder, from noise or from `start`, and list the words that it may know.

    Raises:
        ConfigError: pictures are too small, or the start reads another CLIP.
    """
    clip = FrozenClip.load(recipe.model.clip_model, root, device)
    words = materials.captions.words()
    if start:
        require(start, "decoder", recipe)
        config = from_table(DecoderConfig, start.config["decoder"], "decoder")
        words = list(dict.fromkeys([*start.words, *words]))
    else:
        widths = {"embed_dim": clip.table()["dim"], "text_width": clip.table()["text_width"]}
        table = get_preset("decoder", recipe.model.preset) | widths | recipe.model.decoder
        config = from_table(DecoderConfig, table, "model.decoder")
    decoder = Decoder(config)
    if start:
        clip.check(start.weights, Path(recipe.model.init_from))
        decoder.load_state_dict(part(start.weights, "decoder"))
    else:
        decoder.measure(clip.see(torch.as_tensor(materials.train.batch(0, MEASURED).images)).cpu())
    module = DecoderStep(decoder, most_weight=recipe.unclip.most_weight).to(device)
    learnt_from = start.config.get("data", ()) if start else ()
    task = DecoderTask(module, clip, recipe, device=device, learnt_from=learnt_from)
    shrink(torch.as_tensor(materials.train.batch(0, 1).images), config.size, config.image_channels)
    return task, tuple(words)
