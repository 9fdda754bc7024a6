"""A run of learning to a model folder that paints: the base's files and a small delta, checked first.

In: a run of `pictura learn`. Out: the folder described in `store/models.py`, with `delta.safetensors`, which
a strength scales when the model is loaded; `learnt` in model.json and the card say what was learnt and how.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from pictura.core.errors import ConfigError, ModelError, TrainingError
from pictura.core.tables import from_table
from pictura.learn.card import facts, learnt_section, training_section
from pictura.learn.delta import delta_of
from pictura.learn.history import History
from pictura.learn.tokens import PLAIN
from pictura.learn.weights import Values
from pictura.sample.autoregressive import TokenLaw
from pictura.sample.ode import check_solver
from pictura.store.atomic import atomic_folder
from pictura.store.models import (
    DELTA,
    MANIFEST,
    SHOWN,
    STUDENT,
    ModelInfo,
    Sampling,
    find_models,
    read_model,
)
from pictura.store.weights import read_weights
from pictura.train import checkpoint
from pictura.train.export.card import SAMPLES, model_card
from pictura.train.export.checkpoint import verify_export
from pictura.train.export.dalle import verify_dalle
from pictura.train.export.part import Provenance, check_place, manifest_head, write_manifest
from pictura.train.export.samples import sample_sheet

_MOST_PROMPTS = 16
_PICTURES = "Each prompt before and, below it, after learning: seed 0, nothing picked"


def export_learnt(
    run: Path,
    folder: Path,
    *,
    name: str,
    last: bool = False,
    weights: str = "ema",
    provenance: Provenance | None = None,
    sampling: Mapping[str, Any] | None = None,
    share: float = 1.0,
) -> ModelInfo:
    """Write what a run came to as a model folder, and prove that torch and ONNX agree on it.

    Args:
        run: folder of the run.
        folder: of the model; an older one there is replaced when all is done.
        name: of the model.
        last: the newest checkpoint, not the one that held-out tests liked best.
        weights: which of its values: ``ema``, ``values`` or ``old``.
        provenance: for the card; data and licence of the base are carried over.
        sampling: settings of `Sampling` that replace those of the run.
        share: of the change that was learnt; the rest is left out.

    Returns:
        What the new folder says about itself.

    Raises:
        TrainingError: this is no run of learning, or the best that it holds is its start.
        ModelError: the base is not here, weights do not fit fp16, or ONNX and torch differ.
        ConfigError: the name cannot be a model's, or the folder is the base's own.
        StorageError: the disk is full, or the place cannot be written or holds something else.
    """
    history = History.read(run)
    saved = choose_checkpoint(run, history, last=last)
    if weights not in saved.weights:
        raise TrainingError(f"{run} holds ema, values and old of what it learnt, but no weights {weights!r}.")
    base = find_base(history)
    check_place(folder, name)
    if folder.resolve() == base.path.resolve():
        raise ConfigError(f"{folder} is the model that {run} learnt on, which it needs. Choose another name.")
    values = {key: value.float() for key, value in saved.weights[weights].items()}
    start = {key: torch.from_numpy(array) for key, array in read_weights(base.path).items()}
    delta, lost = delta_of(values, start)
    delta = {key: value * share if key.endswith(".up") else value for key, value in delta.items()}
    if bad := [key for key, value in delta.items() if not value.isfinite().all()]:
        raise ModelError(f"These changes are not finite in fp16: {', '.join(bad)}. The learning diverged.")
    manifest = {
        **{name: said for name, said in base.manifest.items() if name != "student"},  # of other weights
        **manifest_head(name, base.family, base.kind, _provenance(provenance, base)),
        "sampling": _sampling(history, base, sampling or {}).table(),
        "recipe": history.config["recipe"],
        "learnt": facts(history, saved, base, weights=weights, lost=lost) | {"share": share},
    }
    with atomic_folder(folder) as tmp:
        for file in sorted(set(base.files) - {*SHOWN, STUDENT}):
            shutil.copy(base.path / file, tmp / file)
        _write_delta(tmp, delta)
        write_manifest(tmp, manifest)
        (verify_dalle if base.by_tokens else verify_export)(tmp)
        if prompts := _prompts(history, base):
            sample_sheet([base.path, tmp], prompts).save(tmp / SAMPLES, optimize=True)
        hashes = write_manifest(tmp, manifest)
        words = (tmp / "words.txt").read_text(encoding="utf-8").split()
        card = model_card(
            manifest,
            hashes,
            training=training_section(manifest["learnt"], provenance),
            words=words,
            learnt=learnt_section(manifest["learnt"], read_model(tmp)),
            pictures=_PICTURES,
        )
        (tmp / "README.md").write_text(card, encoding="utf-8")
        write_manifest(tmp, manifest)
    return read_model(folder)


def is_run_of_learning(run: Path) -> bool:
    """Whether a folder is that of a run of `pictura learn`."""
    newest = checkpoint.find_latest(run)
    if newest is None:
        return False
    config = json.loads((newest / "config.json").read_text(encoding="utf-8"))
    return bool(config.get("task") == "learn")


def find_base(history: History) -> ModelInfo:
    """The model that a run learnt on.

    Raises:
        ModelError: it is not here any more, or another one has its place.
    """
    said = history.config["model"]
    place = Path(said["path"])
    here = [read_model(place)] if (place / MANIFEST).is_file() else []
    for model in [*here, *find_models(on_broken=lambda _: None)]:
        if model.hash == said["hash"]:
            model.verify()
            return model
    raise ModelError(
        f"{history.folder} learnt on the model {said['name']!r} with hash {said['hash'][:10]}, which is "
        f"neither at {place} nor among your models. Put that model's folder there."
    )


def choose_checkpoint(run: Path, history: History, *, last: bool) -> checkpoint.Checkpoint:
    """The checkpoint that held-out tests liked best, or the newest.

    Raises:
        TrainingError: it is the start, which learnt nothing.
    """
    best = checkpoint.find_best(run)
    found = checkpoint.find_latest(run / "checkpoints") if last or best is None else best
    assert found is not None  # `History.read` has found one
    saved = checkpoint.load(found)
    if saved.step == 0:
        raise TrainingError(
            f"{run}: after {history.step} updates nothing does better on held-out prompts than the start, so "
            "there is nothing to export. --last takes the newest all the same."
        )
    return saved


def _write_delta(folder: Path, delta: Values) -> None:
    """Write the delta, after those that the base has, which are added first."""
    if (folder / DELTA).is_file():
        number = len(list(folder.glob("delta*.safetensors")))
        (folder / DELTA).rename(folder / f"delta-{number:02d}.safetensors")
    (folder / DELTA).write_bytes(save(delta))


def _provenance(given: Provenance | None, base: ModelInfo) -> Provenance:
    """What a person said, with the sources of the base; its licence too, if nobody gave another."""
    said = given or Provenance(licence=base.licence)
    return dataclasses.replace(said, data=tuple(dict.fromkeys([*said.data, *base.data])))


def _sampling(history: History, base: ModelInfo, given: Mapping[str, Any]) -> Sampling:
    """How the run painted what it learnt from, which is how the model paints best."""
    rollout, usual = history.config["recipe"]["rollout"], base.sampling.table()
    own = PLAIN if base.by_tokens else tuple(usual)
    if wrong := [name for name in given if name not in own]:
        raise ConfigError(
            f"A model of the family {base.family!r} has no {' and '.join(wrong)}: leave it out."
        )
    sampling = from_table(Sampling, {**usual, **{name: rollout[name] for name in own}, **given}, "sampling")
    if base.by_tokens:
        law = TokenLaw(**{name: getattr(sampling, name) for name in PLAIN})
        law.check(base.manifest["transformer"]["num_codes"])
    else:
        check_solver(sampling.solver)
    return sampling


def _prompts(history: History, base: ModelInfo) -> Sequence[str]:
    """Prompts for the card: those of the run's grids, or those of the base's card."""
    of_base = base.manifest["recipe"].get("log", {}).get("prompts", ())
    return (history.prompts or tuple(of_base))[:_MOST_PROMPTS]
