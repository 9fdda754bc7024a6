"""Rewards by name: tables of a recipe in, one checked reward out.

A name stands for a dataclass of settings whose `build(device)` makes the reward, or for a function of
pictures and prompts. `module:attribute` names a user's own, and so do entry points `pictura.rewards` of other
packages.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pictura.core.errors import ConfigError
from pictura.core.registry import Registry
from pictura.core.tables import from_table
from pictura.reward.check import Checked
from pictura.reward.function import FunctionReward, FunctionSettings, import_name
from pictura.reward.mix import Mixture, Share
from pictura.reward.types import Reward

REWARDS = Registry(
    "reward",
    {
        "judge": "pictura.reward.judge:JudgeSettings",
        "clip": "pictura.reward.clip:ClipSettings",
        "preference": "pictura.reward.preference:PreferenceSettings",
        "jpeg-compressibility": "pictura.reward.jpeg:CompressibilitySettings",
        "jpeg-incompressibility": "pictura.reward.jpeg:IncompressibilitySettings",
        "brightness": "pictura.reward.brightness:BrightnessSettings",
        "random": "pictura.reward.random:RandomSettings",
        "http": "pictura.reward.http:HttpSettings",
    },
    group="pictura.rewards",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Common:
    """What every table may say."""

    name: str
    weight: float = 1.0


def make_reward(tables: Mapping[str, Any] | Sequence[Mapping[str, Any]], device: str = "cpu") -> Reward:
    """The reward of a recipe's tables.

    Args:
        tables: one table or several: `name`, `weight` (1 if not given) and settings of that reward. Several
            are added up by their weights; so is a single one whose weight is not 1.
        device: where networks of rewards compute, and pictures will lie.

    Raises:
        ConfigError: no table, an unknown name, a name that comes twice, an unknown or wrong setting.
        PicturaError: a reward cannot be made: its model is not there, its function cannot be imported.
    """
    rows = [tables] if isinstance(tables, Mapping) else list(tables)
    shares = [_share(dict(row), device) for row in rows]
    if len(shares) == 1 and shares[0].weight == 1:
        return shares[0].reward
    return Mixture(shares)


def _share(table: dict[str, Any], device: str) -> Share:
    told: dict[str, Any] = {key: table.pop(key) for key in ("name", "weight") if key in table}
    common = from_table(_Common, told, "rewards")
    where = f"rewards: {common.name}"
    found = import_name(common.name) if ":" in common.name else REWARDS.get(common.name)
    if dataclasses.is_dataclass(found) and isinstance(found, type):
        settings: Any = from_table(found, table, where)
        return Share(reward=Checked(settings.build(device)), weight=common.weight)
    if not callable(found):
        raise ConfigError(f"{where} must be a function of pictures and prompts; it is {found!r}.")
    limits = from_table(FunctionSettings, table, where)
    function = FunctionReward(common.name, found)
    return Share(reward=Checked(function, timeout_s=limits.timeout_s), weight=common.weight)
