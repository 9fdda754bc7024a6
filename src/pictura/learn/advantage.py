"""How much better each picture is than the others of its prompt: rewards in, advantages out.

Source  Shao et al. 2024, GRPO (arXiv:2402.03300): reward minus the mean of its group. Liu et al. 2025,
        Flow-GRPO (arXiv:2505.05470): divided by the standard deviation of the whole batch, so that groups
        without real differences are not blown up. Wang et al. 2025, Pref-GRPO (arXiv:2508.20751) for win
        rates; Liu et al. 2026, GDPO (arXiv:2601.05242) for standardising each reward before they are added.
        Differs: the floor under a standard deviation is relative, so that scale never matters.
Letters B pictures (whole groups side by side), P groups, G pictures of a group.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from pictura.core.errors import ConfigError, did_you_mean

SCALES = ("batch", "group", "none")
_TINY = 1e-30


@dataclass(frozen=True, kw_only=True, slots=True)
class AdvantageSettings:
    """How rewards become advantages."""

    scale: Literal["batch", "group", "none"] = "batch"
    """What the distance from the group's mean is divided by: the standard deviation of all rewards of the
    update, or of the group, or nothing."""
    floor: float = 1e-4
    """Least standard deviation, as a share of the rewards' root mean square; a group below has no spread."""
    clip: float = 5.0
    """Largest advantage."""
    rank: bool = False
    """Take the share of the others that a picture beats instead of its reward."""
    leave_one_out: bool = False
    """Compare with the mean of the others, not of all."""

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ConfigError(f"advantage.scale must be 'batch', 'group' or 'none'; got {self.scale!r}.")
        if not (self.floor >= 0 and self.clip > 0):
            raise ConfigError(
                f"advantage.floor must be at least 0 and clip above 0; got {self.floor} and {self.clip}."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Advantages:
    """What came out."""

    advantage: Tensor
    """(B,) float32; 0 where the reward could not tell."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """zero_std: share of groups without spread; group_std, advantage_abs, advantage_clipped: means."""


def advantages(
    reward: Tensor,
    valid: Tensor,
    *,
    group_size: int,
    settings: AdvantageSettings | None = None,
    total: Callable[[Tensor], Tensor] = lambda numbers: numbers,
) -> Advantages:
    """Compare the pictures of each group.

    Args:
        reward: (B,) higher is better; what lies where `valid` is false is never read.
        valid: (B,) bool.
        group_size: G.
        settings: how.
        total: adds numbers over all processes, where each has some of the groups.

    Raises:
        ConfigError: B is no multiple of G, or G is below 2.
    """
    settings = settings or AdvantageSettings()
    reward_PG, valid_PG = _groups(reward, valid, group_size)
    if settings.rank:
        reward_PG = _win_rate(reward_PG, valid_PG)
    centred_PG, std_P, num_P = _centred(reward_PG, valid_PG)

    num, summed, squares = total(torch.stack([valid_PG.sum(), reward_PG.sum(), (reward_PG**2).sum()]))
    mean, num = summed / num.clamp_min(1), num.clamp_min(1)
    deviations = (torch.where(valid_PG, reward_PG - mean, 0.0) ** 2).sum()
    floor = (settings.floor * (squares / num).sqrt()).clamp_min(_TINY)
    match settings.scale:
        case "batch":
            scale = (total(deviations[None])[0] / num).sqrt().maximum(floor)
        case "group":
            scale = std_P.maximum(floor)[:, None]
        case _:
            scale = torch.ones_like(floor)

    factor_P1 = (num_P / (num_P - 1).clamp_min(1))[:, None] if settings.leave_one_out else 1.0
    raw_PG = centred_PG * factor_P1 / scale
    advantage = raw_PG.clamp(-settings.clip, settings.clip)
    here = valid_PG.sum().clamp_min(1)
    return Advantages(
        advantage=advantage.flatten().float(),
        metrics={
            "zero_std": (std_P <= floor).double().mean().item(),
            "group_std": std_P.mean().item(),
            "advantage_abs": (advantage.abs().sum() / here).item(),
            "advantage_clipped": ((raw_PG.abs() > settings.clip).sum() / here).item(),
        },
    )


def mixture(
    parts: Mapping[str, Tensor], weights: Mapping[str, float], valid: Tensor, *, group_size: int
) -> Tensor:
    """Add several rewards so that none drowns the others: each is standardised in its groups first.

    Args:
        parts: name to (B,) rewards.
        weights: name to weight; a part without one does not count.
        valid: (B,) bool.
        group_size: G.

    Returns:
        (B,) to hand to `advantages`.

    Raises:
        ConfigError: a weight is of no part, or the groups are wrong as in `advantages`.
    """
    mixed = torch.zeros(len(valid), dtype=torch.float64, device=valid.device)
    for name, weight in weights.items():
        if name not in parts:
            raise ConfigError(f"No reward is named {name!r} in this mixture. {did_you_mean(name, parts)}")
        reward_PG, valid_PG = _groups(parts[name], valid, group_size)
        centred_PG, std_P, _ = _centred(reward_PG, valid_PG)
        floor = (1e-4 * (reward_PG**2).mean().sqrt()).clamp_min(_TINY)
        mixed += weight * (centred_PG / std_P.maximum(floor)[:, None]).flatten()
    return mixed


def _groups(reward: Tensor, valid: Tensor, group_size: int) -> tuple[Tensor, Tensor]:
    """(P, G) rewards in fp64, 0 where they do not count, and whether they do."""
    if reward.shape != valid.shape or reward.ndim != 1:
        raise ConfigError(
            f"Rewards and their validity are one number per picture; got {tuple(reward.shape)} and "
            f"{tuple(valid.shape)}."
        )
    if group_size < 2:
        raise ConfigError(
            f"Comparing pictures of a prompt takes groups of at least 2; got group_size={group_size}."
        )
    if len(reward) % group_size or not len(reward):
        raise ConfigError(
            f"Rewards come in whole groups of group_size={group_size} pictures; got {len(reward)} pictures."
        )
    valid_PG = (valid & reward.isfinite()).unflatten(0, (-1, group_size))
    reward_PG = reward.detach().double().unflatten(0, (-1, group_size))
    return torch.where(valid_PG, reward_PG, 0.0), valid_PG


def _centred(reward_PG: Tensor, valid_PG: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distance from the group's mean (P, G), standard deviation (P,) and number of pictures (P,)."""
    num_P = valid_PG.sum(dim=1)
    mean_P1 = (reward_PG.sum(dim=1) / num_P.clamp_min(1))[:, None]
    centred_PG = torch.where(valid_PG, reward_PG - mean_P1, 0.0)
    return centred_PG, ((centred_PG**2).sum(dim=1) / num_P.clamp_min(1)).sqrt(), num_P


def _win_rate(reward_PG: Tensor, valid_PG: Tensor) -> Tensor:
    """Share of the other pictures of the group that each beats; a tie is half a win."""
    mine, other = reward_PG[:, :, None], reward_PG[:, None, :]
    wins_PGG = (mine > other).double() + 0.5 * (mine == other)
    both_PGG = valid_PG[:, :, None] & valid_PG[:, None, :]
    itself = 0.5 * valid_PG
    others_P1 = (valid_PG.sum(dim=1, keepdim=True) - 1).clamp_min(1)
    return ((wins_PGG * both_PGG).sum(dim=2) - itself) / others_P1
