"""A reward as one more critic of a generator, beside its discriminators: painted pictures in, a loss out.

The adversarial loss stays on, for it is what keeps pictures pictures; docs/algorithms/critic.md says how
to choose the weight and what to watch.

Source  Xu et al. 2023, ReFL (arXiv:2304.05977): the gradient of a reward, with the loss of training kept on.
        Differs: the painter takes one step, so that the whole of it is differentiated; for rewards without a
        gradient see `train/gans/surrogate.py`.
Letters B batch, C channels, S side, D text width.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pictura.core.errors import ConfigError, TrainingError
from pictura.core.images import on_background
from pictura.core.types import Batch, Prompt
from pictura.data.vocabulary.claims import claim_of
from pictura.nn.one_pass import as_pictures
from pictura.reward.registry import make_reward
from pictura.reward.types import Reward, Scores
from pictura.train.distributed import Process, gathered
from pictura.train.gans.gan import GanTask
from pictura.train.gans.surrogate import Surrogate, leave_out_surrogate
from pictura.train.recipe import CriticSettings, Recipe

_NEEDS = (
    "has no gradient that reaches the pictures. Set critic.surrogate = true, to learn from a network that "
    "guesses it."
)
_PATIENCE = 20
"""Steps on end of which the reward may say nothing."""


class Critic:
    """What a generator is told of a reward."""

    def __init__(
        self,
        settings: CriticSettings,
        reward: Reward,
        surrogate: Surrogate | None,
        *,
        seed: int,
        process: Process,
    ) -> None:
        """Keep the parts; `seed` is of what the surrogate recalls.

        Raises:
            ConfigError: the reward has no gradient, and there is no surrogate of it.
        """
        if not reward.differentiable and settings.weight and surrogate is None:
            raise ConfigError(f"The reward {reward.name!r} {_NEEDS}")
        self.settings, self.reward, self.surrogate = settings, reward, surrogate
        self.optimizers: list[torch.optim.Optimizer] = []
        if surrogate is not None:
            self.optimizers.append(
                torch.optim.Adam(surrogate.parameters(), lr=settings.surrogate_learning_rate)
            )
            self.optimizers[0].param_groups[0]["base_lr"] = settings.surrogate_learning_rate
        self._seed, self._process = seed, process
        self._last, self._silent = 0.0, 0

    def term(
        self, images: Tensor, batch: Batch, sentences: Tensor, number: int
    ) -> tuple[Tensor, dict[str, float]]:
        """What the generator makes small of the reward.

        Args:
            images: (B, C, S, S) painted, about [-1, 1].
            batch: whose captions they were painted from.
            sentences: (B, D) features of these.
            number: of the step.

        Returns:
            (B,), 0 where the reward could not tell; and numbers for the log.

        Raises:
            ConfigError: the reward was said to have a gradient and has none.
            TrainingError: the reward said nothing for many steps.
        """
        seen = on_background(as_pictures(images.float()))  # what is painted: a painter may go beyond [-1, 1]
        prompts = prompts_of(batch)
        if self.surrogate is not None:
            return self._guessed(self.surrogate, seen, prompts, sentences.float(), number)
        scores = self.reward(seen if self.settings.weight else seen.detach(), prompts)
        told = self._said(scores, number)
        if not self.settings.weight:
            return torch.zeros_like(scores.total), told
        if not scores.total.requires_grad:
            raise ConfigError(f"The reward {self.reward.name!r} {_NEEDS}")
        # A picture without a verdict teaches nothing, even where the reward's gradient is no number.
        seen.register_hook(lambda gradient: torch.where(scores.valid[:, None, None, None], gradient, 0.0))
        return torch.where(scores.valid, -self.settings.weight * scores.total, 0.0), told

    def _guessed(
        self, surrogate: Surrogate, seen: Tensor, prompts: list[Prompt], sentences: Tensor, number: int
    ) -> tuple[Tensor, dict[str, float]]:
        """The same by the surrogate, which learns from what the reward says of these pictures first."""
        # 1. Ask, and guess before the answer is learnt from.
        asked = max(1, round(self.settings.share * len(seen)))
        scores = self.reward(seen[:asked].detach(), prompts[:asked])
        told = self._said(scores, number)
        rewards = torch.where(scores.valid, scores.total.detach(), torch.nan)
        rows = (seen[:asked].detach(), sentences[:asked], rewards)
        answers = [gathered(row, self._process) for row in rows]
        fresh = [row[answers[-1].isfinite()] for row in answers]
        surrogate.remember(*fresh)
        told["surrogate_correlation"] = surrogate.correlation()

        # 2. Learn from these, and from as many of before.
        told["surrogate_loss"] = self._learn(surrogate, fresh, number)

        # 3. Followed only while it sees.
        sees = told["surrogate_correlation"] >= self.settings.floor
        followed = sees and int(surrogate.lessons) > self.settings.warmup_steps
        told["surrogate_followed"] = float(followed)
        if not followed or not self.settings.weight:
            return torch.zeros(len(seen), device=seen.device), told
        surrogate.requires_grad_(False)
        return -self.settings.weight * surrogate(seen, sentences), told

    def _learn(self, surrogate: Surrogate, fresh: list[Tensor], number: int) -> float:
        if not len(fresh[0]):
            return 0.0
        draws = np.random.default_rng([self._seed, number, 1]).random(len(fresh[0]), dtype=np.float32)
        recalled = surrogate.recall(torch.from_numpy(draws).to(fresh[0].device))
        surrogate.requires_grad_(True)
        loss = surrogate.loss(*(torch.cat(pair) for pair in zip(fresh, recalled, strict=True))).mean()
        (optimizer,) = self.optimizers
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        surrogate.lessons += 1
        return float(loss.detach())

    def _said(self, scores: Scores, number: int) -> dict[str, float]:
        """Mean reward, and the share of pictures of which it could tell."""
        known = scores.total.detach()[scores.valid]
        self._silent = 0 if len(known) else self._silent + 1
        if self._silent == _PATIENCE:
            raise TrainingError(
                f"Step {number}: the reward {self.reward.name!r} could tell of none of the pictures of the "
                f"last {_PATIENCE} steps. One that checks what captions claim needs data.kind = 'scenes'."
            )
        self._last = float(known.mean()) if len(known) else self._last
        return {"reward": self._last, "reward_valid": float(scores.valid.float().mean())}


def prompts_of(batch: Batch) -> list[Prompt]:
    """Captions of a batch, with what can be checked of them where the truth is known."""
    if not batch.scenes:
        return [Prompt(text=caption) for caption in batch.captions]
    return [
        Prompt(text=caption, claim=claim_of(scene), kind=scene.kind)
        for caption, scene in zip(batch.captions, batch.scenes, strict=True)
    ]


def build_critic(recipe: Recipe, task: GanTask, process: Process) -> Critic | None:
    """The critic of a recipe; None where it names no reward. A surrogate becomes a part of the task's module.

    Raises:
        ConfigError: a setting is wrong, or the reward needs a surrogate.
    """
    settings, surrogate = recipe.critic, None
    module: Any = task.module
    if not (settings.rewards and settings.surrogate):
        leave_out_surrogate(module)
    if not settings.rewards:
        return None
    reward = make_reward(settings.rewards, str(process.device))
    if settings.surrogate:
        surrogate = Surrogate(
            module.generator.sizes[-1], module.generator.config.text_width, settings.memory
        ).to(process.device)
        module.add_module("surrogate", surrogate)
    return Critic(settings, reward, surrogate, seed=recipe.seed, process=process)
