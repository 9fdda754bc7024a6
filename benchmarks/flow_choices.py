"""What the default's settings are worth: one changed at a time, in how it paints and in how it is trained.

    python -m benchmarks.flow_choices paint [--limit 180] [--write]
    OMP_NUM_THREADS=1 python -m benchmarks.flow_choices train --runs FOLDER [--steps 1000] [--write]

`paint` paints with the embedded default. `train` trains small painters for equally many steps, each once, and
goes on where it was stopped. All start from noise, in the default's space and with its tokenizer; rows of the
text tower start that from the default's, rows of an autoencoder train that first, for as many steps.

Scores are those that may choose: the graded verdict of judge A and likeness by clip-guide, not the judge and
the CLIP that score releases. Differences are to the first row, of the same prompts and seeds; brackets hold
95 % of bootstrap draws of prompts.
"""

import argparse
import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import machine, table, write_section
from pictura import load
from pictura.core import images
from pictura.evaluate.benchmark import Prompt, load_benchmark
from pictura.evaluate.metrics.bootstrap import mean_interval
from pictura.reward.judge import JudgeSettings
from pictura.runtime.onnx_clip import OnnxClip
from pictura.store.models import resolve
from pictura.train.distributed import join
from pictura.train.export.checkpoint import export_checkpoint
from pictura.train.loop import Run
from pictura.train.recipe import Recipe, load_recipe
from pictura.train.start import part, read_start

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
PAINTING: dict[str, dict[str, Any]] = {
    "as shipped": {},
    **{f"guidance {scale:g}": {"guidance_scale": scale} for scale in (1.0, 2.0, 3.0, 5.0, 7.0)},
    "guidance at all times": {"guidance_interval": (0.0, 1.0)},
    **{f"{steps} steps": {"num_steps": steps} for steps in (4, 6, 8, 24)},
    **{f"solver {name}": {"solver": name} for name in ("euler", "dpmpp_2m")},
    **{
        f"solver {name}, {steps} steps": {"solver": name, "num_steps": steps}
        for name in ("euler", "dpmpp_2m")
        for steps in (6, 8, 10)
    },
    **{f"shift {shift:g}": {"shift": shift} for shift in (1.0, 2.0, 5.0)},
}
"""Settings of `Sampling` in the place of the default's."""


class Variant(NamedTuple):
    """A way to train."""

    training: Mapping[str, Any] = {}
    """In the place of the recipe's."""
    size: int = 64
    """Of the pictures."""
    autoencoder: Mapping[str, Any] | None = None
    """Of one that is trained first; without it the default's."""
    text: str = "new"
    """The text tower: `new`, from the default (`started`), or that and never changed (`frozen`)."""
    weights: str = "ema_short"
    """Which of a run's weights paint."""
    of: str = ""
    """Another variant, whose run this is."""


PLAIN = {"latent_channels": 32}
BASE = "base: Muon, times shifted by 3, mean of weights .995"
TRAINING: dict[str, Variant] = {
    BASE: Variant(),
    "mean of weights .999": Variant(of=BASE, weights="ema_long"),
    "last weights": Variant(of=BASE, weights="model"),
    "AdamW": Variant({"optimizer": "adamw"}),
    "times not shifted": Variant({"time_shift": 1.0}),
    "text tower of the default": Variant(text="started"),
    "text tower of the default, frozen": Variant(text="frozen"),
    "autoencoder: as the default's": Variant(autoencoder=PLAIN),
    "autoencoder: half as wide": Variant(
        autoencoder=PLAIN | {"encoder_widths": (12, 24, 48), "decoder_widths": (20, 40, 64)}
    ),
    "autoencoder: 16 numbers a place": Variant(autoencoder={"latent_channels": 16}),
    "autoencoder: factor 16, pictures of 128": Variant(
        autoencoder=PLAIN | {"encoder_widths": (16, 24, 48, 96), "decoder_widths": (24, 40, 80, 128)},
        size=128,
    ),
}
Scores = dict[str, NDArray[np.float64]]
"""By name, one of each prompt."""


class Judges:
    """What may choose."""

    def __init__(self) -> None:
        self.judge = JudgeSettings().build("cpu")
        self.clip = OnnxClip(resolve("clip-guide").path)

    def __call__(self, painter: str | Path, prompts: list[Prompt], size: int = 64) -> Scores:
        """Paint one picture of each prompt with a model, and score it at 64 pixels."""
        loaded = load(painter, device="cpu", num_threads=1)
        pictures = []
        for done, prompt in enumerate(prompts, start=1):
            one = loaded.paint(prompt.text, num_images=1, seed=0, size=(size, size))[0].image
            pictures.append(one if size == 64 else one.resize((64, 64), Image.Resampling.BOX))
            print(f"{done} of {len(prompts)} prompts", end="\r", flush=True)
        arrays = np.clip(images.on_background(images.from_pil(pictures)), 0, 1).astype(np.float32)
        with torch.inference_mode():
            verdict = self.judge(torch.from_numpy(arrays), prompts)  # type: ignore[arg-type]
        grades = np.where(verdict.valid, verdict.total, np.nan).astype(np.float64)
        texts = self.clip.embed_text([prompt.text for prompt in prompts])
        likeness = (self.clip.embed_images(arrays) * texts).sum(axis=1).astype(np.float64)
        return {"judge A, graded": grades, "likeness by clip-guide": likeness}


def painted(judges: Judges, prompts: list[Prompt]) -> Iterable[tuple[str, str, Scores]]:
    """The default, painting in other ways."""
    with tempfile.TemporaryDirectory() as folder:
        for name, changed in PAINTING.items():
            model = Path(folder) / "model"
            shutil.copytree(resolve("default").path, model, dirs_exist_ok=True)
            manifest = json.loads((model / "model.json").read_text())
            manifest["sampling"] |= changed
            (model / "model.json").write_text(json.dumps(manifest))
            calls = manifest["sampling"]["num_steps"] * (1 if changed.get("guidance_scale") == 1 else 2)
            yield name, f"{calls}", judges(model, prompts)


