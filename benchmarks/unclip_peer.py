"""Our prior and decoder beside those of `dalle2-pytorch`: the same pictures, sizes, batch and minutes.

    pip install dalle2-pytorch                                    # see below
    python -m benchmarks.unclip_peer make --cache FOLDER          # pictures and what clip-guide makes of them
    python -m benchmarks.unclip_peer speed --cache FOLDER [--write]
    python -m benchmarks.unclip_peer learn --cache FOLDER --out FOLDER --part prior --side ours --minutes 20
    python -m benchmarks.unclip_peer show --out FOLDER [--write]

Both sides read one cached set: scenes of 64 pixels as recipes/unclip-prior.toml mixes them, clip-guide's
vectors of them and of their captions, and its features of words. `speed` takes whole training steps in turns:
forward, backward, optimiser, moving average. `learn` trains one network for some minutes and scores it on
pictures that nobody was trained on; a peer's learning rate is the best of three, each tried for a tenth of
the minutes, which do not count. Minutes and speed are of processor time of one thread, since a machine is
seldom quiet.

    prior     cosine of a sampled embedding with that of the true picture and with the text's, and the Frechet
              distance of all sampled ones from all true ones: cosines alone are best for who says the mean
    decoder   pictures are painted from the vectors of true ones. clip-score, which nobody was trained with,
              looks at both: their cosine, and the Frechet distance of its vectors. Also PSNR

`dalle2-pytorch` asks for torch and torchvision. To keep the torch that is here, `pip install -c` a file that
says `torch==` its version.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import machine, table, write_section
from benchmarks.unclip_learners import PARTS, RECIPES, Cached, Learner
from pictura.core.images import on_background
from pictura.encode.clip.load import ClipModel
from pictura.evaluate.judges import NETS
from pictura.evaluate.metrics.frechet import frechet_distance
from pictura.train.materials import load_materials
from pictura.train.recipe import load_recipe
from pictura.train.unclips.frozen_clip import FrozenClip

VALIDATION, FEW = 512, 128
"""Pictures that a side is scored on, in the end and where a rate is chosen."""
BATCH = {"prior": 128, "decoder": 16}
"""As in our recipes."""
RATES = (3e-4, 1e-3, 3e-3)
"""Tried for the peers, whose trainers have 3e-4 and 1e-4 unless told otherwise."""
STEPS, SEED = 16, 7
FIRST = 4096
"""Pictures that our networks measure scales on."""


def make(cache: Path, count: int) -> None:
    """Draw the set and write it, an array a file."""
    recipe = load_recipe(RECIPES / "unclip-prior.toml")
    materials = load_materials(recipe, RECIPES, torch.device("cpu"))
    clip = FrozenClip.load(recipe.model.clip_model, RECIPES, torch.device("cpu"))
    for name, source, num in (
        ("train", materials.train, count),
        ("validation", materials.validation, VALIDATION),
    ):
        parts: dict[str, list[torch.Tensor]] = {field: [] for field in Cached.__dataclass_fields__}
        for position in range(num // 128):
            batch = source.batch(position, 128)
            images = torch.as_tensor(batch.images)
            tokens, mask, sentence = clip.read(batch.captions)
            parts["images"].append((images * 255).round().to(torch.uint8))
            parts["z"].append(clip.see(images))
            parts["sentence"].append(sentence)
            parts["tokens"].append((tokens * mask[..., None]).half())
            parts["mask"].append(mask)
        (cache / name).mkdir(parents=True, exist_ok=True)
        for field, rows in parts.items():
            np.save(cache / name / f"{field}.npy", _joined(rows).numpy())


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """Batches one behind the other; texts are filled up to the longest."""
    longest = max(part.shape[1] for part in parts)
    return torch.cat([_filled(part, longest) for part in parts])


def _filled(part: torch.Tensor, length: int) -> torch.Tensor:
    more = length - part.shape[1]
    return part if not more else F.pad(part, (*(0, 0) * (part.ndim - 2), 0, more))


def load(cache: Path, name: str) -> Cached:
    """A written set; the files stay on disk until rows are read."""
    if not (cache / name / "mask.npy").exists():
        raise SystemExit(f"There is no set in {cache}. Draw one: python -m benchmarks.unclip_peer make")
    arrays = {
        field: np.load(cache / name / f"{field}.npy", mmap_mode="c") for field in Cached.__dataclass_fields__
    }
    return Cached(**{field: torch.from_numpy(array) for field, array in arrays.items()})


def built(part: str, side: str, train: Cached, *, bf16: bool, rate: float, num_steps: int) -> Learner:
    """A learner that knows nothing yet."""
    torch.manual_seed(SEED)
    more: dict[str, Any] = {} if side == "ours" else {"rate": rate, "num_steps": num_steps}
    return PARTS[part][side](train.rows(slice(0, FIRST)), bf16=bf16, **more)


def batches(train: Cached, size: int, seed: int) -> Any:
    """Endless batches: the set again and again, each time in another order."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(train.z))
        for start in range(0, len(order) - size + 1, size):
            yield train.rows(np.sort(order[start : start + size]))


