"""Pictures per second of the scene composer, by kind of scene, on NumPy and on torch with one thread.

    python benchmarks/scenes.py [--pack ../shared/data/glyphs] [--size 64] [--device cuda]

Seconds of the CPU columns are CPU time of one core, so that a busy machine changes them little; those of a
GPU are wall time. The training step must be the limit, not the composer: compare with the images/s of
`pictura train`.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small products are slower on more threads

import numpy as np
import torch

from pictura.data.glyphs import GlyphSet
from pictura.data.scenes.source import SceneMix, SceneSource
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.world import World

KINDS = tuple(SceneMix.__slots__)
BATCH = 64
Clock = Callable[[], float]


def images_per_second(
    source: SceneSource, clock: Clock = time.process_time, *, seconds: float = 1.5, draw_only: bool = False
) -> float:
    """The best of three measurements, each of about `seconds` / 3."""
    source.batch(0, BATCH)
    best, position = 0.0, 1
    for _ in range(3):
        start, count = clock(), 0
        while clock() - start < seconds / 3:
            if draw_only:
                source.scenes(position, BATCH)
            else:
                float(source.batch(position, BATCH).images[-1, -1, -1, -1])  # waits for a GPU
            count, position = count + BATCH, position + 1
        best = max(best, count / (clock() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, default=Path(__file__).parents[2] / "shared/data/glyphs")
    parser.add_argument("--cache", type=Path, help="folder in which the resized pack is kept")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--device", default="cpu", help="of the torch column")
    options = parser.parse_args()
    torch.set_num_threads(1)
    glyphs = GlyphSet.load(options.pack, size=options.size, cache=options.cache)
    common: dict[str, Any] = {"world": World.load(), "holdouts": Holdouts.load(), "seed": 0}
    common["size"] = (options.size, options.size)
    mixes = {"default mix": SceneMix()}
    mixes |= {k: SceneMix(**{**dict.fromkeys(KINDS, 0.0), k: 1.0}) for k in KINDS}
    print(f"| scenes at {options.size} px | choices alone | numpy | torch, {options.device} |")
    print("| --- | ---: | ---: | ---: |")
    for name, mix in mixes.items():
        on_numpy = SceneSource(glyphs, mix=mix, xp=np, **common)
        on_torch = SceneSource(glyphs, mix=mix, xp=torch, device=options.device, **common)
        clock = time.process_time if options.device == "cpu" else time.perf_counter
        rates = [
            images_per_second(on_numpy, draw_only=True),
            images_per_second(on_numpy),
            images_per_second(on_torch, clock),
        ]
        print(f"| {name.replace('_', ' and ')} | " + " | ".join(f"{r:,.0f}" for r in rates) + " |")


if __name__ == "__main__":
    main()
