"""A run of learning to a student inside its model's folder: one more file, which `--draft` paints with.

In: a run of `pictura learn` on a painter by steps, such as one of the algorithm `student`. Out: the folder of
that painter, with `student.safetensors` and what model.json and the card say of it. All else stays as it is,
and so does the model's hash.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from pictura.core.errors import ConfigError, ModelError, TrainingError
from pictura.learn.card import facts, student_section
from pictura.learn.delta import delta_of
from pictura.learn.export import choose_checkpoint, find_base
from pictura.learn.history import History
from pictura.sample.ode import SOLVERS
from pictura.store.atomic import atomic_folder
from pictura.store.models import MANIFEST, STUDENT, ModelInfo, Sampling, read_model
from pictura.store.student import student_of
from pictura.store.weights import read_weights
from pictura.train.export.card import with_section
from pictura.train.export.checkpoint import verify_export
from pictura.train.export.part import Provenance, check_place, write_manifest

MOST_BYTES = 6_000_000
"""Of a student."""


def export_student(
    run: Path,
    folder: Path,
    *,
    name: str,
    last: bool = False,
    weights: str = "ema",
    provenance: Provenance | None = None,
) -> ModelInfo:
    """Write the model that a run learnt on, with what it learnt as its student; torch and ONNX must agree.

    Args:
        run: folder of the run.
        folder: of the model that is written; that of the model that the run learnt on is allowed.
        name: of the model that is written.
        last: the newest checkpoint, not the one that held-out tests liked best.
        weights: which of its values: ``ema``, ``values`` or ``old``.
        provenance: its `metrics` are kept as the student's.

    Returns:
        What the folder says about itself.

    Raises:
        TrainingError: this is no run of learning, or the best that it holds is its start.
        ModelError: the base is not here, weights do not fit fp16, or ONNX and torch differ.
        ConfigError: the base does not paint by steps, the name cannot be a model's, or the folder holds
            another model than the base.
        StorageError: the disk is full, or the place cannot be written or holds something else.
    """
    history = History.read(run)
    saved = choose_checkpoint(run, history, last=last)
    if weights not in saved.weights:
        raise TrainingError(f"{run} holds ema, values and old of what it learnt, but no weights {weights!r}.")
    base = find_base(history)
    if base.sampling.solver not in SOLVERS:
        raise ConfigError(
            f"{base.name!r} does not paint by steps, so it has no student: leave --student out."
        )
    check_place(folder, name)
    if (folder / MANIFEST).is_file() and (there := read_model(folder)).hash != base.hash:
        raise ConfigError(
            f"{folder} holds the model {there.hash[:10]}; {run} learnt on {base.hash[:10]}, whose student "
            "fits no other. Let it learn anew on that model, or choose another place."
        )
    start = {key: torch.from_numpy(array) for key, array in read_weights(base.path).items()}
    values = {key: value.float() for key, value in saved.weights[weights].items()}
    change, lost = delta_of(values, start, most_bytes=MOST_BYTES)
    if bad := [key for key, value in change.items() if not value.isfinite().all()]:
        raise ModelError(f"These changes are not finite in fp16: {', '.join(bad)}. The learning diverged.")
    said = facts(history, saved, base, weights=weights, lost=lost)
    manifest = {
        **{key: value for key, value in base.manifest.items() if key != "files"},
        "name": name,
        "student": {
            "sampling": _sampling(history).table(),
            "learnt": said,
            "metrics": dict(provenance.metrics) if provenance else {},
        },
    }
    with atomic_folder(folder) as tmp:
        for file in sorted(set(base.files) - {STUDENT}):
            shutil.copy(base.path / file, tmp / file)
        (tmp / STUDENT).write_bytes(save(change))
        write_manifest(tmp, manifest)
        verify_export(tmp, student=True)
        _tell(tmp, said)
        write_manifest(tmp, manifest)
    return read_model(folder)


def _sampling(history: History) -> Sampling:
    """How the run painted, which is how the student does."""
    rollout: dict[str, Any] = history.config["recipe"]["rollout"]
    low, high = rollout["guidance_interval"]
    return Sampling(
        solver=rollout["solver"],
        num_steps=rollout["num_steps"],
        guidance_scale=float(rollout["guidance_scale"]),
        guidance_interval=(float(low), float(high)),
        shift=float(rollout["shift"]),
    )


def _tell(folder: Path, said: dict[str, Any]) -> None:
    """Put the student into the card, in the place of one that was there."""
    card, model = folder / "README.md", read_model(folder)
    if not card.is_file():
        return
    student = student_of(model)
    assert student is not None  # it has just been written
    text = re.sub(rf"\n- {re.escape(STUDENT)}: [^\n]*", "", card.read_text(encoding="utf-8"))
    text = with_section(text, "Student", student_section(said, model, student))
    line = f"- {STUDENT}: sha256 `{model.files[STUDENT]}`"
    card.write_text(f"{text.rstrip()}\n{line}\n", encoding="utf-8")