def speed(cache: Path, *, turns: int, bf16: bool) -> list[list[str]]:
    """Rows of the table: what a step of each costs."""
    train, rows = load(cache, "train"), []
    for part, sides in PARTS.items():
        learners = {side: built(part, side, train, bf16=bf16, rate=1e-3, num_steps=1000) for side in sides}
        source, size = batches(train, BATCH[part], SEED), BATCH[part]
        gflop = {}
        for side, learner in learners.items():
            with FlopCounterMode(display=False) as counter:
                learner.step(next(source), 0.0)
            gflop[side] = counter.get_total_flops() / size / 1e9
        times: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(turns):
            for side, learner in learners.items():
                batch = next(source)
                start = time.process_time()
                learner.step(batch, 0.0)
                times[side].append(time.process_time() - start)
        rate = {side: size / statistics.median(row) for side, row in times.items()}
        for side, learner in learners.items():
            millions = sum(weight.numel() for weight in learner.network.parameters()) / 1e6
            ahead = "" if side == "ours" else f"{rate['ours'] / rate[side]:.1f}x"
            rows.append(
                [part, side, f"{millions:.2f}", str(size), f"{gflop[side]:.2f}", f"{rate[side]:.0f}", ahead]
            )
            print(rows[-1], flush=True)
    return rows


def trained(
    part: str, side: str, train: Cached, *, minutes: float, bf16: bool, rate: float
) -> tuple[Learner, int, list[float]]:
    """A learner after some minutes of processor time; its steps, and its loss in each tenth of them."""
    source = batches(train, BATCH[part], SEED)
    probe = built(part, side, train, bf16=bf16, rate=rate, num_steps=1000)
    took = []
    for _ in range(4):
        batch, start = next(source), time.process_time()
        probe.step(batch, 0.0)
        took.append(time.process_time() - start)
    learner = built(
        part, side, train, bf16=bf16, rate=rate, num_steps=max(1, round(60 * minutes / min(took)))
    )
    losses: list[list[float]] = [[] for _ in range(10)]
    started, num_steps = time.process_time(), 0
    while (progress := (time.process_time() - started) / (60 * minutes)) < 1:
        losses[int(10 * progress)].append(learner.step(next(source), progress))
        num_steps += 1
    return learner, num_steps, [statistics.fmean(row) for row in losses if row]


def score(part: str, learner: Learner, validation: Cached, guidance_scale: float) -> dict[str, float]:
    """Numbers about what it samples for pictures that it was not trained on."""
    sampled = learner.sample(validation, STEPS, guidance_scale, SEED)
    if part == "prior":
        return {
            "cosine with the true embedding": float((sampled * validation.z).sum(dim=1).mean()),
            "dot with the text": float((sampled * validation.sentence).sum(dim=1).mean()),
            "Frechet distance": frechet_distance(validation.z.numpy(), sampled.numpy()),
        }
    true = validation.pictures(sampled.shape[2]) / 2 + 0.5
    clip = ClipModel.load(NETS / "clip-score")
    seen = [clip.embed_images(_for_clip(images)) for images in (true, sampled)]
    error = (true - sampled).square().mean(dim=(1, 2, 3))
    return {
        "cosine of clip-score": float((seen[0] * seen[1]).sum(axis=1).mean()),
        "Frechet distance": frechet_distance(*seen),
        "PSNR, dB": float((-10 * error.log10()).mean()),
    }


def _for_clip(images: torch.Tensor) -> Any:
    large = F.interpolate(on_background(images), size=64, mode="bilinear", antialias=True)
    return large.clamp(0, 1).contiguous().numpy()


