"""The names of the algorithms: the `[algorithm]` table of a recipe in, an algorithm out.

Other packages add names through the entry-point group `pictura.algorithms`; their class has the members of
`learn.algorithm.Algorithm` and a dataclass `Settings`, which it is made of (and of the reward, where it is
`differentiable`).
"""

from collections.abc import Mapping
from typing import Any

from pictura.core.errors import ConfigError
from pictura.core.registry import Registry
from pictura.core.tables import from_table
from pictura.learn.algorithm import Algorithm
from pictura.learn.policy import Kind, Policy, kind_of
from pictura.reward.types import Reward
from pictura.store.models import ModelInfo

ALGORITHMS = Registry(
    "algorithm",
    {
        "nft": "pictura.learn.algorithms.nft:NFT",
        "grpo": "pictura.learn.algorithms.grpo:GRPO",
        "awm": "pictura.learn.algorithms.awm:AWM",
        "dpo": "pictura.learn.algorithms.dpo:DPO",
        "backprop": "pictura.learn.algorithms.backprop:Backprop",
        "draft-k": "pictura.learn.algorithms.draft_k:DraftK",
        "distil": "pictura.learn.algorithms.distil:Distil",
        "student": "pictura.learn.algorithms.student:Student",
        "token-grpo": "pictura.learn.algorithms.token_grpo:TokenGRPO",
    },
    group="pictura.algorithms",
)
_PAINTS: dict[Kind, str] = {"velocity": "follow a velocity", "tokens": "draw tokens"}


def make_algorithm(table: Mapping[str, Any], reward: Reward) -> Algorithm:
    """Make what a recipe asks for.

    Args:
        table: `name`, and settings of that algorithm.
        reward: what is learnt from; kept by algorithms that need its gradient.

    Raises:
        ConfigError: no algorithm or setting has that name, or the reward has no gradient and needs one.
    """
    if not isinstance(table.get("name"), str):
        raise ConfigError(f"[algorithm] needs a name: {', '.join(ALGORITHMS)}.")
    kind = ALGORITHMS.get(table["name"])
    settings = from_table(kind.Settings, {k: v for k, v in table.items() if k != "name"}, "algorithm")
    if not kind.differentiable:
        return kind(settings)
    if not reward.differentiable:
        raise ConfigError(
            f"The algorithm {kind.name!r} learns from the gradient of the reward, and {reward.name!r} has "
            "none. Take a differentiable reward, or another algorithm such as 'nft'."
        )
    return kind(settings, reward)


def check_pair(algorithm: Algorithm, policy: Policy, model: ModelInfo) -> None:
    """Check that an algorithm can teach a policy.

    Raises:
        ConfigError: it cannot; those that can are named.
    """
    kind = kind_of(policy)
    if algorithm.needs != kind:
        fit = [name for name in ALGORITHMS if ALGORITHMS.get(name).needs == kind]
        raise ConfigError(
            f"The algorithm {algorithm.name!r} teaches models that {_PAINTS[algorithm.needs]}, and those "
            f"of the family {model.family!r}, such as {model.name!r}, {_PAINTS[kind]}. "
            f"For them set algorithm.name to one of: {', '.join(fit)}."
        )
