"""How well CLIPs tell captions apart, on scenes of test glyphs, which nobody ever learns from.

    python -m benchmarks.clip NAME=FOLDER [NAME=FOLDER …] [--each 200] [--json FILE]

Two tables. R-precision: how often a picture's own caption comes first among itself and 99 others, drawn from
scenes of every kind, or of its own kind. Pairs: how often it comes before a caption that is wrong in one
respect alone, where a guess is right half of the time. Speed is of one thread.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.report import machine, table
from pictura.core.images import on_background
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes.contrast import ASPECTS, Contrast
from pictura.data.scenes.source import Scene, SceneMix, SceneSource
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.world import World
from pictura.encode.clip.load import ClipModel
from pictura.evaluate.metrics.retrieval import local_clip_score, r_precision_hits, shuffled

KINDS = (*SceneMix.__slots__, "other")
SEED = 77


def draw(pack: Path, cache: Path | None, each: int) -> tuple[list[Scene], NDArray[np.float32]]:
    """`each` scenes of every kind, of test glyphs, and their pictures."""
    source = SceneSource(
        GlyphSet.load(pack, size=128, cache=cache),
        world=World.load(),
        holdouts=Holdouts.load().without_compositions(),
        size=(64, 64),
        seed=SEED,
        mix=SceneMix(**dict.fromkeys(SceneMix.__slots__, 1.0)),
        split="test",
        other=1 / len(KINDS),
    )
    found: dict[str, list[Scene]] = defaultdict(list)
    for position in range(10_000):
        for scene in source.scenes(position, 64):
            if len(found[scene.kind]) < each:
                found[scene.kind].append(scene)
        if len(found) == len(KINDS) and all(len(scenes) == each for scenes in found.values()):
            break
    scenes = [scene for kind in KINDS for scene in found[kind]]
    return scenes, np.asarray(on_background(source.paint(scenes)), dtype=np.float32)


def percent(values: Any) -> float:
    return round(100 * float(np.mean(values)), 1)


def measure(model: ClipModel, scenes: list[Scene], images: NDArray[np.float32]) -> dict[str, Any]:
    """The numbers of one CLIP, in percent."""
    captions = [scene.caption for scene in scenes]
    image_ND, text_ND = model.embed_images(images), model.embed_text(captions)
    kind_N = np.array([scene.kind for scene in scenes])
    hits = r_precision_hits(image_ND, text_ND, np.random.default_rng(SEED), captions=captions)
    among_all = {"every kind": percent(hits)} | {kind: percent(hits[kind_N == kind]) for kind in KINDS}
    among_own = {}
    for kind in KINDS:
        rows = np.flatnonzero(kind_N == kind)
        among_own[kind] = percent(
            r_precision_hits(
                image_ND[rows],
                text_ND[rows],
                np.random.default_rng(SEED),
                captions=[captions[i] for i in rows],
            )
        )
    pairs, counts = {}, {}
    contrast = Contrast(World.load())
    for aspect in ASPECTS:
        rng = np.random.default_rng(SEED)
        wrong = [(i, contrast.wrong_in(aspect, scene, rng)) for i, scene in enumerate(scenes)]
        rows = np.array([i for i, caption in wrong if caption])
        wrong_ND = model.embed_text([caption for _, caption in wrong if caption])
        lead = ((text_ND[rows] - wrong_ND) * image_ND[rows]).sum(axis=1)
        pairs[aspect], counts[aspect] = percent(lead > 0), len(rows)
    order = shuffled(captions, np.random.default_rng(SEED))
    return {
        "r_precision": among_all,
        "r_precision_own_kind": among_own,
        "pairs": pairs,
        "pairs_n": counts,
        "local_clip_score": round(local_clip_score(image_ND, text_ND), 3),
        "local_clip_score_shuffled": round(local_clip_score(image_ND, text_ND[order]), 3),
    }


def pictures_per_second(model: ClipModel, images: NDArray[np.float32]) -> float:
    """Of CPU time, the best of three."""
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        model.embed_images(images[:256])
        best = max(best, len(images[:256]) / (time.process_time() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--each", type=int, default=200, help="scenes of each kind")
    parser.add_argument("--pack", type=Path, default=Path(__file__).parents[2] / "shared/data/glyphs")
    parser.add_argument("--cache", type=Path, help="folder in which the resized pack is kept")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scenes, images = draw(options.pack, options.cache, options.each)
    models = {name: ClipModel.load(folder) for name, _, folder in (m.partition("=") for m in options.models)}
    found = {name: measure(model, scenes, images) for name, model in models.items()}
    names = list(found)
    print(f"{machine()}. {len(scenes)} scenes of test glyphs, {options.each} of each kind.\n")
    rows = [
        [kind, *(f"{found[n]['r_precision'][kind]:.1f}" for n in names)]
        + [found[n]["r_precision_own_kind"].get(kind, "") for n in names]
        for kind in ("every kind", *KINDS)
    ]
    head = ["R-precision, %", *names, *(f"{name}, among its kind" for name in names)]
    print(table(head, rows), "\n")
    rows = [
        [aspect, found[names[0]]["pairs_n"][aspect], *(f"{found[n]['pairs'][aspect]:.1f}" for n in names)]
        for aspect in ASPECTS
    ]
    print(table(["wrong in, %", "pairs", *names], rows), "\n")
    for name, model in models.items():
        scores = found[name]
        found[name] = {**scores, "hash": model.hash[:12]}
        print(
            f"{name}[{model.hash[:12]}]: LocalCLIPScore {scores['local_clip_score']}, shuffled "
            f"{scores['local_clip_score_shuffled']}; {pictures_per_second(model, images):.0f} pictures/s."
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
