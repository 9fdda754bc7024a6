"""A trained painter to its folder: model.json, fp16 weights, graphs, tokenizer, words, card; whole or not.

What differs between families (networks, graphs, how both are compared) is given by `export.py`,
`export_gan.py` and `export_dalle.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from pictura.encode.tokenizer import Tokenizer
from pictura.store.atomic import atomic_folder
from pictura.store.models import ModelInfo, Sampling, read_model
from pictura.store.weights import WEIGHTS
from pictura.train.export.card import SAMPLES, model_card
from pictura.train.export.graphs import Graph
from pictura.train.export.part import Provenance, check_place, manifest_head, to_fp16, write_manifest
from pictura.train.export.samples import sample_sheet


def export_painter(
    folder: Path,
    *,
    name: str,
    family: str,
    tables: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    tokenizer: Tokenizer,
    words: Sequence[str],
    graphs: Mapping[str, Graph],
    grids: Sequence[tuple[int, int]],
    factor: int,
    sampling: Sampling,
    provenance: Provenance,
    prompts: Sequence[str],
    verify: Callable[[Path], None],
) -> ModelInfo:
    """Write the folder of a painter.

    Args:
        folder: of the model; an older one there is replaced when all is done.
        name: of the model.
        family: in which it is.
        tables: what its networks are, put into model.json as they are.
        weights: name to tensor.
        tokenizer: of the captions.
        words: every word of the captions in lower case, commonest first.
        graphs: graph name to graph.
        grids: latent (height, width) shapes that the network was trained for.
        factor: picture pixels per latent pixel, along one side.
        sampling: how the model is sampled unless a user says otherwise.
        provenance: data, licence, recipe, metrics.
        prompts: painted by the finished model, one picture each, for the card; empty paints none.
        verify: called with the written folder before it appears; raises where torch and graphs differ.

    Returns:
        What the new folder says about itself.

    Raises:
        ConfigError: the name cannot be a model's.
        ModelError: weights do not fit fp16, or what `verify` raises.
        StorageError: the disk is full, or the place cannot be written or holds something else.
    """
    check_place(folder, name)
    with atomic_folder(folder) as tmp:
        (tmp / WEIGHTS).write_bytes(save(to_fp16(weights)))
        tokenizer.save(tmp / "tokenizer.json")
        (tmp / "words.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        for graph_name, graph in graphs.items():
            (tmp / f"{graph_name}.onnx").write_bytes(graph.content)
        manifest: dict[str, Any] = {
            **manifest_head(name, family, "painter", provenance),
            **tables,
            "factor": factor,
            "max_tokens": tokenizer.max_tokens,
            "grids": [list(grid) for grid in grids],
            "sampling": sampling.table(),
            "recipe": dict(provenance.recipe),
            "graphs": {graph_name: list(graph.weights) for graph_name, graph in graphs.items()},
        }
        write_manifest(tmp, manifest)
        verify(tmp)
        if prompts:
            sample_sheet([tmp], prompts).save(tmp / SAMPLES, optimize=True)
        hashes = write_manifest(tmp, manifest)
        card = model_card(manifest, hashes, training=provenance.training, words=words)
        (tmp / "README.md").write_text(card, encoding="utf-8")
        write_manifest(tmp, manifest)
    return read_model(folder)
