"""Painting speed: pictures a second on ONNX Runtime and on eager torch, cold start, memory.

    python -m benchmarks.paint [--model default] [--write]

Both paint the same four pictures with the same weights, in turns, in one process; the best turn counts.
Cold start is a whole `pictura imagine` in a fresh process without torch, its peak memory beside it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import torch

from benchmarks.report import machine, table, write_section
from pictura.pipeline import Painter
from pictura.runtime.open import TORCH_BACKENDS, open_on_cpu
from pictura.store.models import ModelInfo, resolve

PROMPT = "a red apple"
NUM_IMAGES = 4


def cold_start(model: str, num_images: int) -> tuple[float, float]:
    """Seconds and peak MB of a fresh `pictura imagine`."""
    with tempfile.TemporaryDirectory() as out:
        code = "from pictura.cli import main; main()"
        options = ["--model", model, "--n", str(num_images), "--seed", "1", "--out", out]
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", code, "imagine", PROMPT, *options], stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`pictura imagine` ended with {process.returncode}.")
    return seconds, usage.ru_maxrss / 1024


def seconds_to_paint(model: ModelInfo, backends: dict[str, Any], turns: int) -> dict[str, float]:
    """Best seconds of `turns` turns per backend, all painting the same pictures."""
    painters = {name: Painter(model, backend) for name, backend in backends.items()}
    best = dict.fromkeys(painters, float("inf"))
    for turn in range(turns + 1):
        for name, painter in painters.items():
            start = time.perf_counter()
            painter.paint(PROMPT, num_images=NUM_IMAGES, seed=1)
            if turn:  # the first only warms up
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def build_backends(model: ModelInfo) -> dict[str, Any]:
    """ONNX Runtime, and torch on every device that is here."""
    onnx: Any = open_on_cpu(model)
    torch.set_num_threads(onnx.num_threads)
    on_torch = TORCH_BACKENDS.get(model.family)
    backends = {
        f"ONNX Runtime, {onnx.num_threads} threads": onnx,
        "torch eager, cpu": on_torch(model, device="cpu"),
    }
    if torch.cuda.is_available():
        backends[f"torch {'fp32' if model.one_pass else 'bf16'}, cuda"] = on_torch(model, device="cuda")
    return backends


def way(model: ModelInfo) -> str:
    """How it paints, in words."""
    if model.one_pass:
        return "in one pass"
    sampling = model.sampling
    return (
        f"{sampling.num_steps} steps of {sampling.solver}, guidance {sampling.guidance_scale} within "
        f"{sampling.guidance_interval}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    args = parser.parse_args()

    cold = {num: cold_start(args.model, num) for num in (1, NUM_IMAGES)}
    model = resolve(args.model)
    best = seconds_to_paint(model, build_backends(model), args.turns)
    reference = next(iter(best.values()))
    rows = [
        [name, f"{NUM_IMAGES / seconds:.3g}", f"{seconds:.3g}", f"{reference / seconds:.2f}x"]
        for name, seconds in best.items()
    ]
    text = (
        f"`python -m benchmarks.paint`. Model `{model.name}`, {model.size_mb} MB, {way(model)}.\n"
        f"Machine: {machine()}.\n\n"
        + table(["backend", "pictures/s", f"s for {NUM_IMAGES}", "speed"], rows)
        + "\n\n"
        + table(
            ["fresh `pictura imagine`, no torch", "s", "peak MB"],
            [[f"--n {num}", f"{seconds:.2f}", f"{mb:.0f}"] for num, (seconds, mb) in cold.items()],
        )
    )
    print(text)
    if args.write:
        write_section(f"Painting with {model.family}" if model.one_pass else "Painting", text)


if __name__ == "__main__":
    main()
