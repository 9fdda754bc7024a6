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
from collections.abc import Callable

import torch

from benchmarks.report import machine, table, write_section
from pictura.core.types import Backend
from pictura.families.flow.backend import TorchBackend
from pictura.pipeline import Painter
from pictura.runtime.onnx_backend import OnnxBackend
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


def seconds_to_paint(model: ModelInfo, backends: dict[str, Backend], turns: int) -> dict[str, float]:
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


def build_backends(model: ModelInfo) -> dict[str, Backend]:
    """ONNX Runtime, and torch on every device that is here."""
    onnx = OnnxBackend(model)
    torch.set_num_threads(onnx.num_threads)
    made: dict[str, Callable[[], Backend]] = {"torch eager, cpu": lambda: TorchBackend(model, device="cpu")}
    if torch.cuda.is_available():
        made["torch bf16, cuda"] = lambda: TorchBackend(model, device="cuda")
    return {
        f"ONNX Runtime, {onnx.num_threads} threads": onnx,
        **{name: make() for name, make in made.items()},
    }


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
        [name, f"{NUM_IMAGES / seconds:.2f}", f"{seconds:.2f}", f"{reference / seconds:.2f}x"]
        for name, seconds in best.items()
    ]
    sampling = model.sampling
    text = (
        f"`python -m benchmarks.paint`. Model `{model.name}`, {model.size_mb} MB, {sampling.num_steps} steps "
        f"of {sampling.solver}, guidance {sampling.guidance_scale} within {sampling.guidance_interval}.\n"
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
        write_section("Painting", text)


if __name__ == "__main__":
    main()
