"""Pictura beside TRL 0.23.1's DDPOTrainer, the last that has one: same network, reward, network calls.

    python3.11 -m venv trl-venv
    trl-venv/bin/pip install -e ".[train]" trl==0.23.1 diffusers==0.35.2 transformers==4.57.1 accelerate peft
    OMP_NUM_THREADS=1 trl-venv/bin/python -m benchmarks.learn.against_trl [--calls 30000] [--write]

The network is a small U-Net that was taught to draw shapes (`tiny_unet.py`, kept in runs/); the reward is
how few kilobytes a picture takes as JPEG. Both start from the same weights, learn all of them, paint the same
number of pictures per update in as many steps, without guidance, and take one optimiser step per update with
AdamW; the learning rate of each is the best of `--rates`, by one run of seed 100 with a third of the calls.
DDPOTrainer has per-prompt advantages on, as its authors advise, and no progress bars. Whoever spent fewer
network calls goes next, so that both meet the same load; seconds are CPU time of one thread.

Each paints in its own way while it learns. What they came to is measured with one sampler for all: the ODE in
20 steps, as good for one as for the other.
"""

import argparse
import copy
import json
import logging
import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import PartialState
from diffusers import StableDiffusionPipeline
from torch import Tensor
from trl import DDPOConfig, DDPOTrainer
from trl.models import DefaultDDPOStableDiffusionPipeline

from benchmarks.learn.learner import CallCounter, Learner, Settings, cpu_seconds
from benchmarks.learn.shapes import LEARNT, diversity, prompts_of
from benchmarks.learn.tiny_unet import UNetPolicy, largest_difference, load_base
from benchmarks.report import machine, table, write_section
from pictura.core.types import Conditioning
from pictura.learn.draws import seeds_of
from pictura.learn.sampling import Painting, paint
from pictura.learn.weights import Full
from pictura.reward.jpeg import Jpeg

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "learn-benchmark.md"
PROMPTS = prompts_of(LEARNT[::12])
GROUP = 8
"""Pictures of each prompt in an update, in the mean for TRL."""
NUM_STEPS = 10
TEST = Painting(num_steps=20, shift=1.0)
TEST_GROUP = 8
TUNING_SEED = 100
REWARD = Jpeg(larger=False)


