"""Tiny judges and pictures for tests of rewards."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from pictura.core import images
from pictura.core.types import Claim, Demand, Prompt
from pictura.encode.judges.detector import Detector, DetectorConfig
from pictura.encode.judges.inquirer import Inquirer, InquirerConfig
from pictura.store.models import EMBEDDED
from pictura.train.export.part import Provenance, export_part

THINGS, COLOURS = ("apple", "ball", "car"), ("red", "blue")
DETECTOR = DetectorConfig(num_things=3, num_colours=2, widths=(4, 8, 8), blocks=(1, 1))
INQUIRER = InquirerConfig(
    num_things=3, num_colours=2, stem=(8, 8), blocks=(1, 1), width=16, num_heads=2, hidden=8
)


def prompt(*demands: Demand, relation: str | None = None) -> Prompt:
    return Prompt(text="words", claim=Claim(objects=demands, relation=relation))


def one(thing: str, *, count: int | None = None, colour: str | None = None) -> Prompt:
    return prompt(Demand(thing=thing, count=count, colour=colour))


def make_judge(
    folder: Path, kind: str = "detector", *, widths: tuple[int, int, int] = DETECTOR.widths
) -> Path:
    """The folder of a judge of random weights; `widths` are a detector's."""
    torch.manual_seed(0)
    network = Detector(replace(DETECTOR, widths=widths)) if kind == "detector" else Inquirer(INQUIRER)
    table = {"kind": kind, "network": asdict(network.config), "things": THINGS, "colours": COLOURS}
    export_part(
        folder,
        name=f"tiny-{kind}",
        family="judge",
        config={"judge": table},
        weights={f"network.{name}": value for name, value in network.state_dict().items()},
        provenance=Provenance(),
        card_text="Random.",
    )
    return folder


def paintings(*prompts: str) -> Tensor:
    """What the embedded model painted of prompts of its card, or of all of them: (B, 3, 64, 64)."""
    folder = EMBEDDED / "flow"
    shown = json.loads((folder / "model.json").read_text(encoding="utf-8"))["recipe"]["log"]["prompts"]
    with Image.open(folder / "samples.png") as sheet:
        tiles = []
        for row, column in (divmod(shown.index(text), 8) for text in prompts or shown):
            corner = (128 * column, 158 * row)
            tiles.append(sheet.crop((*corner, corner[0] + 128, corner[1] + 128)).resize((64, 64)))
    return torch.from_numpy(images.from_pil(tiles, channels=3))


def redness(images: Tensor, prompts: list[str]) -> list[float]:
    """A user's reward: red without green."""
    return [float(image[0].mean() - image[1].mean()) for image in images]
