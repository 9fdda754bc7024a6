"""A trained enlarger to a folder of kind "part", with a graph that is proven equal to torch."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim

from pictura.core.errors import ModelError
from pictura.encode.enlarger import FACTOR, Enlarger, EnlargerConfig
from pictura.runtime.onnx_backend import open_graph
from pictura.store.models import ModelInfo, read_model
from pictura.store.weights import read_weights
from pictura.train.export.graphs import Graph, Tracing, check_same, trace, with_distinct_weights
from pictura.train.export.part import Provenance, completed, export_part, trained
from pictura.train.recipe import from_table
from pictura.train.start import part

NAME = "enlarger"
"""Of the graph, the network and the family."""
ABOUT = (
    f"Makes a picture {FACTOR} times as large in one pass of {{weights:,}} weights: a smooth enlargement, to "
    "which a small U-Net of convolutions adds edges. Any size, transparent or not; nothing is drawn, so "
    "that a picture has one enlargement. It learnt from emoji, icons and sprites that went through a "
    "painter's autoencoder, and knows no photograph."
)


def export_enlarger(
    run: Path,
    folder: Path,
    *,
    name: str,
    weights: str = "ema_long",
    provenance: Provenance | None = None,
) -> ModelInfo:
    """Export the newest checkpoint of an enlarger's run; see `export_part`.

    Args:
        run: folder of a run, or of one checkpoint.
        folder: of the part.
        name: of the part.
        weights: which of the checkpoint's weights.
        provenance: for the card; the recipe and the length of the training are filled in.

    Raises:
        TrainingError: there is no whole checkpoint, or it holds no enlarger with such weights.
        ModelError: weights do not fit fp16, or ONNX and torch differ.
    """
    saved = trained(run, NAME, weights)
    said = completed(provenance, saved, weights)
    enlarger = load_enlarger(saved.config[NAME], part(dict(saved.weights[weights]), NAME))
    about = ABOUT.format(weights=sum(weight.numel() for weight in enlarger.parameters()))
    return export_part(
        folder,
        name=name,
        family=NAME,
        config={NAME: asdict(enlarger.config), "times": FACTOR},
        weights=enlarger.state_dict(),
        graphs=enlarger_graph(enlarger),
        provenance=said,
        card_text="\n\n".join(text for text in (about, said.about) if text),
        verify=verify_enlarger,
    )


def load_enlarger(table: dict[str, Any], weights: Mapping[str, Tensor]) -> Enlarger:
    """The network of a table of settings, with its weights."""
    enlarger = Enlarger(from_table(EnlargerConfig, table, NAME))
    enlarger.load_state_dict(weights)
    return enlarger.eval()


def enlarger_graph(enlarger: Enlarger) -> dict[str, Graph]:
    """The graph `enlarger`, without weights: (B, C, h, w) to (B, C, 4 h, 4 w), any even h and w."""
    copy = with_distinct_weights(enlarger)
    rows, columns = Dim("h", max=1024), Dim("w", max=1024)
    shape = {0: Dim("B", max=4096), 2: 2 * rows, 3: 2 * columns}
    small = torch.zeros(2, enlarger.config.image_channels, 8, 12)
    return trace({NAME: Tracing(copy, {"small": small}, {"small": shape})}, set(copy.state_dict()))


def verify_enlarger(folder: Path) -> None:
    """Compare ONNX Runtime with torch on an enlarger's folder, at two shapes.

    Raises:
        ModelError: a number differs too much, see `check_same`, or a file is damaged.
    """
    model = read_model(folder)
    if model.family != NAME:
        raise ModelError(f"{folder} should hold an enlarger; it holds {model.family!r}.")
    model.verify()
    arrays = read_weights(folder)
    network = load_enlarger(
        dict(model.manifest[NAME]), {name: torch.from_numpy(array) for name, array in arrays.items()}
    )
    session = open_graph(model, NAME, arrays, num_threads=1)
    generator = torch.Generator().manual_seed(0)
    for h, w in ((8, 8), (10, 16)):
        small = torch.rand(1, network.config.image_channels, h, w, generator=generator)
        with torch.no_grad():
            expected = network(small).numpy()
        (got,) = session.run(None, {"small": small.numpy()})
        check_same(got, expected, f"{NAME}.onnx of {folder} differs from torch at {h}x{w}")
