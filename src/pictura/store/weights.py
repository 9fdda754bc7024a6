"""A model's weights: `weights.safetensors` (fp16) plus learnt low-rank changes, to fp32 arrays by name.

Source  Hu et al. 2021, LoRA (arXiv:2106.09685): W = W_0 + strength / 100 * up @ down.
Letters r rank.
Units   strength in percent: 0 the base, 100 as learnt, above 100 more of it.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from pictura.core.errors import ModelError
from pictura.store.models import AS_LEARNT, DELTAS, STUDENT

WEIGHTS = "weights.safetensors"


def read_weights(
    folder: Path, *, strength: float = AS_LEARNT, student: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Read the weights of a model folder.

    Args:
        folder: with `weights.safetensors` and perhaps files ``delta*.safetensors``, which hold pairs
            ``NAME.down`` (r, in) and ``NAME.up`` (out, r).
        strength: of the changes; at 0 they are not even read.
        student: add the change that makes the model's student of it, whatever the strength of the others.

    Returns:
        Name to fp32 array.

    Raises:
        ModelError: a file cannot be read, or a change does not fit the weights.
    """
    weights = {name: array.astype(np.float32) for name, array in read_halves(folder / WEIGHTS).items()}
    changes = [(path, strength) for path in sorted(folder.glob(DELTAS))] if strength else []
    for path, share in [*changes, *([(folder / STUDENT, AS_LEARNT)] if student else [])]:
        delta = read_halves(path)
        for name in sorted({key.rpartition(".")[0] for key in delta}):
            _add(weights, name, delta, share, path)
    return weights


def read_halves(path: Path) -> dict[str, NDArray[np.float16]]:
    """A file of weights or of changes to them, as it is.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} should hold weights, but cannot be read ({error}).") from error


def _add(
    weights: dict[str, NDArray[np.float32]],
    name: str,
    delta: dict[str, NDArray[np.float16]],
    strength: float,
    path: Path,
) -> None:
    down, up = delta.get(f"{name}.down"), delta.get(f"{name}.up")
    if down is None or up is None or name not in weights:
        raise ModelError(f"{path} must hold {name}.down and {name}.up for a weight that the model has.")
    weight = weights[name]
    rows = weight.reshape(len(weight), -1)
    if up.shape[1:] != down.shape[:1] or (up.shape[0], down.shape[1]) != rows.shape:
        raise ModelError(
            f"{path}: the change of {name} has shapes {up.shape} and {down.shape}, "
            f"which do not multiply to {rows.shape}."
        )
    change = up.astype(np.float32) @ down.astype(np.float32)
    weights[name] = weight + np.float32(strength / AS_LEARNT) * change.reshape(weight.shape)
