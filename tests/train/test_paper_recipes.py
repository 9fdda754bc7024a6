"""The recipes of the published runs: they fit their data and matchers, and run on drawn miniatures."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pictura.train.gans.gan import FAMILIES
from pictura.train.loop import Run
from pictura.train.recipe import LogSettings, Recipe, from_table, load_recipe
from tests.conftest import ROOT
from tests.train.gan_kit import DAMSM
from tests.train.kit import ALONE, COLOURS

FOLDER = ROOT / "examples" / "paper"
PATHS = sorted(FOLDER.glob("*.toml"))
RECIPES = {path.stem: load_recipe(path) for path in PATHS}
GANS = [name for name, recipe in RECIPES.items() if recipe.task != "damsm"]
IMAGES = {"cub": 8_855, "coco": 82_783}
STAGES = {"base_size": 16, "width": 8, "discriminator_width": 8, "noise_width": 4, "condition_width": 4}
MICRO: dict[str, tuple[str, dict[str, Any], int]] = {
    "paper": ("micro", {}, 16),
    "paper-coco": ("micro", {}, 16),
    "paper-1": ("small-1", STAGES, 16),
    "paper-2": ("small-2", STAGES, 32),
}
"""Of each preset of the papers: what stands for it, its changes, and the side that it paints at."""


def draw(path: Path, colour: tuple[int, int, int], number: int) -> None:
    """A picture of 40 x 30 with a bird, an oval of one colour; where it stands depends on the number."""
    picture = Image.new("RGB", (40, 30), (120, 160, 200))
    ImageDraw.Draw(picture).ellipse(box(number), fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def box(number: int) -> tuple[int, int, int, int]:
    left, top = 6 + number % 5, 5 + number % 4
    return (left, top, left + 16, top + 12)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout's folder with `data/` and `examples/paper/`, from which the recipes' paths start."""
    root = tmp_path_factory.mktemp("home")
    birds, coco = root / "data" / "CUB_200_2011", root / "data" / "coco"
    images, boxes, number = [], [], 0
    for kind, (name, colour) in enumerate(COLOURS.items()):
        for _ in range(4):
            number += 1
            file = f"{kind + 1:03}.{name}_bird/{name}_{number}"
            draw(birds / "images" / f"{file}.jpg", colour, number)
            text = birds / "text_c10" / f"{file}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(f"this is a {name} bird\nthe bird is {name}\n" * 5)
            images.append(f"{number} {file}.jpg")
            left, top, right, bottom = box(number)
            boxes.append(f"{number} {left}.0 {top}.0 {right - left}.0 {bottom - top}.0")
    (birds / "images.txt").write_text("\n".join(images) + "\n")
    (birds / "bounding_boxes.txt").write_text("\n".join(boxes) + "\n")
    (birds / "classes.txt").write_text("".join(f"{i + 1} {name}_bird\n" for i, name in enumerate(COLOURS)))
    (coco / "annotations").mkdir(parents=True)
    for part in ("train2014", "val2014"):
        rows, notes = [], []
        for i in range(8):
            name, colour = list(COLOURS.items())[i % 4]
            draw(coco / part / f"{i:012}.jpg", colour, i)
            rows.append({"id": i, "file_name": f"{i:012}.jpg"})
            notes += [{"image_id": i, "caption": f"a {name} thing, seen {n}"} for n in range(5)]
        content = json.dumps({"images": rows, "annotations": notes})
        (coco / "annotations" / f"captions_{part}.json").write_text(content)
    (root / "examples" / "paper").mkdir(parents=True)
    return root


def miniature(recipe: Recipe) -> Recipe:
    """The same recipe with tiny networks, for one step of four pictures."""
    model = replace(recipe.model, damsm=DAMSM, vocab_size=300)
    size = 16
    if recipe.task != "damsm":
        preset, changes, size = MICRO[recipe.model.preset]
        model = replace(recipe.model, preset=preset, gan={"image_channels": 3, "text_width": 16, **changes})
    return replace(
        recipe,
        data=replace(recipe.data, size=size),
        model=model,
        training=replace(recipe.training, num_steps=1, batch_size=4),
        log=LogSettings(validate_every=0, sample_every=0, checkpoint_every=0, metrics_every=0),
    )


