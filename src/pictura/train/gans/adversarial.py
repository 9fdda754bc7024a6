"""The adversarial step: discriminators learn to tell real pictures from painted ones, the generator to be
taken for real.

Source  Goodfellow et al. 2014 (arXiv:1406.2661); Reed et al. 2016 (arXiv:1605.05396) for wrong pairs. What
        each family wants is in `train/gans/gan_losses.py`.
Letters B batch, C channels, S side, K condition numbers.
"""

import contextlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.nn.gan import Painted, Verdict
from pictura.train.distributed import Process, average_gradients
from pictura.train.gans import gan_losses
from pictura.train.gans.alarms import Alarms
from pictura.train.gans.critic import build_critic
from pictura.train.gans.gan import GanTask, Inputs
from pictura.train.materials import Materials
from pictura.train.optim import rate_factor
from pictura.train.recipe import AdversarialSettings, Recipe
from pictura.train.step import autocast, check_numbers, rng_of, set_rate

RATES = ("training.learning_rate", "adversarial.discriminator_learning_rate")
"""Settings of both optimisers, the generator's first."""


class Adversarial:
    """Alternating updates of discriminators and generator (`train.step.Stepper`)."""

    def __init__(self, recipe: Recipe, task: GanTask, materials: Materials, process: Process) -> None:
        """Make the optimisers.

        Raises:
            ConfigError: the recipe accumulates gradients, for which these steps have no use, or has
                batches of one picture.
        """
        settings = recipe.training
        if settings.accumulate != 1:
            raise ConfigError(
                f"training.accumulate must be 1 for the task {recipe.task!r}; got {settings.accumulate}. "
                f"Take a larger batch_size instead."
            )
        if settings.batch_size < 2:
            raise ConfigError(
                f"training.batch_size must be at least 2 for the task {recipe.task!r}, whose wrong sentences "
                f"are those of other pictures; got {settings.batch_size}."
            )
        self.recipe, self.task, self.materials, self.process = recipe, task, materials, process
        self.module, self.settings = task.module, recipe.adversarial
        self.loss_name: str = task.config_of.loss
        self.optimizers: list[torch.optim.Optimizer] = [
            _adam(self.module.generator, settings.learning_rate, self.settings),
            _adam(self.module.discriminators, self.settings.discriminator_learning_rate, self.settings),
        ]
        self._critic = build_critic(recipe, task, process)
        self.optimizers += self._critic.optimizers if self._critic else []
        self._alarms = Alarms(self.settings, process)

    def step(self, number: int, spent: float) -> dict[str, float]:
        """One update of all discriminators, then one of the generator. The whole of it is here, in order."""
        recipe, process, module = self.recipe, self.process, self.module
        factor = set_rate(self.optimizers, rate_factor(number, recipe.training, spent=spent))
        position = number * process.num_processes + process.rank
        batch = self.materials.train.batch(position, recipe.training.batch_size)
        given = self.task.inputs(batch, rng_of(recipe, position))
        real = [F.adaptive_avg_pool2d(given.images, size) for size in module.generator.sizes]

        # 1. Paint, once for both.
        with self._autocast():
            painted: Painted = module.generator(given.noise, given.cond)

        # 2. Discriminators: real with its sentence, real with another's, painted.
        module.discriminators.requires_grad_(True)
        terms, told = self._discriminator_terms(real, painted, given)
        loss = torch.stack([value.mean() for value in terms.values()]).sum()
        self._update(1, loss, number)

        # 3. The generator: taken for real, near N(0, 1) in what it makes of a sentence, of its sentence.
        module.discriminators.requires_grad_(False)
        terms |= self._generator_terms(painted, given)
        if self._critic:  # and of a reward
            terms["critic"], said = self._critic.term(painted.images[-1], batch, given.sentence, number)
            told |= said
        wanted = [value.mean() for name, value in terms.items() if not name.startswith("discriminator")]
        loss = torch.stack(wanted).sum()
        norm = self._update(0, loss, number)

        metrics = {name: float(value.detach().mean()) for name, value in terms.items()}
        metrics |= told | {"diversity": diversity(painted.images[-1].detach(), real[-1])}
        self._alarms.look(number, metrics)
        images = float(recipe.training.batch_size * process.num_processes)
        return {**metrics, "loss": float(loss.detach()), "grad_norm": norm, "rate": factor, "images": images}

    def _discriminator_terms(
        self, real: list[Tensor], painted: Painted, given: Inputs
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """One loss (B,) for each discriminator, and how often the one is right that is least often right."""
        terms: dict[str, Tensor] = {}
        right, s = 1.0, self.settings
        told = painted.told.detach()
        # Row b is shown with the sentence of row b - 1.
        counts_B = given.rival.roll(1, dims=1).diagonal().to(told.dtype)
        for network, images, copy in zip(self.module.discriminators, real, painted.images, strict=True):
            with self._autocast():
                seen = network.features(images)
                verdicts = (
                    network.judge(seen, told),
                    network.judge(seen, told.roll(1, dims=0)),
                    network.judge(network.features(copy.detach()), told),
                )
            verdicts = tuple(_full(verdict) for verdict in verdicts)  # type: ignore[assignment]
            side = images.shape[-1]
            terms[f"discriminator_{side}"] = gan_losses.discriminator_loss(
                self.loss_name, *verdicts, counts_B, s.unconditional_weight
            )
            if self.loss_name == "hinge" and s.penalty_weight:
                terms[f"discriminator_penalty_{side}"] = self._penalty(network, images, told)
            taken = verdicts[0].conditional > 0, verdicts[2].conditional < 0
            right = min(right, float(torch.cat(taken).float().mean()))
        return terms, {"discriminator_right": right}

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        return autocast(self.process, bf16=self.recipe.training.bf16)

    def _penalty(self, network: Any, images: Tensor, told: Tensor) -> Tensor:
        """In full precision: powers of gradients leave what bf16 can hold."""
        images, told = images.detach().requires_grad_(True), told.detach().requires_grad_(True)
        verdict = network.judge(network.features(images), told)
        s, fidelity = self.settings, self.task.config_of.fidelity
        penalty_B = gan_losses.gradient_penalty(verdict, images, told, s.penalty_power, fidelity)
        return s.penalty_weight * penalty_B

    def _generator_terms(self, painted: Painted, given: Inputs) -> dict[str, Tensor]:
        """What the generator makes small, each (B,)."""
        terms: dict[str, Tensor] = {}
        s = self.settings
        told = painted.told.detach()
        for network, images in zip(self.module.discriminators, painted.images, strict=True):
            with self._autocast():
                verdict = network.judge(network.features(images), told)
            terms[f"generator_{images.shape[-1]}"] = gan_losses.generator_loss(
                self.loss_name, _full(verdict), s.unconditional_weight
            )
        if painted.mean is not None and painted.log_std is not None and s.kl_weight:
            mean, log_std = painted.mean.float(), painted.log_std.float()
            kl_B = gan_losses.kl_divergence(mean, log_std, self.task.config_of.fidelity)
            terms["kl"] = s.kl_weight * kl_B
        if s.match_weight:
            terms["match"] = s.match_weight * self.module.mismatch(painted.images[-1].float(), given)
        return terms

    def _update(self, which: int, loss: Tensor, number: int) -> float:
        """One step of an optimiser; returns the norm of the gradient."""
        optimizer = self.optimizers[which]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        average_gradients(weights, self.process)
        norm = nn.utils.clip_grad_norm_(weights, self.recipe.training.max_grad_norm)
        check_numbers(number, loss.detach(), norm, RATES[which])
        optimizer.step()
        return float(norm)


def diversity(painted: Tensor, real: Tensor) -> float:
    """How much pictures of a batch differ from each other, as a share of what real ones do.

    Args:
        painted: (B, C, S, S).
        real: the same.
    """
    return float(_spread(painted) / _spread(real).clamp_min(1e-6))


def _spread(images: Tensor) -> Tensor:
    return images.float().std(dim=0, correction=0).mean()


def _full(verdict: Verdict) -> Verdict:
    """In fp32."""
    alone = verdict.unconditional
    return Verdict(verdict.conditional.float(), None if alone is None else alone.float())


def _adam(module: nn.Module, rate: float, settings: AdversarialSettings) -> torch.optim.Optimizer:
    weights: Iterable[nn.Parameter] = [weight for weight in module.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=rate, betas=(settings.beta1, settings.beta2), fused=True)
    for group in optimizer.param_groups:
        group["base_lr"] = rate
    return optimizer
