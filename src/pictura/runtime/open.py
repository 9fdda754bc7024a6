"""What computes a model's networks: torch where CUDA is, else ONNX Runtime; either is imported on use."""

import ctypes
import importlib.util
import sys
from typing import Any

from pictura.core.errors import DeviceError, MissingExtraError
from pictura.core.registry import Registry
from pictura.core.types import Backend, ImaginationBackend, OnePassBackend, TokenBackend
from pictura.store.models import AS_LEARNT, ModelInfo

TORCH_BACKENDS = Registry(
    "family",
    {
        "flow": "pictura.families.flow.backend:TorchBackend",
        "stackgan": "pictura.families.stackgan.backend:TorchBackend",
        "attngan": "pictura.families.attngan.backend:TorchBackend",
        "dfgan": "pictura.families.dfgan.backend:TorchBackend",
        "dalle": "pictura.families.dalle.backend:TorchBackend",
        "unclip": "pictura.families.unclip.backend:TorchBackend",
    },
    group="pictura.families",
)


def open_backend(
    model: ModelInfo,
    device: str,
    strength: float,
    *,
    compile: bool = False,  # noqa: A002
    num_threads: int | None = None,
) -> Any:
    """Load a painter's networks; the arguments and errors are those of `pipeline.load`."""
    if device not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"The device must be auto, cpu or cuda; got {device!r}.")
    if device == "cuda" or (device == "auto" and _may_have_cuda()):
        if importlib.util.find_spec("torch") is None:
            raise MissingExtraError("Painting on CUDA needs torch: pip install 'pictura[train]'")
        try:
            return TORCH_BACKENDS.get(model.family)(model, device="cuda", strength=strength, compile=compile)
        except DeviceError:
            if device == "cuda":
                raise
    return open_on_cpu(model, strength=strength, num_threads=num_threads)


def open_on_cpu(
    model: ModelInfo, *, strength: float = AS_LEARNT, num_threads: int | None = None
) -> Backend | OnePassBackend | TokenBackend | ImaginationBackend:
    """Load a painter's networks on ONNX Runtime.

    Args:
        model: whose files were verified.
        strength: of the low-rank changes that the folder may hold, in percent.
        num_threads: threads of one network call; None measures which number is fastest.

    Raises:
        ModelError: a graph or the weights cannot be loaded.
    """
    if model.one_pass:
        from pictura.runtime.onnx_one_pass import OnnxOnePass

        return OnnxOnePass(model, num_threads=num_threads, strength=strength)
    if model.by_tokens:
        from pictura.runtime.onnx_tokens import OnnxTokens

        return OnnxTokens(model, num_threads=num_threads, strength=strength)
    if model.by_imagination:
        from pictura.runtime.onnx_unclip import OnnxUnclip

        return OnnxUnclip(model, num_threads=num_threads, strength=strength)
    from pictura.runtime.onnx_backend import OnnxBackend

    return OnnxBackend(model, num_threads=num_threads, strength=strength)


def _may_have_cuda() -> bool:
    """Whether it is worth the seconds that importing torch takes: torch and a driver are there."""
    if importlib.util.find_spec("torch") is None:
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
