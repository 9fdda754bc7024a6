"""A trained part (CLIP, judge) to a folder: model.json, fp16 weights, graphs, tokenizer, card; whole or not.

What every export writes the same way is here too: provenance, halved weights, the manifest with its hashes.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

import pictura
from pictura.core.errors import ConfigError, ModelError, StorageError, TrainingError
from pictura.encode.tokenizer import Tokenizer
from pictura.store.atomic import atomic_folder
from pictura.store.models import FORMAT, MANIFEST, ModelInfo, file_hash, read_model
from pictura.store.weights import WEIGHTS
from pictura.train.checkpoint import Checkpoint, find_latest, load
from pictura.train.export.card import part_card
from pictura.train.export.graphs import Graph


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where a model comes from, for model.json and the card."""

    licence: str = "not stated"
    """Of the weights: that of the pictures they learnt from has a say in it."""
    data: tuple[str, ...] = ()
    """One line for each source of pictures: what it is, and its licence."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    training: str = ""
    """On what machine and how it went: sentences for the card."""
    about: str = ""
    """Of a part: what it does well and what it is blind to, for the card."""


def trained(run: Path, network: str, weights: str) -> Checkpoint:
    """The newest checkpoint of a run, which must hold such a network with such weights.

    Raises:
        TrainingError: there is no whole checkpoint, or it holds something else.
    """
    found = find_latest(run)
    if found is None:
        raise TrainingError(f"{run} holds no checkpoint. Name the folder of a run, such as runs/{network}.")
    saved = load(found)
    if network not in saved.config or weights not in saved.weights:
        raise TrainingError(f"{found} holds no {network} with weights {weights!r}: it cannot be exported.")
    return saved


def completed(given: Provenance | None, saved: Checkpoint, weights: str) -> Provenance:
    """What a person said of a part, with what its checkpoint knows: sources, recipe, length."""
    said = given or Provenance()
    length = f"{saved.step} steps in {saved.seconds / 3600:.1f} hours; the weights are its {weights!r}."
    return replace(
        said,
        data=tuple(dict.fromkeys([*said.data, *saved.config.get("data", ())])),
        recipe=saved.config["recipe"],
        training=f"{length} {said.training}".strip(),
    )


def export_part(
    folder: Path,
    *,
    name: str,
    family: str,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    tokenizer: Tokenizer | None = None,
    graphs: Mapping[str, Graph] | None = None,
    provenance: Provenance,
    card_text: str,
    verify: Callable[[Path], None] | None = None,
) -> ModelInfo:
    """Write the folder of a model that does not paint.

    Args:
        folder: of the part; an older one there is replaced when all is done.
        name: of the part.
        family: what kind of part: ``clip``, ``judge``.
        config: what its networks are; a table per network, put into model.json as they are.
        weights: name to tensor, of everything that the part needs.
        tokenizer: if it reads captions.
        graphs: graph name to graph, if it also runs without torch.
        provenance: data, licence, recipe, metrics.
        card_text: what it is for and what it is blind to: the first paragraphs of the card, Markdown.
        verify: called with the written folder before it appears; raises where torch and graphs differ.

    Returns:
        What the new folder says about itself.

    Raises:
        ConfigError: the name cannot be a model's, or `config` uses a name that model.json needs.
        ModelError: weights do not fit fp16, or what `verify` raises.
        StorageError: the disk is full, or the place cannot be written or holds something else.
    """
    check_place(folder, name)
    manifest: dict[str, Any] = {
        **manifest_head(name, family, "part", provenance),
        "max_tokens": tokenizer.max_tokens if tokenizer else 0,
        "recipe": dict(provenance.recipe),
        "graphs": {graph_name: list(graph.weights) for graph_name, graph in (graphs or {}).items()},
    }
    if taken := sorted({*manifest, "files", "sampling", "grids"}.intersection(config)):
        raise ConfigError(
            f"The tables of a part may not be named {', '.join(taken)}: model.json needs these."
        )
    manifest.update(config)
    with atomic_folder(folder) as tmp:
        (tmp / WEIGHTS).write_bytes(save(to_fp16(weights)))
        if tokenizer:
            tokenizer.save(tmp / "tokenizer.json")
        for graph_name, graph in (graphs or {}).items():
            (tmp / f"{graph_name}.onnx").write_bytes(graph.content)
        hashes = write_manifest(tmp, manifest)
        if verify:
            verify(tmp)
        card = part_card(manifest, hashes, text=card_text, training=provenance.training)
        (tmp / "README.md").write_text(card, encoding="utf-8")
        write_manifest(tmp, manifest)
    return read_model(folder)


def check_place(folder: Path, name: str) -> None:
    """Refuse a name that cannot be a model's, and a folder that holds something else.

    Raises:
        ConfigError: the name has other characters than a model's may have.
        StorageError: there is a folder, and it is no model's.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise ConfigError(f"A model's name is lower-case letters, digits, '.', '_' and '-'; got {name!r}.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise StorageError(f"{folder} is a folder of something else than a model. Choose another place.")


def manifest_head(name: str, family: str, kind: str, provenance: Provenance) -> dict[str, Any]:
    """The first lines of model.json, the same for every kind of model."""
    return {
        "format": FORMAT,
        "name": name,
        "family": family,
        "kind": kind,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "pictura_version": pictura.__version__,
        "licence": provenance.licence,
        "data": list(provenance.data),
        "metrics": dict(provenance.metrics),
    }


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Write model.json with the hashes of the files that are there; return them."""
    hashes = {path.name: file_hash(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    text = json.dumps({**manifest, "files": hashes}, indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return hashes


def to_fp16(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as a model folder keeps them.

    Raises:
        ModelError: one is not a number, or too large for fp16.
    """
    halves = {name: weight.detach().cpu().half().contiguous() for name, weight in weights.items()}
    bad = [name for name, weight in halves.items() if not weight.isfinite().all()]
    if bad:
        raise ModelError(f"These weights are not finite in fp16: {', '.join(bad)}. The training diverged.")
    return halves
