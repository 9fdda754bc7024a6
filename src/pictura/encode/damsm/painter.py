"""A painter's folder whose captions a DAMSM's text tower reads, to its networks on torch.

In: a model folder and the adversarial family of its generator. Out: both networks with their weights,
ready to paint. Each family names itself in its own `backend.py`.
"""

from typing import Any

import torch

from pictura.core.errors import ModelError
from pictura.core.tables import from_table
from pictura.encode.damsm.config import DamsmConfig
from pictura.encode.damsm.model import WordEncoder
from pictura.nn.gan import GanFamily
from pictura.nn.one_pass import OnePassParts, TorchOnePass
from pictura.store.models import AS_LEARNT, MANIFEST, ModelInfo
from pictura.store.weights import read_weights


def read_parts(family: GanFamily, model: ModelInfo, *, strength: float = AS_LEARNT) -> OnePassParts:
    """Build the networks of a model folder with its weights, in fp32 on the CPU.

    Args:
        family: of the generator.
        model: whose files were verified.
        strength: of the low-rank changes that the folder may hold, in percent.

    Raises:
        ModelError: the weights do not fit the configs.
        ConfigError: a config says something that is impossible.
    """
    parts = make_parts(family, model.manifest, where=str(model.path / MANIFEST))
    weights = read_weights(model.path, strength=strength)
    try:
        parts.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    except RuntimeError as error:
        raise ModelError(f"The weights in {model.path} do not fit its {MANIFEST}: {error}") from error
    return parts.eval().requires_grad_(False)


def make_parts(family: GanFamily, configs: Any, *, where: str) -> OnePassParts:
    """Build the networks that the tables ``gan`` and ``text_encoder`` of `configs` describe.

    Raises:
        ConfigError: one says something that is impossible; the message begins with `where`.
    """
    text = from_table(DamsmConfig, configs["text_encoder"], f"{where}, text_encoder")
    generator = family.generator(from_table(family.config, configs["gan"], f"{where}, gan"))
    return OnePassParts(WordEncoder(text), generator)


def open_painter(
    family: GanFamily,
    model: ModelInfo,
    *,
    device: str = "cuda",
    strength: float = AS_LEARNT,
    compile: bool = False,  # noqa: A002
) -> TorchOnePass:
    """Load a painter of `family`; the rest is what `pipeline.load` says of it.

    Raises:
        DeviceError: there is no such device.
        ModelError: the weights do not fit.
    """
    parts = read_parts(family, model, strength=strength)
    return TorchOnePass(parts, device=device, strength=strength, compile=compile)
