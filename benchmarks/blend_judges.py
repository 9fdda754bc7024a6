"""Mix the weights of two runs of one judge, the second of which went on from the first, into a third.

    python -m benchmarks.blend_judges runs/judge-a runs/judge-a-more runs/judge-a-blend --share 0.3

The norms' statistics are measured anew, on clean scenes of the half that the judge learns from: those of a
training run are of pictures that were treated badly.

Source  Wortsman et al. 2022, WiSE-FT (arXiv:2109.01903), for the mixture; Izmailov et al. 2018, SWA
        (arXiv:1803.05407), for the statistics.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from pictura.train import checkpoint
from pictura.train.export_part import trained
from pictura.train.judge import build, clean_pictures, settle
from pictura.train.loop import NETWORKS
from pictura.train.materials import load_materials
from pictura.train.recipe import Recipe, from_table

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second run, from 0 to 1")
    options = parser.parse_args()
    torch.set_num_threads(1)
    first, second = (trained(run, "judge", "ema_long") for run in (options.first, options.second))
    assert all(first.config.get(name) == second.config.get(name) for name in NETWORKS)
    recipe = from_table(Recipe, second.config["recipe"], str(options.second))
    recipe = replace(recipe, model=replace(recipe.model, init_from=""))
    device = torch.device("cpu")
    materials = load_materials(recipe, ROOT / "recipes", device)
    task, _ = build(recipe, ROOT / "recipes", None, materials, device)
    one, other = first.weights["ema_long"], second.weights["ema_long"]
    task.module.load_state_dict(
        {k: v.lerp(other[k], options.share) if v.is_floating_point() else v for k, v in one.items()}
    )
    settle(task.module.network, clean_pictures(materials.train))
    blended = replace(
        second,
        step=first.step + second.step,
        seconds=first.seconds + second.seconds,
        weights={"ema_long": task.module.state_dict()},
        optimizer={},
    )
    checkpoint.save(blended, options.out / "checkpoints")


if __name__ == "__main__":
    main()
