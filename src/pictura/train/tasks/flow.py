"""What the flow family learns: to name the clean latent under noise, from its caption.

Source  Esser et al. 2024, SD3 (arXiv:2403.03206): logit-normal times, velocity loss.
Letters B batch, C channels, h w latent size, T text tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.core.types import Batch, BatchSource, Conditioning
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.encode.tokenizer import Tokenizer
from pictura.families.flow.model import MIN_T, FlowConfig, FlowTransformer
from pictura.families.flow.presets import get_preset
from pictura.sample.guidance import guided
from pictura.sample.ode import solve
from pictura.sample.schedules import time_grid
from pictura.store.models import Sampling
from pictura.train.materials import Materials
from pictura.train.recipe import SAMPLING, ModelSettings, Recipe, TrainingSettings, from_table
from pictura.train.start import Start, part, read_start, require, tokenizer_of


class FlowStep(nn.Module):
    """Network and text tower with their loss: the module that a training step runs."""

    def __init__(self, network: FlowTransformer, text_encoder: TextEncoder) -> None:
        super().__init__()
        self.network = network
        self.text_encoder = text_encoder

    def forward(self, x_0: Tensor, noise: Tensor, t: Tensor, token_ids: Tensor, mask: Tensor) -> Tensor:
        """Mean squared error of the velocity.

        Args:
            x_0: (B, C, h, w) clean latents.
            noise: the same shape, standard normal.
            t: (B,) times.
            token_ids: (B, T) captions.
            mask: (B, T), true where a token is.

        Returns:
            (B,) one loss per picture.
        """
        cond = Conditioning(tokens=self.text_encoder(token_ids, mask), mask=mask)
        t_B111 = t[:, None, None, None]
        x_t = (1 - t_B111) * x_0 + t_B111 * noise
        # For t above MIN_T this is the error of the velocity; below, that of x_0 with a bounded weight.
        error = (self.network.predict_clean(x_t, t, cond) - x_0) / t_B111.clamp_min(MIN_T)
        return error.square().mean(dim=(1, 2, 3))


class FlowTask:
    """Turns batches into the inputs of `FlowStep`, and paints samples."""

    def __init__(
        self,
        module: FlowStep,
        autoencoder: Autoencoder | None,
        tokenizer: Tokenizer,
        settings: TrainingSettings,
        *,
        sampling: Sampling,
        device: torch.device,
        learnt_from: Sequence[str] = (),
        decoder: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the parts.

        Args:
            module: network and text tower.
            autoencoder: None paints pixels.
            tokenizer: of the captions.
            settings: of the training.
            sampling: how samples, and the model in the end, are painted.
            device: where it computes.
            learnt_from: the sources of what the run started from, for the card.
            decoder: how the autoencoder's decoder had learnt on, for the card, see `export.decoder`.
        """
        self.module = module
        self.autoencoder = autoencoder
        self.tokenizer = tokenizer
        self.settings = settings
        self.sampling = sampling
        self.device = device
        self.learnt_from = tuple(dict.fromkeys(learnt_from))
        self.decoder = decoder

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Encode a batch and draw its times, noise and dropped captions."""
        size = len(batch.captions)
        dropped = rng.random(size) < self.settings.caption_dropout
        captions = ["" if drop else caption for caption, drop in zip(batch.captions, dropped, strict=True)]
        x_0 = self.to_latent(torch.as_tensor(batch.images))
        noise = torch.from_numpy(rng.standard_normal(x_0.shape, dtype=np.float32)).to(self.device)
        t = torch.from_numpy(1 / (1 + np.exp(-rng.standard_normal(size, dtype=np.float32))))
        shift = self.settings.time_shift
        t = (shift * t / (1 + (shift - 1) * t)).to(self.device)
        return (x_0, noise, t, *self.read(captions))

    def read(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Captions to token ids and mask, padded to a multiple of 8 so that few shapes occur."""
        ids, mask = self.tokenizer.batch(captions)
        more = -ids.shape[1] % 8
        ids, mask = np.pad(ids, ((0, 0), (0, more))), np.pad(mask, ((0, 0), (0, more)))
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)

    @torch.no_grad()
    def to_latent(self, images: Tensor) -> Tensor:
        """Pictures to what the network paints: latents, or the pictures in [-1, 1] for pixel presets."""
        images = images.to(self.device)
        return images * 2 - 1 if self.autoencoder is None else self.autoencoder.encode(images)

    @torch.no_grad()
    def sample(self, prompts: Sequence[str], grid: tuple[int, int], *, seed: int = 0) -> Tensor:
        """Paint one picture per prompt with the weights that the module holds: (B, 3 or 4, H, W)."""
        settings, network, text_encoder = self.sampling, self.module.network, self.module.text_encoder
        ids, mask = self.read([*prompts, *[""] * len(prompts)])
        cond = Conditioning(tokens=text_encoder(ids, mask), mask=mask)
        half = len(prompts)
        given = Conditioning(tokens=cond.tokens[:half], mask=cond.mask[:half])
        empty = Conditioning(tokens=cond.tokens[half:], mask=cond.mask[half:])
        rng = np.random.default_rng(seed)
        shape = (half, network.config.latent_channels, *grid)
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(self.device)
        velocity = guided(
            lambda x, t: network(x, t, given),
            lambda x, t: network(x, t, empty),
            guidance_scale=settings.guidance_scale,
            interval=settings.guidance_interval,
        )
        x_0 = solve(
            velocity, noise, time_grid(settings.num_steps, shift=settings.shift), method=settings.solver
        )
        return (x_0 / 2 + 0.5).clamp(0, 1) if self.autoencoder is None else self.autoencoder.decode(x_0)

    @property
    def factor(self) -> int:
        """Picture pixels per pixel of what the network paints, along one side."""
        return self.autoencoder.config.factor if self.autoencoder else 1

    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor:
        """Paint the recipe's prompts, or captions that are never trained on: (B, 3 or 4, H, W)."""
        prompts = recipe.log.prompts or materials.validation.batch(0, count).captions
        side = recipe.data.size // self.factor
        return self.sample(prompts[:count], (side, side))

    def finish(self, train: BatchSource, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Nothing is left to do."""

    def frozen(self) -> dict[str, Tensor]:
        """Weights that are used, not trained."""
        space = self.autoencoder.state_dict() if self.autoencoder else {}
        return {f"autoencoder.{name}": value for name, value in space.items()}

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Read captions and pictures as before: with the tokenizer and in the space that were learnt with.

        Raises:
            ConfigError: the recipe has another space now.
        """
        self.tokenizer = tokenizer
        for name, value in self.frozen().items():
            decodes = name.startswith(("autoencoder.decoder.", "autoencoder.patch_out."))  # may be better now
            if not decodes and not torch.equal(value, frozen[name]):
                raise ConfigError(
                    f"{where} was trained in another space than the autoencoder of the recipe has now. "
                    f"Bring that autoencoder back, or give the recipe another name."
                )

    def config(self) -> dict[str, Any]:
        """What the networks are, how they paint and whence they come, for checkpoints."""
        return {
            "network": asdict(self.module.network.config),
            "text_encoder": asdict(self.module.text_encoder.config),
            "autoencoder": None if self.autoencoder is None else asdict(self.autoencoder.config),
            "max_tokens": self.tokenizer.max_tokens,
            "sampling": self.sampling.table(),
            "data": list(self.learnt_from),
            "decoder": self.decoder,
        }


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[FlowTask, tuple[str, ...]]:
    """Make painter and text tower, from noise or from `start`, and list the words they may know."""
    model, words = recipe.model, materials.captions.words()
    space = read_start(model.autoencoder, root) if model.autoencoder else start
    autoencoder = None
    if space and space.config.get("autoencoder"):
        autoencoder = Autoencoder(from_table(AutoencoderConfig, space.config["autoencoder"], "autoencoder"))
        autoencoder.load_state_dict(part(space.weights, "autoencoder"))
        autoencoder.requires_grad_(False).eval().to(device)
    if start:
        require(start, "network", recipe)
        tokenizer = tokenizer_of(start, start.config.get("max_tokens", model.max_tokens))
        network_table, text_table = start.config["network"], start.config["text_encoder"]
        words = list(dict.fromkeys([*start.words, *words]))
    else:
        tokenizer = materials.captions.tokenizer(vocab_size=model.vocab_size, max_tokens=model.max_tokens)
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
        decoder=space.config.get("decoder") if space else None,
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
