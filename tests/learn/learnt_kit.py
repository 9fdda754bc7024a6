"""The folder of a run of learning as `pictura learn` leaves it, without the hours: for export and report."""

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from pictura.core.tables import to_table
from pictura.families.flow.policy import FlowPolicy
from pictura.learn.guards import Guards
from pictura.learn.recipe import GuardSettings, LearnRecipe, ModelSettings, RolloutSettings
from pictura.learn.weights import Full, Learnable, LowRank, Values
from pictura.store.models import ModelInfo
from pictura.train import checkpoint

PROMPTS = ("a red fox", "a blue ball <left> of a green apple")
FINDING = {
    "step": 4,
    "guard": "gradient",
    "action": "skip",
    "reason": "its norm was <9>",
    "seen": 9.0,
    "limit": 1.0,
}


def make_recipe(weights: str = "low_rank") -> LearnRecipe:
    """Learn a change of rank 2."""
    return LearnRecipe(
        name="better",
        rewards=({"name": "brightness"},),
        model=ModelSettings(weights=weights, rank=2),
        rollout=RolloutSettings(num_steps=2, solver="euler", shift=1.0),
    )


def learn_something(learnable: Learnable, size: float) -> Values:
    """Values that differ from where they start, the more the larger `size` is."""
    random = torch.Generator().manual_seed(3)
    return {
        name: value + size * torch.randn(value.shape, generator=random) * (not name.endswith(".down"))
        for name, value in sorted(learnable.values.items())
    }


def make_run(
    folder: Path, base: ModelInfo, *, weights: str = "low_rank", best: int = 6, stopped: str = ""
) -> Path:
    """A run of eight updates on `base` of which update number `best` did best."""
    recipe = make_recipe(weights)
    policy = FlowPolicy.from_model(base, torch.device("cpu"))
    learnable = Full(policy.learnable) if weights == "full" else LowRank(policy.learnable, rank=2)
    for step, place in ((best, folder / "best"), (8, folder / "checkpoints" / "step-00000008")):
        values = learn_something(learnable, 0.1 * step)
        saved = checkpoint.Checkpoint(
            step=step,
            seconds=3600.0 * step / 8,
            config={
                "task": "learn",
                "recipe": json.loads(json.dumps(to_table(recipe))),
                "model": {"name": base.name, "hash": base.hash, "path": str(base.path)},
                "guards": Guards(GuardSettings()).state(),
                "held_out": {},
                "slowed": 1.0,
                "stopped": stopped,
            },
            weights={"values": values, "old": values, "ema": values, "reference": learnable.values},
            validation=0.5,
        )
        checkpoint.write(saved, place)
    write_logs(folder, guards=[FINDING])
    return folder


def write_logs(folder: Path, *, guards: list[dict[str, Any]]) -> None:
    """What the loop would have told: a held-out test every second update, grids at the start and the end."""
    rows: list[dict[str, Any]] = []
    for step in range(9):
        if step:
            rows.append(metrics(step))
        if step % 2 == 0:
            rows.append(
                {
                    "step": step,
                    "held_out/clip": 0.2 + 0.01 * step,
                    "held_out/clip_se": 0.01,
                    "held_out/strict": 0.5 + 0.02 * step,
                    "held_out/strict_se": 0.02,
                    "held_out/diversity": 0.3 - 0.005 * step,
                    "held_out/drop": 0.0,
                    "held_out/diversity_share": 1 - 0.02 * step,
                    "held_out/total": 0.1 * step,
                }
            )
    lines = [json.dumps(row) for row in rows]
    lines.insert(3, '{"step": 2, "rew')  # a kill
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "guards.jsonl").write_text("".join(json.dumps(row) + "\n" for row in guards))
    (folder / "samples").mkdir()
    for step in (0, 4, 8):
        sheet = Image.new(
            "RGB", (3 * 34, 3 * 34), "white"
        )  # eight pictures of 32 with gutters of 2, three a row
        for i in range(8):
            place = (i % 3 * 34, i // 3 * 34)
            sheet.paste(Image.new("RGB", (32, 32), (20 * step, 30 * i, 90)), place)
        sheet.save(folder / "samples" / f"update-{step:08d}.png")
    (folder / "samples" / "prompts.json").write_text(json.dumps({"prompts": PROMPTS, "seeds": 4}))


def metrics(step: int) -> dict[str, Any]:
    """The numbers of an update."""
    return {
        "step": step,
        "reward": 0.1 * step,
        "reward_std": 0.2,
        "reward_max": 0.9,
        "invalid": 0.0,
        "reward/brightness": 0.1 * step,
        "reward/kind/single": 0.12 * step,
        "reward/kind/two": None,
        "zero_std": 0.1,
        "advantage_abs": 0.7,
        "kl": 0.001 * step,
        "loss": 0.5,
        "grad_norm": 9.0 if step == 4 else 0.3,
        "ratio_mean": 1.0,
        "ratio_std": 0.01,
        "ratio_error_max": 0.02,
        "clip_high": 0.1,
        "clip_low": 0.05,
        "rate": 3e-4,
        "luminance": 0.7,
        "saturation": 0.2,
        "high_frequency": 0.05,
        "x0_norm": 1.0,
        "spread": 0.1,
        "images_per_s": 20.0,
        "network_calls": 512.0,
        "rollout_s": 1.0,
        "reward_s": 0.2,
        "learn_s": 1.5,
        "memory_gb": 0.5,
        "seconds": 450.0 * step,
    }
