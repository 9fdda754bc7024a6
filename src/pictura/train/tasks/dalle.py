"""What the DALL-E family learns: to say each next token of caption and picture, from those before it.

Source  Ramesh et al. 2021 (arXiv:2102.12092), appendix B.2: both cross-entropies with their weights, and the
        dropout of merges. Differs: captions are left out at random, for guidance.
Letters B pictures, T text positions, L codes, h w grid of codes.
Units   losses in nats per token.
"""

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
from pictura.encode.dvae.config import DvaeConfig
from pictura.encode.dvae.model import Dvae
from pictura.encode.tokenizer import Tokenizer, pad
from pictura.families.dalle.cache import TokenCache
from pictura.families.dalle.model import DalleConfig, DalleTransformer
from pictura.families.dalle.presets import get_preset
from pictura.sample.autoregressive import TokenLaw, pick
from pictura.sample.randomness import uniforms
from pictura.store.models import Sampling
from pictura.train.materials import Materials
from pictura.train.recipe import BY_TOKENS, ModelSettings, Recipe, TrainingSettings, from_table
from pictura.train.start import Start, part, read_start, require, tokenizer_of

TEXT_WEIGHT, IMAGE_WEIGHT = 1 / 8, 7 / 8
WHITE = 1.0
"""What pictures without transparency are laid on."""


class DalleStep(nn.Module):
    """The transformer with its loss: the module that a training step runs."""

    def __init__(self, transformer: DalleTransformer) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, token_ids: Tensor, mask: Tensor, codes: Tensor) -> Tensor:
        """Cross-entropy of captions and codes, weighted 1 to 7.

        Args:
            token_ids: (B, T) captions.
            mask: (B, T), true where a token is; only these are to be said, `<s>` excepted.
            codes: (B, L).

        Returns:
            (B,) one loss per picture. Their mean holds the mean over all text tokens of the batch and that
            over all its codes; so a picture's text counts by its number of tokens.
        """
        net, last = self.transformer, self.transformer.config.max_tokens - 1
        x_BSD = net.read(token_ids, mask, codes)
        said_BT = mask[:, 1:]
        text_N = F.cross_entropy(
            net.text_out(x_BSD[:, :last][said_BT]).float(), token_ids[:, 1:][said_BT], reduction="none"
        )
        picture_N = said_BT.nonzero()[:, 0]
        text_B = text_N.new_zeros(len(codes)).index_add(0, picture_N, text_N)
        share = len(codes) / max(1, len(text_N))
        logits_BVL = net.code_out(x_BSD[:, last + 1 :]).float().transpose(1, 2)
        image_B = F.cross_entropy(logits_BVL, codes, reduction="none").mean(dim=1)
        return TEXT_WEIGHT * share * text_B + IMAGE_WEIGHT * image_B


