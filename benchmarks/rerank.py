"""What choosing among candidates is worth: the best of 1, 8, 32 and 128 by `clip-guide`, scored by others.

    python -m benchmarks.rerank [--model dalle] [--pools 1 8 32 128] [--limit 60] [--write]

The curve of Ramesh et al. 2021, DALL-E (arXiv:2102.12092), figure 9c, at our scale. For each prompt the
largest pool is painted once; the best of the first K by clip-guide is scored by clip-score and judge B.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.report import machine, table, write_section
from pictura import load
from pictura.core import images
from pictura.evaluate.benchmark import Prompt, load_benchmark
from pictura.evaluate.metrics.bootstrap import Interval, mean_interval
from pictura.evaluate.metrics.retrieval import local_clip_scores, r_precision_hits
from pictura.evaluate.shipped import load_scorers
from pictura.pipeline import Painter
from pictura.runtime.rerank import rank

PLOT = Path(__file__).resolve().parents[1] / "docs" / "families" / "rerank.png"
Rows = list[tuple[int, list[Interval]]]
"""Pool size, and the interval of each of `NAMES`."""
_AT_ONCE = 64
NAMES = ("LocalCLIPScore", "R-precision", "judge B")


def candidates(painter: Painter, prompt: str, num: int) -> list[Image.Image]:
    """The first `num` pictures of seed 0, at the size that the model paints."""
    h, w = painter.model.grids[0]
    size = (w * painter.model.factor, h * painter.model.factor)
    parts = [
        painter.paint(prompt, num_images=min(_AT_ONCE, num - first), first=first, seed=0, size=size)
        for first in range(0, num, _AT_ONCE)
    ]
    return [picture.image for part in parts for picture in part]


def chosen(painter: Painter, prompts: list[Prompt], pools: Sequence[int]) -> list[list[Image.Image]]:
    """For each pool size, the picture that clip-guide likes best of each prompt."""
    best: list[list[Image.Image]] = [[] for _ in pools]
    for number, prompt in enumerate(prompts, start=1):
        pictures = candidates(painter, prompt.text, max(pools))
        scores = np.array(rank(pictures, prompt.text, keep=1).scores)
        for row, pool in zip(best, pools, strict=True):
            row.append(pictures[int(scores[:pool].argmax())])
        print(f"{number} of {len(prompts)} prompts", end="\r", flush=True)
    return best


def scores_of(pictures: list[Image.Image], prompts: list[Prompt]) -> list[np.ndarray]:
    """(prompts,) of each of `NAMES`."""
    scorers = load_scorers("cpu")
    assert scorers.clip is not None
    arrays = np.clip(images.on_background(images.from_pil(pictures)), 0, 1)
    image_ND = scorers.clip(arrays, prompts)["image"]
    captions = [prompt.text for prompt in prompts]
    text_ND = scorers.clip.clip.embed_text(captions)
    others = sorted({prompt.text for prompt in load_benchmark("glyphbench").prompts} - set(captions))
    all_ND = np.concatenate([text_ND, scorers.clip.clip.embed_text(others)])
    padded = np.concatenate([image_ND, np.tile(image_ND[:1], (len(others), 1))])
    hits = r_precision_hits(padded, all_ND, np.random.default_rng(0), captions=[*captions, *others])
    verdicts = scorers.judges[-1](arrays, prompts)["accepts"].astype(np.float64)
    return [local_clip_scores(image_ND, text_ND), hits[: len(captions)], verdicts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="dalle")
    parser.add_argument("--pools", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--write", action="store_true", help="write docs/families/rerank.png and a table")
    args = parser.parse_args()
    start = time.perf_counter()
    painter = load(args.model, device="cpu")
    prompts = list(load_benchmark("glyphbench", limit=args.limit).prompts)
    rows: Rows = []
    for pool, pictures in zip(args.pools, chosen(painter, prompts, args.pools), strict=True):
        rng, labels = np.random.default_rng(0), range(len(prompts))
        rows.append((pool, [mean_interval(one, labels, rng) for one in scores_of(pictures, prompts)]))
    seconds = time.perf_counter() - start
    text = (
        f"`python -m benchmarks.rerank --model {args.model} --pools {' '.join(map(str, args.pools))} "
        f"--limit {args.limit}`, {seconds:.0f} s. Model `{args.model}`, "
        f"{len(prompts)} prompts of GlyphBench, evenly over its tasks, seed 0. Machine: {machine()}. "
        "`clip-guide` chooses; `clip-score` and judge B score. Brackets hold 95 % of bootstrap draws of "
        "prompts.\n\n"
        + table(
            ["best of", *NAMES],
            [[pool, *(f"{t.value:.3f} [{t.low:.3f}, {t.high:.3f}]" for t in told)] for pool, told in rows],
        )
    )
    print(text)
    if args.write:
        write_section("Choosing among candidates", text)
        plot(rows, args.model)


def plot(rows: Rows, model: str) -> None:
    """One curve for each score, with intervals."""
    pools = [pool for pool, _ in rows]
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    axes = figure.subplots(1, len(NAMES))
    for axis, name, i in zip(axes, NAMES, range(len(NAMES)), strict=True):
        values = np.array([[told[i].value, told[i].low, told[i].high] for _, told in rows])
        axis.errorbar(
            pools,
            values[:, 0],
            yerr=np.abs(values[:, 1:].T - values[:, 0]),
            marker="o",
            capsize=3,
        )
        axis.set_xscale("log", base=2)
        axis.set_xticks(pools, [str(pool) for pool in pools])
        axis.set_xlabel("candidates")
        axis.set_title(name)
        axis.grid(alpha=0.3)
    figure.suptitle(f"{model}: the best of K by clip-guide, scored by nets that did not choose")
    figure.savefig(PLOT, dpi=90)


if __name__ == "__main__":
    main()
