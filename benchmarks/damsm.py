"""How well a DAMSM tells captions apart, on scenes of test glyphs, which nobody ever learns from.

    python -m benchmarks.damsm NAME=RUN [NAME=RUN …] [--painter NAME=RUN …] [--each 200] [--json FILE]

The tables are those of `benchmarks.clip`, of the cosine of sentence and whole picture, as AttnGAN takes its
R-precision. Beside them its 95 % interval, the same by word scores, and the speed of one thread; of
adversarial runs also that of what they paint for every fourth caption, by the first DAMSM: circular.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clip import KINDS, SEED, draw, measure, pictures_per_second
from benchmarks.report import machine, table
from pictura.core.images import on_background
from pictura.core.types import Conditioning
from pictura.data.scenes.contrast import ASPECTS
from pictura.data.scenes.source import Scene
from pictura.encode.damsm.losses import MatchSettings, word_scores
from pictura.encode.damsm.model import Damsm, Look
from pictura.encode.damsm.painter import make_parts
from pictura.encode.tokenizer import Tokenizer
from pictura.evaluate.damsm import circular_r_precision, embed
from pictura.evaluate.pictures import Pictures
from pictura.train.gans.gan import FAMILIES
from pictura.train.start import read_start, tokenizer_of
from pictura.train.tasks.damsm import damsm_of


class Wholes:
    """A DAMSM as `benchmarks.clip` asks a CLIP: unit vectors of wholes and sentences."""

    def __init__(self, damsm: Damsm, tokenizer: Tokenizer) -> None:
        self.damsm, self.tokenizer = damsm.eval().requires_grad_(False), tokenizer

    def embed_images(self, images: Pictures) -> Pictures:
        """(N, D) of length 1."""
        return _unit(embed(self.damsm, self.tokenizer, images, [""])[0])

    def embed_text(self, captions: list[str]) -> Pictures:
        """(N, D) of length 1."""
        blank = np.zeros((1, 3, 64, 64), dtype=np.float32)
        return _unit(embed(self.damsm, self.tokenizer, blank, captions)[1])


def _unit(rows: Pictures) -> Pictures:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def _seen(model: Wholes, images: Pictures) -> Look:
    parts = [model.damsm.look(torch.from_numpy(images[i : i + 128])) for i in range(0, len(images), 128)]
    return Look(torch.cat([p.regions for p in parts]), torch.cat([p.whole for p in parts]))


@torch.no_grad()
def by_words(model: Wholes, captions: list[str], images: Pictures) -> float:
    """R-precision in percent where word scores choose, the true caption among 99 others."""
    rng, hits = np.random.default_rng(SEED), 0
    kinds, own_N = np.unique(captions, return_inverse=True)
    look = _seen(model, images)
    cond = model.damsm.read(*map(torch.from_numpy, model.tokenizer.batch(kinds.tolist())))
    for i, own in enumerate(own_N):
        others = rng.choice(len(kinds) - 1, 99, replace=False)
        choice = [own, *(others + (others >= own))]
        offered = Conditioning(tokens=cond.tokens[choice], mask=cond.mask[choice])
        one = Look(look.regions[i : i + 1], look.whole[i : i + 1])
        hits += int(word_scores(one, offered, MatchSettings.of("code")).argmax()) == 0
    return 100 * hits / len(captions)


@torch.no_grad()
def painted(run: str, captions: list[str]) -> Pictures:
    """What the long average of an adversarial run paints, one picture for each caption, on light grey."""
    start = read_start(run, Path.cwd())
    family = FAMILIES.get(start.config["recipe"]["task"])
    parts = make_parts(family, start.config, where=run)
    parts.load_state_dict({k: v for k, v in start.weights.items() if k in parts.state_dict()})
    parts.eval()
    tokenizer = tokenizer_of(start, start.config["max_tokens"])
    noise = np.random.default_rng(SEED).standard_normal((len(captions), parts.generator.noise_size))
    rows = []
    for i in range(0, len(captions), 64):
        cond = parts.text_encoder(*map(torch.from_numpy, tokenizer.batch(captions[i : i + 64])))
        images = parts.paint(torch.from_numpy(noise[i : i + 64].astype(np.float32)), cond).images
        rows.append(np.asarray(on_background(images)))
    return np.concatenate(rows).clip(0, 1)


def of_real(model: Wholes, captions: list[str], scenes: list[Scene], images: Pictures) -> dict[str, Any]:
    """The numbers of one DAMSM, in percent."""
    rng = np.random.default_rng(SEED)
    return {
        **measure(model, scenes, images),  # type: ignore[arg-type]  # it asks for no more than this
        **of_painted(model, captions, images, rng),
        "by_words": round(by_words(model, captions, images), 1),
        "pictures_per_second": round(pictures_per_second(model, images)),  # type: ignore[arg-type]
    }


def of_painted(
    model: Wholes, captions: list[str], images: Pictures, rng: np.random.Generator
) -> dict[str, Any]:
    """The circular R-precision in percent, with its interval."""
    found = circular_r_precision(model.damsm, model.tokenizer, images, captions, rng)
    ends = (found.interval.value, found.interval.low, found.interval.high)
    value, low, high = (round(100 * end, 1) for end in ends)
    return {"name": found.name, "value": value, "interval": [low, high]}


def print_tables(found: dict[str, dict[str, Any]]) -> None:
    """By kind and by what is wrong."""
    names = list(found)
    rows = [
        [kind, *(f"{found[n]['r_precision'][kind]:.1f}" for n in names)]
        + [found[n]["r_precision_own_kind"].get(kind, "") for n in names]
        for kind in ("every kind", *KINDS)
    ]
    print(table(["R-precision, %", *names, *(f"{name}, among its kind" for name in names)], rows), "\n")
    rows = [
        [aspect, found[names[0]]["pairs_n"][aspect], *(f"{found[n]['pairs'][aspect]:.1f}" for n in names)]
        for aspect in ASPECTS
    ]
    print(table(["wrong in, %", "pairs", *names], rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--painter", action="append", default=[], metavar="NAME=RUN")
    parser.add_argument("--each", type=int, default=200, help="scenes of each kind")
    parser.add_argument("--pack", type=Path, default=Path(__file__).parents[2] / "shared/data/glyphs")
    parser.add_argument("--cache", type=Path, help="folder in which the resized pack is kept")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scenes, images = draw(options.pack, options.cache, options.each)
    captions = [scene.caption for scene in scenes]
    runs = dict(one.split("=", 1) for one in options.models)
    models = {name: Wholes(*damsm_of(read_start(run, Path.cwd()), 64)) for name, run in runs.items()}
    print(f"{machine()}. {len(scenes)} scenes of test glyphs, {options.each} of each kind.\n")
    found = {name: of_real(model, captions, scenes, images) for name, model in models.items()}
    for name, one in found.items():
        print(
            f"{name}: {one['name']} {one['value']} % {one['interval']}; by words {one['by_words']} %; ",
            end="",
        )
        print(f"{one['pictures_per_second']} pictures/s.\n")
    few, teacher = captions[::4], next(iter(models.values()))
    for name, run in (one.split("=", 1) for one in options.painter):
        seen = of_painted(teacher, few, painted(run, few), np.random.default_rng(SEED))
        print(f"What {name} paints: {seen['name']} {seen['value']} % {seen['interval']}.\n")
    print_tables(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
