"""A tiny untrained painter by tokens and a small recipe, for the tests of the loop."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pictura.families.dalle.backend import DalleParts
from pictura.learn.recipe import LearnRecipe
from pictura.store.models import ModelInfo
from pictura.train.export.painter import export_painter
from pictura.train.recipe import BY_TOKENS
from tests.learn.loop_kit import LINES, make_recipe
from tests.tiny_dalle import GRID, make_parts, make_tokenizer
from tests.tiny_model import PROVENANCE


def make_painter(folder: Path, parts: DalleParts | None = None) -> ModelInfo:
    """Its model folder, of 12 tokens and 12 x 16 pixels; without graphs, which learning never opens."""
    parts = parts or make_parts(std=0.3)
    return export_painter(
        folder,
        name=folder.name,
        family="dalle",
        tables={"transformer": asdict(parts.transformer.config), "dvae": asdict(parts.dvae.config)},
        weights=parts.state_dict(),
        tokenizer=make_tokenizer(),
        words=("light", "dark"),
        graphs={},
        grids=[GRID],
        factor=parts.dvae.config.factor,
        sampling=BY_TOKENS,
        provenance=PROVENANCE,
        prompts=(),
        verify=lambda _: None,
    )


def make_root(folder: Path) -> Path:
    """A folder that holds the model `tokens` and `lines.txt`."""
    make_painter(folder / "tokens")
    (folder / "lines.txt").write_text("\n".join(LINES))
    return folder


def token_recipe(**tables: Any) -> LearnRecipe:
    """A run of a few updates that makes pictures lighter."""
    base: dict[str, Any] = {
        "model": {"base": "tokens", "weights": "full"},
        "rollout": {"num_steps": 10, "solver": "ab2", "shift": 3.0},
        "algorithm": {"name": "token-grpo"},
        "guards": {"max_kl": 0.0, "min_diversity": 0.0, "min_entropy": 0.0},
    }
    for name, table in tables.items():
        base[name] = {**base[name], **table} if name in base and name != "algorithm" else table
    return make_recipe(**base)
