"""A trained judge to a model folder of kind "part"."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pictura.core.errors import TrainingError
from pictura.store.models import ModelInfo
from pictura.train import checkpoint
from pictura.train.export_part import Provenance, export_part
from pictura.train.start import part

_CARD = """Reads a 64 px picture on light grey and says which of {things} things it holds, how many, in which
colour and where: {kind}, trained on scenes from half {half} of the training glyphs. Blind to anything outside
its list, styles, backgrounds, beauty."""
KINDS = {"detector": "a convolutional detector", "inquirer": "a network that is asked about each thing"}


def export_judge(
    run: Path,
    folder: Path,
    *,
    name: str,
    weights: str = "ema_long",
    provenance: Provenance | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Export the newest checkpoint of a judge's run.

    Args:
        run: folder of a run, or of one checkpoint.
        folder: of the part.
        name: of the part.
        weights: which of the checkpoint's weights.
        provenance: for the card; the recipe and the length of the training are filled in.
        calibration: fields of `encode.judges.judge.Calibration`.

    Raises:
        TrainingError: there is no whole checkpoint, or it holds no judge.
    """
    found = checkpoint.find_latest(run)
    if found is None:
        raise TrainingError(f"{run} holds no checkpoint. Name the folder of a run, such as runs/judge-a.")
    saved = checkpoint.load(found)
    if "judge" not in saved.config:
        raise TrainingError(f"{found} holds no judge: its recipe must have task = 'judge'.")
    table = {**saved.config["judge"], "calibration": dict(calibration or {})}
    given = provenance or Provenance()
    half = saved.config["recipe"]["data"].get("half") or "both halves"
    trained = f"{saved.step} steps in {saved.seconds / 3600:.1f} hours; the weights are its {weights!r}."
    return export_part(
        folder,
        name=name,
        family="judge",
        config={"judge": table},
        weights={f"network.{k}": v for k, v in part(dict(saved.weights[weights]), "network").items()},
        provenance=replace(
            given, recipe=saved.config["recipe"], training=f"{trained} {given.training}".strip()
        ),
        card_text=_CARD.format(things=len(table["things"]), kind=KINDS[table["kind"]], half=half),
    )
