"""Four learners of one cached set: our diffusion prior and decoder, and those of `dalle2-pytorch`.

Each takes a step on rows of the set, and then samples. The peers are trained by the trainers that come with
them (AdamW, moving average, cosine decay), whose rate alone is chosen here; ours as our recipes say.
"""

import importlib
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.types import ImageConditioning, TextConditioning
from pictura.families.unclip.decoder import Decoder, DecoderConfig
from pictura.families.unclip.presets import get_preset
from pictura.families.unclip.prior import DiffusionPrior, PriorConfig
from pictura.sample.diffusion_steps import follow, steps_down
from pictura.sample.schedules import time_grid
from pictura.train.optim import Average, make_optimizers, rate_factor
from pictura.train.recipe import load_recipe
from pictura.train.step import set_rate
from pictura.train.tasks.diffusion import draw_noise, draw_times, shrink, unit
from pictura.train.unclips.decoder import DecoderStep
from pictura.train.unclips.prior import PriorStep, measured_scale

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
DROPPED = 0.1
"""Share of captions that no prior is told, and of embeddings that no decoder is."""
PEER_PRIOR: dict[str, Any] = {"depth": 2, "heads": 4, "dim_head": 32, "ff_mult": 1}
PEER_UNETS: dict[str, dict[str, Any]] = {
    "peer": {"dim": 24, "dim_mults": (1, 2, 4)},
    "peer-light": {"dim": 16, "dim_mults": (1, 2, 3)},
}
"""The one as large as ours, the other about as costly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """Pictures with what a CLIP makes of them and of their captions."""

    images: Tensor
    """(N, 4, S, S) uint8, premultiplied."""
    z: Tensor
    """(N, D) unit vectors of the pictures."""
    tokens: Tensor
    """(N, T, E) features of the captions' tokens; zero where there is none."""
    mask: Tensor
    """(N, T)."""
    sentence: Tensor
    """(N, D) unit vectors of the captions."""

    def rows(self, rows: Any) -> "Cached":
        """Some of them, in fp32."""
        found = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__}
        return Cached(**{name: x.float() if x.dtype == torch.float16 else x for name, x in found.items()})

    def pictures(self, size: int) -> Tensor:
        """(N, 4, size, size) in [-1, 1]."""
        return shrink(self.images.float() / 255, size, 4)


class Learner(Protocol):
    """Something that learns from rows of a set."""

    network: nn.Module

    def step(self, rows: Cached, progress: float) -> float:
        """Learn from some pictures, when `progress` in [0, 1] of the time is over; the loss."""
        ...

    def sample(self, rows: Cached, num_steps: int, guidance_scale: float, seed: int) -> Tensor:
        """Embeddings (N, D) for captions, or pictures (N, 4, size, size) in [0, 1] for embeddings."""
        ...


class _Ours:
    """A module of ours that is trained as its recipe says, but for the precision."""

    def __init__(self, module: nn.Module, recipe: str, *, bf16: bool) -> None:
        settings = load_recipe(RECIPES / f"{recipe}.toml").training
        self.settings = replace(settings, num_steps=10**9, bf16=bf16)
        self.module, self.bf16, self.done = module, bf16, 0
        self.network = next(iter(module.children()))
        self.optimizers = make_optimizers(module, self.settings)
        self.average = Average(module, settings.ema_long)

    def learn(self, inputs: tuple[Tensor, ...], progress: float) -> float:
        """A step as `train.step.Supervised` takes it."""
        set_rate(self.optimizers, rate_factor(self.done, self.settings, spent=progress))
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = self.module(*inputs).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.max_grad_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        self.done += 1
        self.average.update(self.module, self.done)
        return float(loss.detach())

    def averaged(self) -> None:
        """Put the averages in the place of the weights, after the last step."""
        self.module.load_state_dict(self.average.weights)


