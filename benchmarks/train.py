"""Training speed: pictures a second and FLOP/s of one whole step, against the machine's matmul peak.

    python -m benchmarks.train [--presets xxs,xs] [--batch 16] [--device cpu] [--write]

A step is text tower, network, velocity loss, backward and optimiser, on random latents of 8 x 8 tokens and
captions of 16 tokens. FLOP are counted by torch (multiply and add are two), without the optimiser.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import best_seconds, machine, matmul_peak, table, write_section
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig
from pictura.families.flow.model import FlowConfig, FlowTransformer
from pictura.families.flow.presets import get_preset
from pictura.train.optim import make_optimizers
from pictura.train.recipe import TrainingSettings
from pictura.train.tasks.flow import FlowStep


def make_step(preset: str, batch: int, device: str) -> tuple[Callable[[], None], Callable[[], None], int]:
    """One training step of `preset`: (without optimiser, with optimiser, number of parameters)."""
    found = get_preset(preset)
    network = FlowTransformer(FlowConfig(**found.network))
    module = FlowStep(network, TextEncoder(TextEncoderConfig(**found.text_encoder))).to(device)
    optimizers = make_optimizers(module, TrainingSettings())
    x_0 = torch.randn(batch, network.config.latent_channels, 8, 8, device=device)
    token_ids = torch.randint(2, 100, (batch, 16), device=device)
    mask = torch.ones(batch, 16, dtype=torch.bool, device=device)

    def backward() -> None:
        noise, t = torch.randn_like(x_0), torch.rand(batch, device=device)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = module(x_0, noise, t, token_ids, mask).mean()
        loss.backward()

    def step() -> None:
        backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if device == "cuda":
            torch.cuda.synchronize()

    return backward, step, sum(p.numel() for p in module.parameters())


def measure(preset: str, batch: int, device: str, peak: float) -> list[str]:
    """One row of the table."""
    backward, step, num_parameters = make_step(preset, batch, device)
    step()
    with FlopCounterMode(display=False) as counter:
        backward()
    flop = counter.get_total_flops()
    seconds = best_seconds(step, budget_s=8.0)
    rate = flop / seconds
    return [
        preset.upper(),
        f"{num_parameters / 1e6:.1f}",
        str(batch),
        f"{flop / batch / 1e9:.2f}",
        f"{batch / seconds:.1f}",
        f"{rate / 1e9:.0f}",
        f"{rate / peak:.0%}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--presets", default="xxs,xs")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    args = parser.parse_args()

    start = time.perf_counter()
    peak = matmul_peak(args.device)
    rows = [measure(preset, args.batch, args.device, peak) for preset in args.presets.split(",")]
    head = ["preset", "M parameters", "batch", "GFLOP per picture", "pictures/s", "GFLOP/s", "of matmul peak"]
    where = machine() if args.device == "cpu" else f"{torch.cuda.get_device_name()}; {machine()}"
    text = (
        f"`python -m benchmarks.train --batch {args.batch} --device {args.device}`, "
        f"{time.perf_counter() - start:.0f} s. Machine: {where}, {torch.get_num_threads()} threads. "
        f"Its float32 matmul peak, measured: {peak / 1e9:.0f} GFLOP/s.\n\n{table(head, rows)}"
    )
    print(text)
    if args.write:
        write_section(f"Training step ({args.device})", text)


if __name__ == "__main__":
    main()