def trained(
    judges: Judges, prompts: list[Prompt], runs: Path, steps: int
) -> Iterable[tuple[str, str, Scores]]:
    """Small painters, trained in other ways."""
    for number, (name, variant) in enumerate(TRAINING.items()):
        run = runs / f"flow-{list(TRAINING).index(variant.of) if variant.of else number}"
        space = ""
        if variant.autoencoder is not None:
            space = str(runs / f"autoencoder-{number}")
            _train(_autoencoder(variant, steps), Path(space))
        seconds = _train(_flow(variant, steps, space), run, _text_of(variant.text, space))
        model = runs / f"model-{number}"
        export_checkpoint(run, model, name="small", weights=variant.weights)
        yield name, f"{seconds / 60:.1f}", judges(model, prompts, variant.size)


def _autoencoder(variant: Variant, steps: int) -> Recipe:
    recipe = load_recipe(RECIPES / "autoencoder.toml")
    settings: dict[str, Any] = {"num_steps": steps, "max_minutes": 0.0, "bf16": True}
    return dataclasses.replace(
        recipe,
        data=dataclasses.replace(recipe.data, size=variant.size),
        model=dataclasses.replace(recipe.model, autoencoder_config=dict(variant.autoencoder or {})),
        training=dataclasses.replace(recipe.training, **settings),
    )


def _flow(variant: Variant, steps: int, space: str) -> Recipe:
    recipe = load_recipe(RECIPES / "flow-scenes.toml")
    settings: dict[str, Any] = {"num_steps": steps, "max_minutes": 0.0, "compile": False, "bf16": True}
    model: dict[str, Any] = {"preset": "xxs", "autoencoder": space, "init_from": ""} if space else {}
    return dataclasses.replace(
        recipe,
        data=dataclasses.replace(recipe.data, size=variant.size),
        model=dataclasses.replace(recipe.model, **model),
        training=dataclasses.replace(recipe.training, **(settings | dict(variant.training))),
        log=dataclasses.replace(recipe.log, sample_every=0, prompts=()),
    )


def _text_of(text: str, space: str) -> Callable[[Run], None]:
    """Forget what a run from the default knows, but for its tokenizer, its space and perhaps its tower."""

    def forget(run: Run) -> None:
        if space or run.step:
            return
        torch.manual_seed(run.recipe.seed)
        module: Any = run.module
        network, tower = module.network, module.text_encoder
        network.load_state_dict(type(network)(network.config).state_dict())
        fresh = type(tower)(tower.config)
        if text != "new":
            fresh.load_state_dict(part(read_start("default", Path()).weights, "text_encoder"))
        tower.load_state_dict(fresh.state_dict())
        for average in run.averages.values():
            average.load({name: weight.detach().clone() for name, weight in run.module.state_dict().items()})

    def prepare(run: Run) -> None:
        forget(run)
        if text == "frozen":
            module: Any = run.module
            module.text_encoder.requires_grad_(False)

    return prepare


def _train(recipe: Recipe, folder: Path, prepare: Callable[[Run], None] = lambda _: None) -> float:
    """Train to the end, or go on; returns the seconds."""
    with join("cpu", threads=1) as process:
        run = Run(recipe, RECIPES, folder, process)
        prepare(run)
        run.train()
        return run.seconds


def rows_of(found: Iterable[tuple[str, str, Scores]]) -> list[list[str]]:
    """A line for each: means, and differences to the first."""
    rows, first = [], None
    for name, cost, scores in found:
        first = first or scores
        row = [name, cost]
        for key, values in scores.items():
            known = np.isfinite(values) & np.isfinite(first[key])
            change = mean_interval(
                (values - first[key])[known], range(int(known.sum())), np.random.default_rng(0)
            )
            differs = f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
            row += [f"{values[known].mean():.3f}", "" if first is scores else differs]
        rows.append(row)
        print(" | ".join(row), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("paint", "train"))
    parser.add_argument("--limit", type=int, default=180)
    parser.add_argument("--runs", type=Path, help="where small painters are kept")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    args = parser.parse_args()
    start = time.perf_counter()
    torch.set_num_threads(1)
    judges, prompts = Judges(), list(load_benchmark("glyphbench", limit=args.limit).prompts)
    if args.what == "paint":
        title, cost, rest = "What the default's way of painting is worth", "calls", ""
        rows = rows_of(painted(judges, prompts))
    elif args.runs is None:
        raise SystemExit("Small painters need a folder to be kept in: add --runs FOLDER.")
    else:
        title, cost = "What the default's way of training is worth", "minutes"
        batch = load_recipe(RECIPES / "flow-scenes.toml").training.batch_size
        rest = f" Each painter saw {args.steps * batch:,} pictures in {args.steps} steps."
        rows = rows_of(trained(judges, prompts, args.runs, args.steps))
    head = ["", cost]
    for key in ("judge A, graded", "likeness by clip-guide"):
        head += [key, "difference"]
    text = (
        f"`python -m benchmarks.flow_choices {args.what} --limit {args.limit}`, "
        f"{time.perf_counter() - start:.0f} s. {len(prompts)} prompts of GlyphBench, evenly over its tasks, "
        f"one picture each, seed 0.{rest} "
        f"Machine: {machine()}. Differences are to the first row; brackets hold 95 % of bootstrap draws of "
        f"prompts.\n\n{table(head, rows)}"
    )
    print(text)
    if args.write:
        write_section(title, text)


if __name__ == "__main__":
    main()
