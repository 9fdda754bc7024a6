"""A decoder that learnt on, into the folder of its painter: its weights there, everything else as it was.

In: a run of the task `autoencoder` with `training.latent_noise`. Out: the folder of the painter that it
began with, whose latents mean what they meant, so that its student stays too. Its hash is new, and its
scores are to be taken anew.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from pictura.core.errors import ModelError, TrainingError
from pictura.store.atomic import atomic_folder
from pictura.store.models import STUDENT, ModelInfo, read_model, resolve
from pictura.store.weights import WEIGHTS
from pictura.train.export.card import SAMPLES, decoder_section, with_section
from pictura.train.export.part import Provenance, check_place, completed, to_fp16, trained, write_manifest
from pictura.train.export.samples import sample_sheet

_DECODES = ("autoencoder.decoder.", "autoencoder.patch_out.")
"""What the names of weights that learnt start with."""


def export_decoder(
    run: Path,
    folder: Path,
    *,
    name: str,
    weights: str = "ema_long",
    provenance: Provenance | None = None,
) -> ModelInfo:
    """Write the model that a run began with, with the decoder that it came to; torch and ONNX must agree.

    Args:
        run: folder of a run, or of one checkpoint.
        folder: of the model that is written; that of the model that the run began with is allowed.
        name: of the model that is written.
        weights: which of the checkpoint's weights.
        provenance: its `metrics` are the new model's, its `training` goes into the card.

    Returns:
        What the folder says about itself.

    Raises:
        TrainingError: there is no whole checkpoint, or it holds an autoencoder for no painter yet.
        ModelError: the painter paints in another space now, weights do not fit fp16, or ONNX and torch
            differ.
        ConfigError: the name cannot be a model's.
        StorageError: the disk is full, or the place cannot be written or holds something else.
    """
    from pictura.train.export.checkpoint import verify_export  # it sends runs of this task here

    saved = trained(run, "autoencoder", weights)
    recipe: dict[str, Any] = saved.config["recipe"]
    if not recipe["training"].get("latent_noise"):
        raise TrainingError(
            f"{run} holds an autoencoder, which no painter has yet: train one with "
            f"model.autoencoder = {str(run)!r}, and export that."
        )
    base = resolve(recipe["model"]["init_from"])
    base.verify()
    check_place(folder, name)
    before = load((base.path / WEIGHTS).read_bytes())
    after = to_fp16({key: value for key, value in saved.weights[weights].items() if key in before})
    _check_space(before, after, base)
    said = completed(provenance, saved, weights)
    manifest = {
        **{key: value for key, value in base.manifest.items() if key != "files"},
        "name": name,
        "metrics": dict(said.metrics),
        "decoder": {"recipe": recipe, "training": said.training},
    }
    if student := STUDENT in base.files:
        manifest["student"] = {**manifest["student"], "metrics": {}}
    with atomic_folder(folder) as tmp:
        for file in sorted(base.files):
            shutil.copy(base.path / file, tmp / file)
        learnt = {key: value for key, value in after.items() if key.startswith(_DECODES)}
        (tmp / WEIGHTS).write_bytes(save({**before, **learnt}))
        write_manifest(tmp, manifest)
        verify_export(tmp)
        if student:
            verify_export(tmp, student=True)
        if SAMPLES in base.files:
            prompts = base.manifest["recipe"]["log"]["prompts"]
            sample_sheet([tmp], prompts).save(tmp / SAMPLES, optimize=True)
        hashes = write_manifest(tmp, manifest)
        _tell(tmp / "README.md", name, manifest["decoder"], hashes)
        write_manifest(tmp, manifest)
    return read_model(folder)


def _check_space(before: Mapping[str, Tensor], after: Mapping[str, Tensor], base: ModelInfo) -> None:
    """Refuse weights of another shape, and an encoder that is not the painter's."""
    for key, value in before.items():
        if not key.startswith("autoencoder."):
            continue
        same = key in after and after[key].shape == value.shape
        if not same or (not key.startswith(_DECODES) and not torch.equal(after[key], value)):
            raise ModelError(
                f"The decoder learnt in another space than {base.name!r} at {base.path} paints in now: "
                f"{key} differs. Put the model back that its run began with, or let it learn anew."
            )


def _tell(card: Path, name: str, learnt: Mapping[str, Any], hashes: Mapping[str, str]) -> None:
    """Bring the card up to date."""
    if not card.is_file():
        return
    text = re.sub(r"\A# .*", f"# {name}", card.read_text(encoding="utf-8"))
    text = with_section(text, "Decoder", decoder_section(learnt))
    text = with_section(text, "Metrics", "None yet.")
    for file, digest in hashes.items():
        text = re.sub(rf"(- {re.escape(file)}: sha256) `[^`]*`", rf"\1 `{digest}`", text)
    card.write_text(text, encoding="utf-8")
