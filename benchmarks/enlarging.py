"""How pictures of 64 px become 256 px: by Lanczos, by unCLIP's upsampler in tiles, by the enlarger.

    python -m benchmarks.enlarging [--pictures 48] [--grid FILE.png] [--write]

Truths are scenes of test glyphs. The pack has its glyphs at 128 px: `one` shows one thing on 256 px, so that
the truth itself is enlarged twofold from the pack; `several` shows two things on 192 px, each about as large
as the pack has it, shrunk to 48 px. Small pictures are clean, or go through the default model's autoencoder.
`painted` are pictures that the default model paints of the captions of `one`. FD-local is of the net `random`
on crops of 64 px, eight a picture, each set against the crops of the truths.

Letters N pictures, C channels, H W size.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import pictura
from benchmarks.report import machine, table, write_section
from pictura.actions.enlarging import enlarge
from pictura.core import images
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes.source import SceneMix, SceneSource
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.world import World
from pictura.encode.enlarger import FACTOR
from pictura.evaluate.feature_nets import random_net
from pictura.evaluate.metrics.frechet import frechet_distance
from pictura.families.flow.backend import FlowParts
from pictura.runtime.onnx_enlarger import Floats, open_enlarger
from pictura.sample.calls import drive
from pictura.store.models import resolve
from pictura.train.tasks.enlarger import shrunk

SEED, CROP, CROPS = 77, 64, 8
MIXES = {
    "one": (256, SceneMix(two=0.0, count=0.0, position=0.0, binding=0.0)),
    "several": (192, SceneMix(single=0, colour=0, background=0, colour_background=0, count=0)),
}
"""Side and kinds of the truths."""
PROMPTS = (
    "a red apple",
    "a smiling yellow face",
    "a blue car",
    "a mushroom, pixel art",
    "a green frog on a pink background",
    "two bananas",
)
"""Of the grid."""
Way = Callable[[Floats], Floats]


def truths(glyphs: GlyphSet, name: str, count: int) -> tuple[Floats, list[str]]:
    """(N, 4, H, W) pictures of a kind, and their captions."""
    side, mix = MIXES[name]
    if side > glyphs.size:
        glyphs = enlarged(glyphs, side)
    source = SceneSource(
        glyphs,
        world=World.load(),
        holdouts=Holdouts.load(),
        size=(side, side),
        seed=SEED,
        mix=mix,
        split="test",
    )
    batch = source.batch(0, count)
    return np.asarray(batch.images, dtype=np.float32), list(batch.captions)


def enlarged(glyphs: GlyphSet, side: int) -> GlyphSet:
    """As `GlyphSet.load` enlarges what is smaller."""
    n = glyphs.size
    rows = [Image.frombytes("RGBa", (n, n), one.transpose(1, 2, 0).tobytes()) for one in glyphs.images]
    large = [np.asarray(one.resize((side, side), Image.Resampling.LANCZOS)) for one in rows]
    stack = np.stack(large).transpose(0, 3, 1, 2)
    return replace(glyphs, images=np.minimum(stack, stack[:, 3:]))


def crops(pictures: Floats) -> Floats:
    """(8 N, 3, 64, 64) windows, the same places for all sets, on light grey."""
    rng, seen = np.random.default_rng(SEED), images.on_background(pictures)
    side = pictures.shape[2] - CROP
    out = []
    for one in seen:
        for y, x in rng.integers(0, side + 1, (CROPS, 2)):
            out.append(one[:, y : y + CROP, x : x + CROP])
    return np.clip(np.stack(out), 0, 1)


def psnr(found: Floats, truth: Floats) -> float:
    """Mean over pictures, in dB, on light grey."""
    error = np.square(images.on_background(found) - images.on_background(truth)).mean(axis=(1, 2, 3))
    return float((-10 * np.log10(np.maximum(error, 1e-10))).mean())


def by_upsampler() -> Way:
    """unCLIP's, in tiles."""
    painter = pictura.load("unclip", device="cpu", num_threads=1)
    return lambda x: np.concatenate(
        [drive(enlarge(painter, one[None], seed=SEED), painter.backend) for one in x]
    )


def by_lanczos(small: Floats) -> Floats:
    """As pictures were enlarged before."""
    return images.resize(small, (FACTOR * small.shape[3], FACTOR * small.shape[2]))


def grid(path: Path) -> None:
    """Above as Lanczos enlarges what the default model paints, below as the enlarger does."""
    painter, enlarger = pictura.load(device="cpu", num_threads=1), open_enlarger()
    painted = [painter.paint(one, num_images=1, seed=1, size=(64, 64))[0].image for one in PROMPTS]
    small = images.from_pil(painted)
    rows = [np.concatenate(list(way(small)), axis=2) for way in (by_lanczos, enlarger)]
    sheet = np.concatenate(rows, axis=1)[None]
    images.to_pil(np.clip(images.on_background(sheet, 1.0), 0, 1))[0].save(path, optimize=True)


def measure(ways: Mapping[str, Way], glyphs: GlyphSet, count: int) -> list[list[str]]:
    """Rows of the table."""
    net, rows = random_net(), []
    autoencoder = FlowParts.from_folder(resolve("default")).autoencoder
    painter = pictura.load(device="cpu", num_threads=1)
    for name in MIXES:
        truth, captions = truths(glyphs, name, count)
        real = net(crops(truth))
        clean = shrunk(torch.from_numpy(truth), "bilinear")
        with torch.no_grad():
            through = autoencoder.decode(autoencoder.encode(clean)).numpy()
        sets = {"clean": clean.numpy(), "autoencoder": through}
        if name == "one":
            made = [painter.paint(one, num_images=1, seed=i, size=(64, 64)) for i, one in enumerate(captions)]
            sets["painted"] = images.from_pil([pictures[0].image for pictures in made])
        for kind, small in sets.items():
            for way, call in ways.items():
                start = time.process_time()
                found = call(small)
                took = (time.process_time() - start) / count
                close = "" if kind == "painted" else f"{psnr(found, truth):.2f}"
                far = f"{frechet_distance(real, net(crops(found))):.3f}"
                rows.append([name, kind, way, close, far, f"{1000 * took:.0f}"])
    return rows


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--glyphs", type=Path, default=Path("../shared/data/glyphs"))
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--grid", type=Path)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.grid:
        grid(args.grid)
    holdouts = Holdouts.load()
    pack = GlyphSet.load(args.glyphs, size=128, cache=args.cache)
    glyphs = pack.select([holdouts.split(one) == "test" for one in pack.ids])
    ways: dict[str, Way] = {"Lanczos": by_lanczos, "upsampler": by_upsampler(), "enlarger": open_enlarger()}
    head = ["truth", "small pictures", "by", "PSNR, dB", "FD-local[random]", "ms a picture"]
    rows = table(head, measure(ways, glyphs, args.pictures))
    text = f"Machine: {machine()}. One thread, {args.pictures} pictures a row; see enlarging.md.\n\n{rows}"
    print(text)
    if args.write:
        write_section("Enlarging", text)


if __name__ == "__main__":
    main()