def learn(args: argparse.Namespace) -> None:
    """Train one side and write its numbers."""
    train, validation = load(args.cache, "train"), load(args.cache, "validation").rows(slice(None))
    rate: float = 0.0 if args.side == "ours" else args.rate
    tried: dict[float, dict[str, float]] = {}
    if args.side != "ours" and not rate:
        for one in RATES:
            learner, *_ = trained(
                args.part, args.side, train, minutes=args.minutes / 10, bf16=args.bf16, rate=one
            )
            tried[one] = score(args.part, learner, validation.rows(slice(0, FEW)), 1.0)
        rate = max(RATES, key=lambda one: np.nan_to_num(next(iter(tried[one].values())), nan=-1.0))
    learner, num_steps, losses = trained(
        args.part, args.side, train, minutes=args.minutes, bf16=args.bf16, rate=rate
    )
    found = {
        "part": args.part,
        "side": args.side,
        "minutes": args.minutes,
        "bf16": args.bf16,
        "rate": rate,
        "tried": {str(one): numbers for one, numbers in tried.items()},
        "steps": num_steps,
        "pictures": num_steps * BATCH[args.part],
        "losses": losses,
        "scores": {str(scale): score(args.part, learner, validation, scale) for scale in args.guidance},
        "machine": machine(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / f"{args.part}-{args.side}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def show(out: Path) -> str:
    """A table for each part of what `learn` wrote."""
    texts = [
        "`OMP_NUM_THREADS=1 python -m benchmarks.unclip_peer learn`. Minutes are of one processor thread, "
        "the same pictures; a peer's learning rate is the best of three, whose trials do not count. Both "
        f"sides sample in {STEPS} steps, the peer by DDIM; more were not tried. Scores of {VALIDATION} "
        "pictures that nobody was trained on."
    ]
    for part in PARTS:
        found = [json.loads(path.read_text()) for path in sorted(out.glob(f"{part}-*.json"))]
        if not found:
            continue
        numbers = list(next(iter(found[0]["scores"].values())))
        rows = [
            [
                one["side"],
                f"{one['minutes']:g}",
                f"{one['pictures']:,}",
                f"{one['rate']:g}" if one["rate"] else "as the recipe",
                scale,
                *(f"{values[name]:.4f}" for name in numbers),
            ]
            for one in found
            for scale, values in one["scores"].items()
        ]
        head = [part, "minutes", "pictures", "learning rate", "guidance", *numbers]
        texts.append(f"{table(head, rows)}\n\nMachine: {found[0]['machine']}.")
    return "\n\n".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("make", "speed", "learn", "show"))
    parser.add_argument("--cache", type=Path, default=Path("runs/unclip-peer"))
    parser.add_argument("--out", type=Path, default=Path("runs/unclip-peer/results"))
    parser.add_argument("--pictures", type=int, default=32_768, help="of the training set")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--part", choices=PARTS, default="prior")
    parser.add_argument("--side", choices=sorted({side for sides in PARTS.values() for side in sides}))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=0.0, help="of a peer; 0 tries some")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0])
    parser.add_argument("--bf16", action="store_true", help="autocast of both sides")
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    args = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("Set OMP_NUM_THREADS=1: both sides get one thread.")
    torch.set_num_threads(1)
    if args.what == "make":
        make(args.cache, args.pictures)
    elif args.what == "learn":
        learn(args)
    elif args.what == "show":
        text = show(args.out)
        print(text)
        if args.write:
            write_section("unCLIP beside dalle2-pytorch: quality", text)
    else:
        rows = speed(args.cache, turns=args.turns, bf16=args.bf16)
        head = ["part", "side", "M parameters", "batch", "GFLOP a picture", "pictures/s", "ours is"]
        kind = "bf16" if args.bf16 else "fp32"
        text = (
            f"`OMP_NUM_THREADS=1 python -m benchmarks.unclip_peer speed`. Whole training steps in {kind}, in "
            f"pictures a second of processor time of one thread; GFLOP forward and backward. What the rows "
            f"are stands in the script.\nMachine: {machine()}.\n\n{table(head, rows)}"
        )
        print(text)
        if args.write:
            write_section("unCLIP beside dalle2-pytorch: speed", text)


if __name__ == "__main__":
    main()
