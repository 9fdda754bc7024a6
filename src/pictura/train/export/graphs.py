"""Networks to ONNX graphs without weights: each weight stays a name, to be handed over at load time.

Letters B batch, C channels, H W picture size, h w latent size, T text tokens, D width.
"""

import logging
import warnings
from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim

from pictura.core.errors import MissingExtraError, ModelError
from pictura.core.types import Conditioning
from pictura.families.flow.backend import FlowParts

OPSET = 18
"""Read by every ONNX Runtime that Pictura allows."""
TOLERANCE = 1e-4
"""Largest difference between torch and ONNX, relative to the largest number where that is above 1."""
M = TypeVar("M", bound=nn.Module)
_LARGEST_CONSTANT = 4096
"""Numbers; a larger array inside a graph is a weight that lost its name."""


class Tracing(NamedTuple):
    """What torch needs to trace a module."""

    module: nn.Module
    inputs: Mapping[str, Tensor]
    """Name to an example."""
    shapes: dict[str, Any]
    """Name to which of its axes may have any length."""


class Graph(NamedTuple):
    """An exported graph."""

    content: bytes
    """Of its ONNX file."""
    weights: tuple[str, ...]
    """Names of the weights that it must be handed."""


class TextGraph(nn.Module):
    """(1, T) token ids of one prompt without padding, to (1, T, D)."""

    def __init__(self, parts: FlowParts) -> None:
        super().__init__()
        self.text_encoder = parts.text_encoder

    def forward(self, token_ids: Tensor) -> Tensor:
        """Read the prompt."""
        return self.text_encoder(token_ids, torch.ones_like(token_ids, dtype=torch.bool))


