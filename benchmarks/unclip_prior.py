"""What a prior is worth: the decoder told the prior's vector, the text's vector in its place, or words alone.

    python -m benchmarks.unclip_prior [--model unclip] [--limit 180] [--write]

The ablation of Ramesh et al. 2022 (arXiv:2204.06125), section 5.1, at our scale: one picture of each prompt,
the same noise in all three rows, scored by networks that had no part in it (clip-guide had).
"""

import argparse
import time

import numpy as np

from benchmarks.report import machine, table, write_section
from benchmarks.rerank import NAMES, scores_of
from pictura import load
from pictura.encode.clip.config import SIZE
from pictura.evaluate.benchmark import load_benchmark
from pictura.evaluate.metrics.bootstrap import mean_interval
from pictura.sample.imagining import VECTORS

TOLD = {"prior": "the prior's vector", "text": "the text's vector in its place", "none": "words alone"}


def main() -> None:
    """Measure and print, or write docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="unclip")
    parser.add_argument("--limit", type=int, default=180)
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    args = parser.parse_args()
    start = time.perf_counter()
    painter = load(args.model, device="cpu", num_threads=1)
    prompts = list(load_benchmark("glyphbench", limit=args.limit).prompts)
    rows = []
    for vector in VECTORS:
        pictures = [
            painter.paint(prompt.text, num_images=1, seed=0, size=(SIZE, SIZE), vector=vector)[0].image
            for prompt in prompts
        ]
        rng, labels = np.random.default_rng(0), range(len(prompts))
        told = [mean_interval(one, labels, rng) for one in scores_of(pictures, prompts)]
        rows.append([TOLD[vector], *(f"{t.value:.3f} [{t.low:.3f}, {t.high:.3f}]" for t in told)])
    text = (
        f"`python -m benchmarks.unclip_prior --limit {args.limit}`, {time.perf_counter() - start:.0f} s. "
        f"{len(prompts)} prompts of GlyphBench, evenly over its tasks, seed 0. Machine: {machine()}. "
        "Brackets hold 95 % of bootstrap draws of prompts.\n\n" + table(["the decoder is told", *NAMES], rows)
    )
    print(text)
    if args.write:
        write_section("What unCLIP's prior is worth", text)


if __name__ == "__main__":
    main()
