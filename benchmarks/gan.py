"""Adversarial families: size, cost and speed of each preset.

    python -m benchmarks.gan [--batch 16] [--steps 20] [--only FAMILY[:PRESET]] [--write]

Parameters and forward GFLOP (multiply and add are two) of one picture: of the generator, reading of the
caption not counted, and of each discriminator, one look and one verdict. Presets of the papers are counted
only, on the meta device; the others also take training steps, `train.gans.adversarial.Adversarial` as it
is, and paint one picture at a time. Seconds are of processor time of one thread, so that other work counts
little.
"""

import argparse
import time
from collections.abc import Callable
from importlib import import_module
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import machine, table, write_section
from pictura.core.types import Batch, Conditioning
from pictura.encode.damsm.config import DamsmConfig
from pictura.encode.damsm.losses import MatchSettings
from pictura.encode.damsm.model import Damsm
from pictura.encode.tokenizer import Tokenizer
from pictura.train.distributed import Process
from pictura.train.gans.adversarial import Adversarial
from pictura.train.gans.gan import FAMILIES, GanModule, GanTask
from pictura.train.materials import Captions, Materials
from pictura.train.recipe import Recipe, from_table

NAMES = ("stackgan", "attngan", "dfgan")
CAPTIONS = tuple(f"a {colour} {thing}" for colour in ("red", "green", "blue") for thing in ("fox", "car"))
MATCH = {"attngan": 5.0}
"""Weight of the DAMSM's losses in a training step, as in the recipes."""
TOKENS = 16
WARM_UP = 3


class Noise:
    """Batches of noise with captions (`BatchSource`)."""

    def __init__(self, channels: int, side: int) -> None:
        self.shape = (channels, side, side)

    def batch(self, position: int, size: int) -> Batch:
        """See `BatchSource`."""
        images = np.random.default_rng(position).random((size, *self.shape), dtype=np.float32)
        captions = tuple(CAPTIONS[i % len(CAPTIONS)] for i in range(size))
        return Batch(images=torch.from_numpy(images), captions=captions)


def gflop(call: Callable[[], object]) -> float:
    """Of one call."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def count(family: str, preset: str) -> tuple[list[str], Any]:
    """Cells of parameters and cost, and the preset's config."""
    made = FAMILIES.get(family)
    config = made.config(**made.preset(preset))
    with torch.device("meta"):
        generator: Any = made.generator(config).eval()
        judges: Any = made.discriminators(config).eval()
        mask = torch.ones(1, TOKENS, dtype=torch.bool)
        cond = Conditioning(
            tokens=torch.rand(1, TOKENS, config.text_width),
            mask=mask,
            sentence=torch.rand(1, config.text_width),
        )
        noise = torch.rand(1, generator.noise_size)
        cost = gflop(lambda: generator(noise, cond))
        told = generator(noise, cond).told
        looks = []
        for judge, side in zip(judges, generator.sizes, strict=True):
            image = torch.rand(1, config.image_channels, side, side)
            looks.append(gflop(lambda j=judge, x=image: j.judge(j.features(x), told)))  # type: ignore[misc]
    cells = [
        f"{family} `{preset}`",
        ", ".join(map(str, generator.sizes)),
        _millions(generator),
        f"{cost:.2f}",
        " + ".join(_millions(judge) for judge in judges),
        " + ".join(f"{look:.2f}" for look in looks),
    ]
    return cells, config


def _millions(module: torch.nn.Module) -> str:
    return f"{sum(weight.numel() for weight in module.parameters() if weight.requires_grad) / 1e6:.2f}"


def measure(family: str, preset: str, config: Any, batch: int, steps: int) -> list[str]:
    """Training pictures a second, and pictures painted a second."""
    made = FAMILIES.get(family)
    generator: Any = made.generator(config)
    side = generator.sizes[-1]
    tokenizer = Tokenizer.train(CAPTIONS, vocab_size=300, max_tokens=TOKENS)
    matcher = Damsm(DamsmConfig(vocab_size=tokenizer.vocab_size, width=config.text_width))
    matcher.requires_grad_(False).eval()
    module = GanModule(generator, made.discriminators(config), matcher, MatchSettings.of(config.fidelity))
    device = torch.device("cpu")
    task = GanTask(module, matcher, tokenizer, device=device)
    settings = {
        "task": family,
        "name": "measure",
        "training": {"batch_size": batch, "max_grad_norm": float("inf")},
        "adversarial": {"match_weight": MATCH.get(family, 0.0)},
    }
    recipe = from_table(Recipe, settings, "measure")
    source = Noise(config.image_channels, side)
    materials = Materials(train=source, validation=source, captions=Captions(lambda: CAPTIONS))
    stepper = Adversarial(recipe, task, materials, Process(rank=0, num_processes=1, device=device))
    learning = _seconds(lambda number: stepper.step(number, 0.0), steps)

    generator.eval()
    cond = task.read(CAPTIONS[:1])
    noise = torch.randn(1, generator.noise_size)
    with torch.inference_mode():
        painting = _seconds(lambda number: generator(noise, cond), 5 * steps)
    return [f"{batch / learning:.1f}", f"{1 / painting:.0f}"]


def _seconds(call: Callable[[int], object], repeats: int) -> float:
    """Processor seconds of the middle call, after a warm-up."""
    times = []
    for number in range(WARM_UP + repeats):
        start = time.process_time()
        call(number)
        times.append(time.process_time() - start)
    return median(times[WARM_UP:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", default="", help="a family, or family:preset")
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    args = parser.parse_args()
    torch.set_num_threads(1)

    start, rows = time.perf_counter(), []
    for family in NAMES:
        presets = import_module(f"pictura.families.{family}.presets").PRESETS
        for preset in presets:
            if preset == "micro" or not f"{family}:{preset}".startswith(args.only):
                continue
            cells, config = count(family, preset)
            small = not preset.startswith("paper")
            rows.append(
                [*cells, *(measure(family, preset, config, args.batch, args.steps) if small else ["", ""])]
            )
    head = [
        "preset",
        "sides",
        "M, generator",
        "GFLOP",
        "M, discriminators",
        "GFLOP",
        "trained/s",
        "painted/s",
    ]
    text = (
        f"`python -m benchmarks.gan --batch {args.batch}`, {time.perf_counter() - start:.0f} s. "
        f"Machine: {machine()}, 1 thread. M: million trained parameters; GFLOP: one picture, forward, "
        f"multiply and add counted as two, {TOKENS} tokens; a discriminator looks once and says one verdict. "
        f"Trained: pictures a processor second of whole steps of {args.batch}, both updates, captions read, "
        f"with the DAMSM's losses for attngan. Painted: one at a time, on torch, the caption read before.\n\n"
        f"{table(head, rows)}"
    )
    print(text)
    if args.write:
        write_section("Adversarial families", text)


if __name__ == "__main__":
    main()