class NetworkGraph(nn.Module):
    """(B, C, h, w) latents, (B,) times, (B, T, D) text features and (B, T) mask, to velocities."""

    def __init__(self, parts: FlowParts) -> None:
        super().__init__()
        self.network = parts.network

    def forward(self, x_t: Tensor, t: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Predict."""
        return self.network(x_t, t, Conditioning(tokens=tokens, mask=mask))


class DecoderGraph(nn.Module):
    """(B, C, h, w) latents to pictures."""

    def __init__(self, parts: FlowParts) -> None:
        super().__init__()
        self.autoencoder = parts.autoencoder

    def forward(self, latent: Tensor) -> Tensor:
        """Decode."""
        return self.autoencoder.decode(latent)


class EncoderGraph(nn.Module):
    """(B, 3 or 4, H, W) pictures to latents."""

    def __init__(self, parts: FlowParts) -> None:
        super().__init__()
        self.autoencoder = parts.autoencoder

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        return self.autoencoder.encode(images)


def make_graphs(parts: FlowParts, *, factor: int, image_channels: int) -> dict[str, Graph]:
    """Export the networks.

    Args:
        parts: the three networks.
        factor: picture pixels per latent pixel, along one side.
        image_channels: 3 or 4.

    Returns:
        Graph name (`text_encoder`, `network`, `decoder`, `encoder`) to what was exported.

    Raises:
        ModelError: a weight lost its name on the way.
        MissingExtraError: onnx is not installed.
    """
    parts = with_distinct_weights(parts)
    p = parts.network.config.patch_size
    batch, tokens, rows, cols = Dim("B", max=4096), Dim("T", max=4096), Dim("h", max=512), Dim("w", max=512)
    grid = {0: batch, 2: p * rows, 3: p * cols}
    latent = torch.zeros(2, parts.network.config.latent_channels, 2 * p, 3 * p)
    text = torch.zeros(2, 3, parts.text_encoder.config.width)
    one_prompt = {"token_ids": torch.ones(1, 3, dtype=torch.int64)}
    step = {"x_t": latent, "t": torch.ones(2), "tokens": text, "mask": torch.ones(2, 3, dtype=torch.bool)}
    step_shapes = {
        "x_t": grid,
        "t": {0: batch},
        "tokens": {0: batch, 1: tokens},
        "mask": {0: batch, 1: tokens},
    }
    images = {"images": torch.zeros(2, image_channels, 2 * factor, 3 * factor)}
    picture_shapes = {"images": {0: batch, 2: factor * rows, 3: factor * cols}}
    tracings = {
        "text_encoder": Tracing(TextGraph(parts), one_prompt, {"token_ids": {1: tokens}}),
        "network": Tracing(NetworkGraph(parts), step, step_shapes),
        "decoder": Tracing(DecoderGraph(parts), {"latent": latent}, {"latent": {0: batch, 2: rows, 3: cols}}),
        "encoder": Tracing(EncoderGraph(parts), images, picture_shapes),
    }
    return trace(tracings, set(parts.state_dict()))


def trace(
    tracings: Mapping[str, Tracing], names: set[str], *, spare: Collection[str] = ()
) -> dict[str, Graph]:
    """Export modules whose weights are distinct, see `with_distinct_weights`.

    Args:
        tracings: graph name to what is traced.
        names: of the weights; each must be used.
        spare: names of those that need not be.

    Returns:
        Graph name to what was exported.

    Raises:
        ModelError: a weight lost its name on the way.
        MissingExtraError: onnx is not installed.
    """
    graphs = {
        name: _strip(_export(one.module, one.inputs, one.shapes), names) for name, one in tracings.items()
    }
    unused = names.difference(spare, *(graph.weights for graph in graphs.values()))
    if unused:
        raise ModelError(f"No exported graph names these weights: {', '.join(sorted(unused))}.")
    return graphs


def check_same(got: NDArray[np.float32], expected: NDArray[np.float32], where: str) -> None:
    """Compare what a graph says with what torch says.

    Args:
        got: of the graph.
        expected: of torch.
        where: names graph and input: "painter.onnx differs from torch at code 3".

    Raises:
        ModelError: a number differs by more than `TOLERANCE`.
    """
    allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(got - expected).max())
    if not difference <= allowed:
        raise ModelError(f"{where} by {difference:.1e}; at most {allowed:.1e} is allowed.")


def with_distinct_weights(parts: M) -> M:
    """A copy with random weights: the optimiser merges equal ones, such as norms that are all ones."""
    copy = deepcopy(parts).cpu().float().eval().requires_grad_(False)
    for weight in copy.state_dict().values():
        if weight.is_floating_point():  # norms count their batches too
            nn.init.normal_(weight)
    return copy


def _export(module: nn.Module, inputs: Mapping[str, Tensor], dynamic: dict[str, Any]) -> Any:
    """Trace one module to an ONNX ModelProto whose initializers keep the names of the weights."""
    try:
        import onnx_ir
        from onnxscript import optimizer
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Export needs {error.name}, which is not installed: pip install 'pictura[train]'"
        ) from error

    names = set(module.state_dict())
    for name in ("torch.onnx", "onnx_ir"):  # they tell of packages and passes that nobody needs here
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            optimize=False,
            input_names=list(inputs),
            dynamic_shapes=dynamic,
            opset_version=OPSET,
            verbose=False,
        )
        if program is None:
            raise ModelError(f"torch exported no graph of {type(module).__name__}.")
        # Folding would replace weights by their transposes, under names of its own, and fusing would put
        # normalisations into filters; what comes from outside is not fused.
        graph = program.model.graph
        given = [value for name, value in graph.initializers.items() if name in names]
        graph.inputs.extend(given)
        optimizer.optimize_ir(
            program.model,
            should_fold=lambda node: (
                False if any(value is not None and value.name in names for value in node.inputs) else None
            ),
        )
        for value in given:
            graph.inputs.remove(value)
        return onnx_ir.serde.serialize_model(program.model)


def _strip(proto: Any, names: set[str]) -> Graph:
    """Take weights, remarks and inputs that nothing reads out of a graph; note which weights it wants."""
    graph, used = proto.graph, []
    read = {name for node in graph.node for name in node.input}
    for unread in [one for one in graph.input if one.name not in read]:
        graph.input.remove(unread)
    for tensor in graph.initializer:
        if tensor.name in names:
            dims, name, kind = list(tensor.dims), tensor.name, tensor.data_type
            tensor.Clear()
            tensor.dims.extend(dims)
            used.append(name)
            tensor.name, tensor.data_type, tensor.data_location = name, kind, tensor.EXTERNAL
            # No such file: a weight that is not handed over must fail, not be read from somewhere.
            tensor.external_data.add(key="location", value="handed-over-at-load")
        elif len(tensor.raw_data) > 4 * _LARGEST_CONSTANT:
            raise ModelError(
                f"The exported graph holds {tensor.name} {list(tensor.dims)}, a weight without its name."
            )
    graph.ClearField("value_info")
    for item in (proto, graph, *graph.node, *graph.input, *graph.output):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    return Graph(proto.SerializeToString(), tuple(sorted(used)))
