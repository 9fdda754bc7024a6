"""Recipes for learning from rewards: a TOML file in, typed and checked settings out.

Tables are read as those of training recipes are (`train/recipe.py`). What a reward or an algorithm can be
told is checked by itself: their tables pass through here whole.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pictura.core.errors import ConfigError
from pictura.core.tables import from_table
from pictura.learn.advantage import AdvantageSettings
from pictura.train.recipe import read_toml

WEIGHTS = ("low_rank", "full")
PROMPTS = ("claims", "lines")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """Who learns."""

    base: str = "default"
    """Name or folder of the model; folders are relative to the recipe."""
    start: str = ""
    """An earlier run of learning, or a model with a student, to go on from; relative to the recipe. What it
    came to becomes the reference."""
    weights: str = "low_rank"
    """What is learnt: a change of `low_rank` to the matrices, or `full`, all weights."""
    rank: int = 32

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise ConfigError(f"model.weights must be 'low_rank' or 'full'; got {self.weights!r}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptSettings:
    """What is asked for."""

    kind: str = "claims"
    """`claims`: sentences of the world list, which judges can check; `lines`: the lines of a file."""
    path: str = ""
    """`lines`: the file, relative to the recipe."""
    mix: dict[str, float] = field(default_factory=dict)
    """`claims`: how often each kind comes, see `data.claims.ClaimMix`; empty is all alike."""
    per_update: int = 16
    """P: prompts of an update."""
    group_size: int = 16
    """G: pictures of a prompt."""

    def __post_init__(self) -> None:
        if self.kind not in PROMPTS:
            raise ConfigError(f"prompts.kind must be 'claims' or 'lines'; got {self.kind!r}.")
        if (self.kind == "lines") != bool(self.path):
            raise ConfigError(
                f"prompts.path goes with kind 'lines' alone; got {self.path!r} with {self.kind!r}."
            )
        at_least("prompts", self, 1, "per_update", "group_size")


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutSettings:
    """How pictures are painted to learn from, and to be tested."""

    num_steps: int = 10
    solver: str = "ab2"
    shift: float = 3.0
    guidance_scale: float = 1.0
    """1 = off: the model learns to do without, at half the price."""
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    """The times at which guidance is on."""
    at_once: int = 64
    """Pictures of one network call."""
    temperature: float = 1.0
    """Of painters by tokens, as `top_k`: only as it is, see `tokens.py`."""
    top_k: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """How it is learnt."""

    num_updates: int = 500
    """Rollouts in all."""
    max_minutes: float = 0.0
    """Stop after so many minutes of this stretch; 0 = no limit."""
    learning_rate: float = 3e-4
    warmup_updates: int = 10
    weight_decay: float = 1e-4
    max_grad_norm: float = 1.0
    steps_per_update: int = 1
    """Optimiser steps per rollout, each on its share of the prompts."""
    micro_batch: int = 0
    """Pictures of one backward pass, in whole groups; 0 = one group."""
    ema_decay: float = 0.98
    """Of the average of the weights, which is tested and shipped."""
    bf16: bool = False
    """Multiply in bf16, in painting as in learning; pays on CUDA and where a CPU has AVX-512 BF16 or AMX. Not
    for painters by tokens, whose ratios it would round."""

    def __post_init__(self) -> None:
        at_least("training", self, 1, "num_updates", "steps_per_update")
        at_least("training", self, 0, "max_minutes", "warmup_updates", "weight_decay", "micro_batch")
        for name in ("learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"training.{name} must be above 0; got {getattr(self, name)}.")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"training.ema_decay must be from 0 to below 1; got {self.ema_decay}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardSettings:
    """When a step is skipped and when the run stops, see `guards.py`."""

    ratio_tolerance: float = 1e-4
    spike: float = 10.0
    max_skips: int = 3
    max_zero_std: float = 0.8
    zero_std_updates: int = 10
    max_kl: float = 0.5
    """Budget of the way from the reference: mean squared change of the velocity, or divergence of a token's
    law in nats; 0 = no limit."""
    max_invalid: float = 0.05
    held_out_drop: float = 2.0
    """In standard errors."""
    held_out_times: int = 2
    min_diversity: float = 0.6
    """As a share of the reference's."""
    min_entropy: float = 0.5
    """Of the laws that tokens are drawn from, as a share of the first update's; 0 = no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOutSettings:
    """How it is tested along the way. Prompts and scores are none that a setting could name."""

    prompts: int = 64
    seeds: int = 4
    """Pictures of each prompt."""
    every: int = 20
    """Updates between tests; there is always one at the start and one at the end."""

    def __post_init__(self) -> None:
        at_least("held_out", self, 2, "prompts", "seeds")
        at_least("held_out", self, 1, "every")


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSettings:
    """What is written along the way, in updates (0 = never)."""

    metrics_every: int = 1
    sample_every: int = 20
    checkpoint_every: int = 1
    keep_checkpoints: int = 2
    prompts: tuple[str, ...] = ()
    """Of the sample grids; empty takes held-out ones."""

    def __post_init__(self) -> None:
        at_least("log", self, 0, "metrics_every", "sample_every", "checkpoint_every")
        at_least("log", self, 1, "keep_checkpoints")


@dataclass(frozen=True, kw_only=True, slots=True)
class LearnRecipe:
    """One run of learning from rewards."""

    name: str
    """Folder of the run inside `runs/`."""
    rewards: tuple[dict[str, Any], ...]
    """One table each, see docs/rewards/."""
    seed: int = 0
    model: ModelSettings = field(default_factory=ModelSettings)
    prompts: PromptSettings = field(default_factory=PromptSettings)
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    algorithm: dict[str, Any] = field(default_factory=lambda: {"name": "nft"})
    """`name` and its own settings, see docs/algorithms/."""
    advantage: AdvantageSettings = field(default_factory=AdvantageSettings)
    several: Literal["sum", "standardised"] = "sum"
    """How several rewards count: as their weighted `sum`, or each `standardised` in its groups first, so that
    none drowns another."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    guards: GuardSettings = field(default_factory=GuardSettings)
    held_out: HeldOutSettings = field(default_factory=HeldOutSettings)
    log: LogSettings = field(default_factory=LogSettings)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ConfigError(
                f"The recipe's name names a folder: letters, digits, '.', '_' and '-'; got {self.name!r}."
            )
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed must be from 0 to 2**32 - 1; got {self.seed}.")
        if not self.rewards:
            raise ConfigError("A recipe needs at least one [[rewards]] table, or --reward my_module:score.")