class OurPrior(_Ours):
    """`families.unclip.prior`."""

    def __init__(self, first: Cached, *, bf16: bool) -> None:
        deviation = float((first.images.float() / 127.5 - 1).std())
        table = get_preset("prior", "small") | {"scale": measured_scale(deviation, first.z)}
        super().__init__(PriorStep(DiffusionPrior(PriorConfig(**table))), "unclip-prior", bf16=bf16)
        self.rng = np.random.default_rng(0)

    def step(self, rows: Cached, progress: float) -> float:
        """See `Learner`."""
        size, longest = len(rows.z), int(rows.mask.sum(dim=1).max())
        keep = torch.from_numpy(self.rng.random(size) >= DROPPED)
        told = rows.tokens[:, :longest], rows.mask[:, :longest], rows.sentence, keep
        module: Any = self.module
        return self.learn((rows.z, *told, *module.randoms(size, self.rng)), progress)

    @torch.no_grad()
    def sample(self, rows: Cached, num_steps: int, guidance_scale: float, seed: int) -> Tensor:
        """See `Learner`."""
        self.averaged()
        prior: Any = self.network
        keep = torch.ones(len(rows.z), dtype=torch.bool)

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            def told(keep: Tensor) -> TextConditioning:
                return TextConditioning(tokens=rows.tokens, mask=rows.mask, sentence=rows.sentence, keep=keep)

            given: Tensor = prior(x_t, t, told(keep))
            if guidance_scale == 1:
                return given
            without: Tensor = prior(x_t, t, told(~keep))
            return without + guidance_scale * (given - without)

        noise = torch.randn(rows.z.shape, generator=torch.Generator().manual_seed(seed))
        path = steps_down(noise, time_grid(num_steps), schedule=prior.config.schedule)
        return F.normalize(follow(path, denoise), dim=1)


class OurDecoder(_Ours):
    """`families.unclip.decoder`."""

    def __init__(self, first: Cached, *, bf16: bool) -> None:
        recipe = load_recipe(RECIPES / "unclip-decoder.toml")
        decoder = Decoder(DecoderConfig(**get_preset("decoder", "small") | recipe.model.decoder))
        decoder.measure(first.z)
        step = DecoderStep(decoder, most_weight=recipe.unclip.most_weight)
        super().__init__(step, "unclip-decoder", bf16=bf16)
        self.size, self.rng = decoder.config.size, np.random.default_rng(0)

    def step(self, rows: Cached, progress: float) -> float:
        """See `Learner`."""
        size, longest = len(rows.z), int(rows.mask.sum(dim=1).max())
        x_0 = rows.pictures(self.size)
        noise, t = draw_noise(x_0, self.rng), draw_times(size, self.rng, shift=self.settings.time_shift)
        keeps = [torch.from_numpy(self.rng.random(size) >= share) for share in (DROPPED, 0.5)]
        told = rows.z, rows.tokens[:, :longest], rows.mask[:, :longest]
        return self.learn((x_0, noise, t, *told, *keeps), progress)

    @torch.no_grad()
    def sample(self, rows: Cached, num_steps: int, guidance_scale: float, seed: int) -> Tensor:
        """See `Learner`."""
        self.averaged()
        decoder: Any = self.network
        keep = torch.ones(len(rows.z), dtype=torch.bool)

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            def seen(keep: Tensor) -> Tensor:
                cond = ImageConditioning(
                    embedding=rows.z, tokens=rows.tokens, mask=rows.mask, keep_embedding=keep, keep_text=keep
                )
                x_0: Tensor = decoder.denoise(x_t, t, cond)
                return x_0

            given = seen(keep)
            return (
                given if guidance_scale == 1 else (1 - guidance_scale) * seen(~keep) + guidance_scale * given
            )

        shape = (len(rows.z), 4, self.size, self.size)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        path = steps_down(noise, time_grid(num_steps), schedule=decoder.config.schedule)
        return unit(follow(path, denoise))


def peer_package() -> Any:
    """`dalle2-pytorch`. Of torchvision it needs only what is written in Python.

    Its compiled operators need the CUDA libraries of another torch, and are asked for on import; so what
    describes them to torch is left out.
    """
    name = "torchvision._meta_registrations"
    sys.modules.setdefault(name, types.ModuleType(name))
    package: Any = importlib.import_module("dalle2_pytorch")
    package.dalle2_pytorch.tqdm = lambda steps, **_: steps  # no bars
    return package