class DalleTask:
    """Turns batches into the inputs of `DalleStep`, and paints samples."""

    def __init__(
        self,
        module: DalleStep,
        dvae: Dvae,
        tokenizer: Tokenizer,
        settings: TrainingSettings,
        *,
        sampling: Sampling,
        device: torch.device,
        learnt_from: Sequence[str] = (),
    ) -> None:
        """Keep the parts.

        Args:
            module: the transformer.
            dvae: gives the codes; not trained.
            tokenizer: of the captions.
            settings: of the training.
            sampling: how samples, and the model in the end, are painted.
            device: where it computes.
            learnt_from: the sources of what the run started from, for the card.
        """
        self.module = module
        self.dvae = dvae
        self.tokenizer = tokenizer
        self.settings = settings
        self.sampling = sampling
        self.device = device
        self.learnt_from = tuple(dict.fromkeys(learnt_from))

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Captions and codes of a batch; in training some captions are left out, and merges of the others."""
        codes = self.codes(torch.as_tensor(batch.images))
        if not self.module.training:
            return (*self.read(batch.captions), codes)
        kept = rng.random(len(batch.captions)) >= self.settings.caption_dropout
        texts = [caption if keep else "" for caption, keep in zip(batch.captions, kept, strict=True)]
        rows = [self.tokenizer.encode_at_random(text, self.settings.bpe_dropout, rng) for text in texts]
        return (*self._padded(rows), codes)

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        ids, mask = pad(rows, self.module.transformer.config.max_tokens)
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)

    def read(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Captions to token ids and mask, (B, T)."""
        return self._padded([self.tokenizer.encode(caption) for caption in captions])

    @torch.no_grad()
    def codes(self, images: Tensor) -> Tensor:
        """Pictures (B, 3 or 4, H, W) to the likeliest codes (B, L), row by row.

        Raises:
            ConfigError: the pictures are of another size than the network is made for.
        """
        images = images.to(self.device)
        if self.dvae.config.image_channels == 3:
            images = on_background(images, WHITE)
        codes = self.dvae.encode(images.contiguous(memory_format=torch.channels_last))
        config = self.module.transformer.config
        if tuple(codes.shape[1:]) != (config.rows, config.cols):
            raise ConfigError(
                f"The transformer writes {config.rows} x {config.cols} codes, but pictures of "
                f"{images.shape[2]} x {images.shape[3]} pixels have {codes.shape[1]} x {codes.shape[2]}. "
                f"Take pictures of {config.rows * self.factor} x {config.cols * self.factor}."
            )
        return codes.flatten(1)

    @torch.no_grad()
    def sample(self, prompts: Sequence[str], *, seed: int = 0) -> Tensor:
        """Paint one picture per prompt with the weights that the module holds: (B, 3 or 4, H, W)."""
        config = self.module.transformer.config
        return self.dvae.decode(self.draw(prompts, seed=seed).unflatten(1, (config.rows, config.cols)))

    @torch.no_grad()
    def draw(self, prompts: Sequence[str], *, seed: int = 0) -> Tensor:
        """Codes of one picture per prompt, (B, L)."""
        sampling, config = self.sampling, self.module.transformer.config
        law = TokenLaw(
            temperature=sampling.temperature, top_k=sampling.top_k, guidance_scale=sampling.guidance_scale
        )
        guides = law.guidance_scale != 1
        ids, mask = self.read([*prompts, *[""] * len(prompts)] if guides else prompts)
        cache = TokenCache(self.module.transformer, ids, mask)
        logits = cache.logits
        randoms_BL = np.stack([uniforms(seed, i, config.length) for i in range(len(prompts))])
        codes_BL = np.empty(randoms_BL.shape, dtype=np.int64)
        for k in range(config.length):
            given, *without = logits.float().cpu().numpy().reshape(-1, len(prompts), config.num_codes)
            law_BV = law.log_probs(law.guide(given, without[0] if guides else None))
            codes_BL[:, k] = pick(law_BV, randoms_BL[:, k])
            if k + 1 < config.length:
                codes = torch.from_numpy(np.concatenate([codes_BL[:, k]] * (1 + guides))).to(self.device)
                logits = cache.step(codes, k)
        return torch.from_numpy(codes_BL).to(self.device)

    @property
    def factor(self) -> int:
        """Picture pixels per code, along one side."""
        return self.dvae.config.factor

    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor:
        """Paint the recipe's prompts, or captions that are never trained on: (B, 3 or 4, H, W)."""
        return self.sample((recipe.log.prompts or materials.validation.batch(0, count).captions)[:count])

    def finish(self, train: BatchSource, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Nothing is left to do."""

    def frozen(self) -> dict[str, Tensor]:
        """Weights that are used, not trained."""
        return {f"dvae.{name}": value for name, value in self.dvae.state_dict().items()}

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Read captions and pictures as before: with the tokenizer and in the codes that were learnt with.

        Raises:
            ConfigError: the recipe has other codes now.
        """
        self.tokenizer = tokenizer
        for name, value in self.frozen().items():
            if not torch.equal(value, frozen[name]):
                raise ConfigError(
                    f"{where} was trained on other codes than the dVAE of the recipe gives now. "
                    f"Bring that dVAE back, or give the recipe another name."
                )

    def config(self) -> dict[str, Any]:
        """What the networks are, how they paint and whence they come, for checkpoints."""
        return {
            "transformer": asdict(self.module.transformer.config),
            "dvae": asdict(self.dvae.config),
            "max_tokens": self.tokenizer.max_tokens,
            "sampling": self.sampling.table(),
            "data": list(self.learnt_from),
        }


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[DalleTask, tuple[str, ...]]:
    """Make the transformer, from noise or from `start`, and list the words that it may know.

    Raises:
        ConfigError: there is no dVAE, or the pictures do not have the codes that the network writes.
    """
    model, words = recipe.model, materials.captions.words()
    if start:
        require(start, "transformer", recipe)
    space = read_start(model.dvae, root) if model.dvae else start
    if space is None or not space.config.get("dvae"):
        raise ConfigError(
            f"A recipe of the task 'dalle' needs model.dvae: the run or model folder of a discrete VAE; got "
            f"{model.dvae!r}. Train one first: pictura train recipes/dvae.toml"
        )
    dvae = Dvae(from_table(DvaeConfig, space.config["dvae"], "dvae"))
    dvae.load_state_dict(part(space.weights, "dvae"))
    if start:
        config = from_table(DalleConfig, start.config["transformer"], "transformer")
        tokenizer = tokenizer_of(start, config.max_tokens)
        words = list(dict.fromkeys([*start.words, *words]))
    else:
        config, tokenizer = _new(model, dvae, materials)
    _check(config, dvae, recipe)
    transformer = DalleTransformer(config)
    if start:
        transformer.load_state_dict(part(start.weights, "transformer"))
    before = from_table(Sampling, start.config["sampling"], "sampling") if start else BY_TOKENS
    task = DalleTask(
        DalleStep(transformer).to(device),
        dvae.requires_grad_(False).eval().to(device),
        tokenizer,
        recipe.training,
        sampling=recipe.sampling or before,
        device=device,
        learnt_from=[line for origin in (start, space) if origin for line in origin.config.get("data", ())],
    )
    return task, tuple(words)


def _new(model: ModelSettings, dvae: Dvae, materials: Materials) -> tuple[DalleConfig, Tokenizer]:
    """Config by the preset's name, and a tokenizer of its captions."""
    table = get_preset(model.preset)
    if model.max_tokens != ModelSettings().max_tokens:
        table["max_tokens"] = model.max_tokens
    table |= model.transformer
    tokenizer = materials.captions.tokenizer(vocab_size=model.vocab_size, max_tokens=table["max_tokens"])
    table |= {"vocab_size": tokenizer.vocab_size, "num_codes": dvae.config.vocab_size}
    return from_table(DalleConfig, table, "model.transformer"), tokenizer


def _check(config: DalleConfig, dvae: Dvae, recipe: Recipe) -> None:
    """Refuse pictures whose codes the network cannot write."""
    factor, size = dvae.config.factor, recipe.data.size
    if (config.rows * factor, config.cols * factor) != (size, size):
        raise ConfigError(
            f"The transformer writes {config.rows} x {config.cols} codes of {factor} x {factor} pixels, that "
            f"is a picture of {config.rows * factor} x {config.cols * factor}; data.size is {size}. Take "
            f"another preset, or set model.transformer.rows and cols."
        )
    if config.num_codes != dvae.config.vocab_size:
        raise ConfigError(
            f"The transformer chooses among {config.num_codes} codes, but the dVAE of model.dvae has "
            f"{dvae.config.vocab_size}. Take the dVAE that it was trained with."
        )
