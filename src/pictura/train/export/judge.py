"""A trained judge to a model folder of kind "part"."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pictura.store.models import ModelInfo
from pictura.train.export.part import Provenance, completed, export_part, trained
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
        TrainingError: there is no whole checkpoint, or it holds no judge with such weights.
    """
    saved = trained(run, "judge", weights)
    table = {**saved.config["judge"], "calibration": dict(calibration or {})}
    half = saved.config["recipe"]["data"].get("half") or "both halves"
    return export_part(
        folder,
        name=name,
        family="judge",
        config={"judge": table},
        weights={f"network.{k}": v for k, v in part(dict(saved.weights[weights]), "network").items()},
        provenance=completed(provenance, saved, weights),
        card_text=_CARD.format(things=len(table["things"]), kind=KINDS[table["kind"]], half=half),
    )