class PeerPrior:
    """Its `DiffusionPrior`, with its own trainer. It wants text as wide as embeddings: zeros fill up."""

    def __init__(self, first: Cached, *, bf16: bool, rate: float, num_steps: int) -> None:
        package, dim = peer_package(), first.z.shape[1]
        net = package.DiffusionPriorNetwork(dim=dim, max_text_len=first.mask.shape[1], **PEER_PRIOR)
        prior = package.DiffusionPrior(net, image_embed_dim=dim, timesteps=1000, cond_drop_prob=DROPPED)
        self.network, self.bf16, self.dim = net, bf16, dim
        self.trainer = package.DiffusionPriorTrainer(
            prior, lr=rate, max_grad_norm=1.0, ema_beta=0.999, cosine_decay_max_steps=num_steps
        )

    def _told(self, rows: Cached) -> dict[str, Tensor]:
        wide = F.pad(rows.tokens, (0, self.dim - rows.tokens.shape[2]))
        return {"text_embed": rows.sentence, "text_encodings": wide}

    def step(self, rows: Cached, progress: float) -> float:
        """See `Learner`."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = self.trainer(image_embed=rows.z.clone(), **self._told(rows))  # it scales in place
        self.trainer.update()
        return float(loss)

    @torch.no_grad()
    def sample(self, rows: Cached, num_steps: int, guidance_scale: float, seed: int) -> Tensor:
        """See `Learner`."""
        torch.manual_seed(seed)
        sampled = self.trainer.p_sample_loop(
            tuple(rows.z.shape), text_cond=self._told(rows), timesteps=num_steps, cond_scale=guidance_scale
        )
        return F.normalize(sampled, dim=1)


class PeerDecoder:
    """Its `Decoder` with one `Unet`, with its own trainer."""

    def __init__(self, first: Cached, shape: str, *, bf16: bool, rate: float, num_steps: int) -> None:
        package, self.size = peer_package(), DecoderConfig(**get_preset("decoder", "small")).size
        unet = package.Unet(
            **PEER_UNETS[shape],
            image_embed_dim=first.z.shape[1],
            text_embed_dim=first.tokens.shape[2],
            cond_dim=48,
            channels=4,
            num_resnet_blocks=1,
            attn_heads=2,
            attn_dim_head=32,
            cond_on_text_encodings=True,
            cond_on_image_embeds=True,
            max_text_len=first.mask.shape[1],
        )
        self.decoder = package.Decoder(
            unet=unet,
            image_size=self.size,
            channels=4,
            timesteps=1000,
            learned_variance=False,
            image_cond_drop_prob=DROPPED,
            text_cond_drop_prob=0.5,
        )
        self.network, self.bf16 = self.decoder.unets[0], bf16
        self.trainer = package.DecoderTrainer(
            self.decoder, lr=rate, ema_beta=0.999, cosine_decay_max_steps=num_steps
        )

    def step(self, rows: Cached, progress: float) -> float:
        """See `Learner`."""
        images = rows.pictures(self.size) / 2 + 0.5
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = self.trainer(images, image_embed=rows.z, text_encodings=rows.tokens, unet_number=1)
        self.trainer.update(1)
        return float(loss)

    @torch.no_grad()
    def sample(self, rows: Cached, num_steps: int, guidance_scale: float, seed: int) -> Tensor:
        """See `Learner`."""
        torch.manual_seed(seed)
        self.decoder.sample_timesteps = (num_steps,)
        painted: Tensor = self.trainer.sample(
            image_embed=rows.z, text_encodings=rows.tokens, cond_scale=guidance_scale
        )
        return painted.clamp(0, 1)


PARTS: dict[str, dict[str, Callable[..., Learner]]] = {
    "prior": {"ours": OurPrior, "peer": PeerPrior},
    "decoder": {
        "ours": OurDecoder,
        "peer": lambda first, **more: PeerDecoder(first, "peer", **more),
        "peer-light": lambda first, **more: PeerDecoder(first, "peer-light", **more),
    },
}
"""Part to name to learner; those of the peer also take `rate` and `num_steps`."""