def load_learn_recipe(path: Path, *, rewards: tuple[dict[str, Any], ...] = ()) -> LearnRecipe:
    """Read and check a recipe file; `rewards` stand for its own, if given.

    Raises:
        ConfigError: the file is missing, is no TOML, or has a key or value that no setting allows.
    """
    table = read_toml(path)
    if rewards:
        table["rewards"] = list(rewards)
    return from_table(LearnRecipe, {"rewards": [], **table}, str(path))


def check_groups(recipe: LearnRecipe, num_processes: int, *, compares: bool) -> int:
    """Check that the groups of an update can be shared out whole.

    Args:
        recipe: the run.
        num_processes: that share the work.
        compares: the algorithm learns from differences within a group.

    Returns:
        Pictures of one backward pass.

    Raises:
        ConfigError: they cannot; the numbers are in the message.
    """
    prompts, group = recipe.prompts.per_update, recipe.prompts.group_size
    steps, micro = recipe.training.steps_per_update, recipe.training.micro_batch or group
    if group < 2 and compares:
        raise ConfigError(
            f"prompts.group_size must be at least 2, since {recipe.algorithm.get('name')!r} compares "
            f"pictures of one prompt; got {group}."
        )
    if prompts % (steps * num_processes):
        raise ConfigError(
            f"prompts.per_update must be a multiple of training.steps_per_update x processes = {steps} x "
            f"{num_processes}, so that each has whole groups; got {prompts}."
        )
    share = prompts // (steps * num_processes) * group
    if micro % group or share % micro:
        raise ConfigError(
            f"training.micro_batch must be a multiple of prompts.group_size = {group} that divides the "
            f"{share} pictures of one process and step ({prompts} prompts x {group} / {steps} steps / "
            f"{num_processes} processes); got {micro}."
        )
    return micro


def at_least(table: str, settings: Any, low: float, *names: str) -> None:
    """Check that some settings are not below `low`.

    Raises:
        ConfigError: one is.
    """
    for name in names:
        if getattr(settings, name) < low:
            raise ConfigError(f"{table}.{name} must be at least {low}; got {getattr(settings, name)}.")
