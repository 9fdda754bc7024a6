"""A user's own function as a reward: `my_module:score`, pictures and sentences in, numbers out.

    def score(images: Tensor, prompts: list[str]) -> Sequence[float]: ...

`images` are (B, 3, H, W) float32 in [0, 1] on light grey. A function whose second parameter is annotated
with `Prompt` (`Sequence[Prompt]`) gets what can be checked of each sentence with it. NaN says that a picture
cannot be scored.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pictura.core.errors import ConfigError, RewardError, did_you_mean
from pictura.core.types import Prompt
from pictura.reward.types import Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSettings:
    """What a recipe may say of a function."""

    timeout_s: float = 300.0
    """Longest time for one call."""

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ConfigError(f"rewards: timeout_s must be above 0; got {self.timeout_s}.")


class FunctionReward:
    """A function as it was written; `Checked` guards what it gives."""

    differentiable = False
    value_range = (-torch.inf, torch.inf)

    def __init__(self, name: str, function: Callable[[Tensor, Any], Any]) -> None:
        self.name, self._function = name, function
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # something built in does not say
            parameters = []
        self._whole = len(parameters) > 1 and "Prompt" in str(parameters[1].annotation)

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score B pictures, see `Reward`.

        Raises:
            RewardError: it gave no numbers.
        """
        told = list(prompts) if self._whole else [prompt.text for prompt in prompts]
        given = self._function(images, told)
        try:
            total = torch.as_tensor(given, dtype=torch.float32).detach()
        except (TypeError, ValueError, RuntimeError) as error:
            raise RewardError(
                f"The reward {self.name!r} must give one number for each of {len(images)} pictures; "
                f"it gave {_short(given)}."
            ) from error
        return Scores(total=total, valid=total.isfinite())


def import_name(name: str) -> Any:
    """What `module:attribute` stands for; modules are looked for in the working folder, too.

    Raises:
        ConfigError: there is no such module or attribute, or importing it fails.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError, SyntaxError) as error:
        raise ConfigError(
            f"The reward {name!r} cannot be imported: {error}. Write it as module:function, and start where "
            "the module lies, or install it."
        ) from error
    if not hasattr(module, attribute):
        raise ConfigError(
            f"The module {module_name!r} has no {attribute!r}. {did_you_mean(attribute, vars(module))}"
        )
    return getattr(module, attribute)


def _short(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__}: {text[:60]}{'…' if len(text) > 60 else ''}"