def trained(name: str, home: Path) -> Run:
    """The miniature of a recipe, after those that it needs."""
    recipe = miniature(RECIPES[name])
    where = home / "examples" / "paper"
    for needed in (recipe.model.text, recipe.model.init_from):
        if needed and not (where / needed / "metrics.jsonl").exists():
            trained(Path(needed).name, home)
    done = Run(recipe, where, home / "runs" / recipe.name, ALONE)
    assert done.train() == "steps"
    return done


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_takes_a_step_on_a_miniature_of_its_data(home: Path, name: str) -> None:
    done = trained(name, home)
    assert done.step == 1
    images = done.materials.train.batch(0, 4).images
    size = done.recipe.data.size
    assert images.shape == (4, 4, size, size)


def test_birds_are_seen_by_their_boxes_through_random_windows(home: Path) -> None:
    done = trained("attngan-cub", home)
    source: Any = done.materials.train
    assert source._images.shape[-1] == 19  # 16 * 76 / 64
    # The box takes most of the picture: the sky of the whole would be 85 % of it.
    sky = np.abs(source._images[:, :3].numpy().transpose(0, 2, 3, 1) - np.array([120, 160, 200.0]))
    assert (sky.max(axis=3) < 30).mean() < 0.7


@pytest.mark.parametrize("name", ["damsm-cub", "attngan-cub"])
def test_birds_of_one_class_are_never_wrong_for_each_other(home: Path, name: str) -> None:
    done = trained(name, home)
    batch = done.materials.train.batch(0, 12)
    inputs = done.task.inputs(batch, np.random.default_rng(0))
    rival = inputs[3] if name == "damsm-cub" else inputs[5]
    assert set(batch.classes) <= {f"{i + 1:03}.{colour}_bird" for i, colour in enumerate(COLOURS)}
    assert len(set(batch.classes)) > 1
    for i, one in enumerate(batch.classes):
        # Within a class captions differ too ("this is a red bird", "the bird is red").
        assert rival[i].tolist() == [one != other for other in batch.classes]


@pytest.mark.parametrize("name", GANS)
def test_each_painter_fits_its_data_and_its_matcher(name: str) -> None:
    recipe = RECIPES[name]
    family = FAMILIES.get(recipe.task)
    table = {**family.preset(recipe.model.preset), "fidelity": recipe.model.fidelity}
    config: Any = from_table(family.config, table, name)
    sizes = getattr(config, "sizes", None) or (config.side,)
    assert sizes[-1] == recipe.data.size == (64 if name.endswith("-1") else 256)
    assert config.image_channels == 3
    matcher = RECIPES[Path(recipe.model.text).name]
    assert config.text_width == matcher.model.damsm.get("width", 256)
    assert matcher.data.path == recipe.data.path
    assert matcher.model.fidelity == recipe.model.fidelity == "code"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_names_and_steps_are_what_the_comments_say(path: Path) -> None:
    text, recipe = path.read_text(), RECIPES[path.stem]
    assert recipe.name == path.stem
    assert "Never trained here" in text
    assert f"pictura train examples/paper/{path.name}" in text
    assert f"`pictura train examples/paper/{path.name}`" in (FOLDER / "README.md").read_text()
    (said,) = [line for line in text.splitlines() if line.startswith("num_steps")]
    epochs = int(said.split("# ")[1].split(" epochs")[0].replace(",", ""))
    images = IMAGES["coco" if "coco" in path.stem else "cub"]
    assert recipe.training.num_steps == round(epochs * images / recipe.training.batch_size)
    assert recipe.training.decay_fraction == 0
    if recipe.task != "damsm":
        assert recipe.training.ema_long == 0.999
        assert math.isinf(recipe.training.max_grad_norm)