class Contender(Protocol):
    """Something that learns from JPEG sizes."""

    counter: CallCounter

    def update(self) -> float:
        """Paint and learn once; the mean reward of what was painted."""
        ...

    def velocity(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """What it would paint with now."""
        ...


class _Given(DefaultDDPOStableDiffusionPipeline):  # type: ignore[misc]
    """TRL's own pipeline around one that is here already, with all weights to learn."""

    def __init__(self, pipeline: StableDiffusionPipeline) -> None:
        self.sd_pipeline, self.use_lora = pipeline, False
        # diffusers 0.35.2 puts the negative prompts before the prompts even where guidance is off, and the
        # network then refuses the pair. Without them DDPOTrainer can paint at one call per step.
        pipeline._encode_prompt = lambda *_, prompt_embeds, **__: prompt_embeds
        pipeline.unet.requires_grad_(True)


class Trl:
    """DDPOTrainer."""

    def __init__(self, base: StableDiffusionPipeline, rate: float, seed: int, *, fraction: float) -> None:
        self._pipeline = copied(base)
        self.counter = CallCounter(self._pipeline.unet)
        self._policy = UNetPolicy(self._pipeline)
        self._random, self._rewards, self._epoch = random.Random(seed), [0.0], 0
        size = len(PROMPTS) * GROUP
        config = DDPOConfig(
            seed=seed,
            mixed_precision="no",
            save_freq=10**9,
            sample_num_steps=NUM_STEPS,
            sample_guidance_scale=1.0,
            sample_batch_size=size,
            sample_num_batches_per_epoch=1,
            train_batch_size=size,
            train_learning_rate=rate,
            train_cfg=False,
            train_timestep_fraction=fraction,
            per_prompt_stat_tracking=True,
        )
        PartialState()  # without which its constructor cannot log
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._trainer = DDPOTrainer(config, self._reward, self._prompt, _Given(self._pipeline))
        self._pipeline.set_progress_bar_config(disable=True)

    def _prompt(self) -> tuple[str, dict[str, Any]]:
        return self._random.choice(PROMPTS).text, {}

    def _reward(self, images: Tensor, *_: object) -> tuple[Tensor, dict[str, Any]]:
        rewards = REWARD(images, ()).total
        self._rewards.append(float(rewards.mean()))
        return rewards, {}

    def update(self) -> float:
        """One epoch, with one optimiser step."""
        self._trainer.step(self._epoch, self._epoch)
        self._epoch += 1
        return self._rewards[-1]

    @torch.no_grad()
    def velocity(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Of the weights as they are."""
        return self._policy.velocity({}, x_t, t, cond)


class Pictura:
    """Our learner on the same network."""

    def __init__(
        self, base: StableDiffusionPipeline, rate: float, seed: int, *, algorithm: dict[str, Any]
    ) -> None:
        pipeline = copied(base)
        self.counter = CallCounter(pipeline.unet)
        policy = UNetPolicy(pipeline)
        settings = Settings(
            algorithm=algorithm,
            learning_rate=rate,
            num_prompts=len(PROMPTS),
            group_size=GROUP,
            num_steps=NUM_STEPS,
            shift=1.0,
        )
        self._learner = Learner(policy, Full(policy.learnable), REWARD, settings, seed=seed)

    def update(self) -> float:
        """One update, with one optimiser step."""
        return self._learner.update(PROMPTS)

    @torch.no_grad()
    def velocity(self, x_t: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Of the weights as they are, not their average: TRL keeps none."""
        return self._learner.actors.new(x_t, t, cond)


CONTENDERS: dict[str, tuple[Callable[..., Contender], dict[str, Any]]] = {
    "TRL DDPOTrainer": (Trl, {"fraction": 1.0}),
    "TRL DDPOTrainer, 2 of 10 steps": (Trl, {"fraction": 0.2}),
    "Pictura, Flow-GRPO-Fast": (Pictura, {"algorithm": {"name": "grpo"}}),
    "Pictura, DiffusionNFT": (Pictura, {"algorithm": {"name": "nft"}}),
}


def copied(base: StableDiffusionPipeline) -> StableDiffusionPipeline:
    """The same pipeline with a network of its own."""
    parts = {**base.components, "unet": copy.deepcopy(base.unet)}
    return StableDiffusionPipeline(**parts, requires_safety_checker=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """What came of one run."""

    reward: float
    """Minus kilobytes, by the common sampler."""
    painted: float
    """The same of the last updates, in its own way of painting."""
    diversity: float
    updates: int
    calls: int
    seconds: float


def test(contender: Contender, base: StableDiffusionPipeline) -> tuple[float, float]:
    """Reward and diversity by the common sampler, of the same seeds for all."""
    seeds = [seed for i in range(len(PROMPTS)) for seed in seeds_of(0, 0, i, TEST_GROUP)]
    with contender.counter.off():
        images = paint(
            UNetPolicy(base), contender.velocity, PROMPTS, seeds, TEST, group_size=TEST_GROUP
        ).images
    return float(REWARD(images, ()).total.mean()), diversity(images, TEST_GROUP)


def race(base: StableDiffusionPipeline, rates: dict[str, float], *, calls: int, seed: int) -> dict[str, End]:
    """Let them learn by turns until each has spent `calls` network calls."""
    made = {
        name: CONTENDERS[name][0](base, rate, seed, **CONTENDERS[name][1]) for name, rate in rates.items()
    }
    seconds, painted = dict.fromkeys(made, 0.0), {name: list[float]() for name in made}
    while True:
        name = min(made, key=lambda name: made[name].counter.calls)
        if made[name].counter.calls >= calls:
            break
        reward, spent = cpu_seconds(made[name].update)
        seconds[name] += spent
        painted[name].append(reward)
    ends = {}
    for name, contender in made.items():
        reward, different = test(contender, base)
        ends[name] = End(
            reward=reward,
            painted=float(np.mean(painted[name][-3:])),
            diversity=different,
            updates=len(painted[name]),
            calls=contender.counter.calls,
            seconds=seconds[name],
        )
        print(name, f"seed {seed}, rate {rates[name]:g}", ends[name], flush=True)
    return ends


def best_rates(
    base: StableDiffusionPipeline, names: Sequence[str], rates: Sequence[float], calls: int
) -> dict[str, float]:
    """For each the learning rate with the highest reward after a short run; the only one without a run."""
    if len(rates) == 1:
        return dict.fromkeys(names, rates[0])
    found = {rate: race(base, dict.fromkeys(names, rate), calls=calls, seed=TUNING_SEED) for rate in rates}
    return {name: max((found[rate][name].reward, rate) for rate in rates)[1] for name in names}


def told(ends: dict[str, list[End]], rates: dict[str, float], start: tuple[float, float]) -> str:
    """The table."""
    rows = [["before", "", "", "", "", f"{start[0]:.3f}", "", f"{start[1]:.3f}"]]
    for name, runs in ends.items():
        reward = [end.reward for end in runs]
        rows.append(
            [
                name,
                f"{rates[name]:g}",
                f"{np.mean([end.updates for end in runs]):.0f}",
                f"{np.mean([end.seconds / end.updates for end in runs]):.2f}",
                f"{1000 * np.mean([end.seconds / end.calls for end in runs]):.2f}",
                f"{np.mean(reward):.3f} ± {np.std(reward):.3f}",
                f"{np.mean([end.painted for end in runs]):.3f}",
                f"{np.mean([end.diversity for end in runs]):.3f}",
            ]
        )
    head = [
        "",
        "learning rate",
        "updates",
        "s per update",
        "s per 1000 calls",
        "reward",
        "in learning",
        "diversity",
    ]
    return table(head, rows)


def page_text(
    base: StableDiffusionPipeline,
    calls: int,
    ends: dict[str, list[End]],
    rates: dict[str, float],
    start: tuple[float, float],
) -> str:
    """What stands in the page."""
    seeds = len(next(iter(ends.values())))
    return (
        f"`python -m benchmarks.learn.against_trl --calls {calls} --seeds {seeds}`. Machine: {machine()}. "
        f"The same network paints on both sides: over a path of 20 steps DDIM in diffusers and Euler on "
        f"Pictura's policy differ by {largest_difference(base):.0e}. An update is {len(PROMPTS)} prompts x "
        f"{GROUP} pictures of {NUM_STEPS} steps and one optimiser step; rewards are minus kilobytes, means "
        f"over {seeds} seeds.\n\n{told(ends, rates, start)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=30_000, help="network calls of each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base-steps", type=int, default=200, help="of teaching the U-Net")
    parser.add_argument("--rates", type=float, nargs="+", default=(3e-4, 1e-3))
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--json", type=Path, help="also write every run here")
    parser.add_argument("--write", action="store_true", help="write into docs/learn-benchmark.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    base = load_base(ROOT / "runs" / "bench-learn", num_steps=options.base_steps)
    names = list(options.only)
    start = test(Pictura(base, 1.0, 0, algorithm={"name": "nft"}), base)
    rates = best_rates(base, names, options.rates, options.calls // 3)
    ends: dict[str, list[End]] = {name: [] for name in names}
    for seed in range(options.seeds):
        for name, end in race(base, rates, calls=options.calls, seed=seed).items():
            ends[name].append(end)
        text = page_text(base, options.calls, ends, rates, start)
        if options.json:
            found = {name: [asdict(end) for end in runs] for name, runs in ends.items()}
            options.json.write_text(json.dumps({"rates": rates, "ends": found}, indent=1) + "\n")
        if options.write:
            write_section("Against TRL's DDPOTrainer", text, page=PAGE)
    print(text)


if __name__ == "__main__":
    main()
