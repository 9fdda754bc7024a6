"""What unCLIP's upsamplers learn: exact losses, crops, small pictures that are made worse, resume."""

import math
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.families.unclip.presets import get_preset
from pictura.families.unclip.upsampler import Upsampler, UpsamplerConfig
from pictura.sample.diffusion import alpha_sigma
from pictura.train import checkpoint
from pictura.train.loop import Run
from pictura.train.recipe import Recipe
from pictura.train.unclips.degrade import DEGRADE, MOST_SIGMA, Degrade, blur, blurred, bsr
from pictura.train.unclips.upsampler import UpsamplerStep, UpsamplerTask
from tests.train.kit import make_recipe, run
from tests.train.unclip_kit import make_pairs

# Small pictures that are made worse


def low(size: int = 6, channels: int = 4) -> Tensor:
    return torch.rand(size, channels, 8, 12, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_the_blur_is_a_gaussian_of_three_places_along_each_side() -> None:
    dot = torch.zeros(1, 1, 5, 7)
    dot[0, 0, 2, 3] = 1.0
    side = math.exp(-0.5 / 0.6**2)
    kernel = torch.tensor([side, 1, side]) / (1 + 2 * side)
    out = blurred(dot, torch.tensor([[0.6, 0.6]]))
    torch.testing.assert_close(out[0, 0, 1:4, 2:5], kernel[:, None] * kernel)
    assert out.sum().item() == pytest.approx(1)
    along = blurred(dot, torch.tensor([[0.0, 0.6]]))
    torch.testing.assert_close(along[0, 0, 2, 2:5], kernel)
    assert along[0, 0, 1].abs().max() < 1e-6


def test_the_first_upsampler_meets_blurs_from_none_to_the_papers() -> None:
    flat = torch.full((4, 4, 8, 12), 0.3)
    torch.testing.assert_close(blur(flat, np.random.default_rng(0)), flat)
    step = torch.zeros(400, 1, 6, 6)
    step[:, :, :, 3:] = 1.0
    out = blur(step, np.random.default_rng(0))
    side = math.exp(-0.5 / MOST_SIGMA**2)
    spilt = out[:, 0, 0, 2]
    assert 0.0 <= spilt.min() < 0.001
    assert side / (1 + 2 * side) * 0.97 < spilt.max() <= side / (1 + 2 * side)


def test_bsr_treats_each_picture_in_a_way_of_its_own() -> None:
    same = low(1).expand(6, -1, -1, -1)
    out = bsr(same, np.random.default_rng(0))
    assert out.shape == same.shape
    assert out.min() >= -1
    assert out.max() <= 1
    assert torch.cdist(out.flatten(1), out.flatten(1)).fill_diagonal_(9).min() > 0.1
    worse = (out - same).abs().mean(dim=(1, 2, 3))
    assert worse.min() > 0.02  # of pictures that are nothing but noise, the worst case
    assert worse.max() < 0.5
    flat = torch.full((8, 4, 8, 12), 0.25)
    torch.testing.assert_close(bsr(flat, np.random.default_rng(1)), flat, atol=0.5, rtol=0)
    assert (bsr(flat, np.random.default_rng(1)) - flat).mean().abs() < 0.02


def test_bsr_does_four_things_in_an_order_that_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def note(name: str) -> Degrade:
        def step(low: Tensor, rng: np.random.Generator) -> Tensor:
            done.append(name)
            return low

        return step

    names = ("soften", "resize", "add_noise", "compress")
    for name in names:
        monkeypatch.setattr(f"pictura.train.unclips.degrade._{name}", note(name))
    bsr(low(1).expand(300, -1, -1, -1), np.random.default_rng(0))
    orders = {tuple(done[i : i + 4]) for i in range(0, len(done), 4)}
    assert orders == set(permutations(names))


@pytest.mark.parametrize("name", DEGRADE)
@pytest.mark.parametrize("channels", [3, 4])
def test_what_happens_comes_from_the_generator_alone(name: str, channels: int) -> None:
    given = low(channels=channels)
    before = given.clone()
    first, again, other = (DEGRADE[name](given, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(given, before)


# The loss


def test_the_true_picture_has_no_loss_and_another_that_of_its_velocity() -> None:
    upsampler = Upsampler(UpsamplerConfig(**get_preset("upsampler", "micro"))).requires_grad_(False)
    t, small = torch.tensor([0.4, 0.9]), low(2)
    wide = F.interpolate(small, scale_factor=4, mode="bilinear")  # all that an untrained one knows
    noise, step = torch.randn_like(wide), UpsamplerStep(upsampler)
    assert step(wide, noise, t, small).abs().max() < 1e-10
    _, s = alpha_sigma("cosine", t)
    torch.testing.assert_close(step(wide + 0.1, noise, t, small), 0.01 / s**2)


# The task


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coloured stripes of two pixels; averages over four by four are plain."""
    folder = tmp_path_factory.mktemp("upsampler")
    make_pairs(folder, 32)
    for path in (folder / "set").glob("*.png"):
        pixels = np.asarray(Image.open(path)).copy()
        pixels[:, np.arange(32) % 4 < 2] //= 2
        Image.fromarray(pixels).save(path)
    return folder


def recipe_of(name: str, **tables: Any) -> Recipe:
    base: dict[str, Any] = {
        "task": "unclip-upsampler",
        "name": name,
        "data": {"size": 32},
        "model": {"preset": "micro"},
        "training": {"learning_rate": 3e-3, "ema_long": 0.5, "ema_short": 0.5, "time_shift": 1.0},
    }
    for key, table in tables.items():
        base[key] = {**base[key], **table} if isinstance(base.get(key), dict) else table
    return make_recipe(**base)


def task_of(made: Run) -> UpsamplerTask:
    assert isinstance(made.task, UpsamplerTask)
    return made.task


def test_crops_are_a_quarter_of_the_area_and_begin_where_small_pixels_do(root: Path) -> None:
    task = task_of(run(recipe_of("crops"), root))
    place = torch.arange(32 * 32.0).reshape(1, 1, 32, 32).expand(200, 4, 32, 32)
    crops = task.crop(place, np.random.default_rng(0))
    assert crops.shape == (200, 4, 16, 16)
    corners = [divmod(int(crop[0, 0, 0]), 32) for crop in crops]
    assert {side for corner in corners for side in corner} == {0, 4, 8, 12, 16}
    for crop, (top, left) in zip(crops, corners, strict=True):
        assert torch.equal(crop, place[0, :, top : top + 16, left : left + 16])
    small = task.small(crops[:1])
    top, left = corners[0]
    torch.testing.assert_close(
        small, task.small(place[:1])[:, :, top // 4 : top // 4 + 4, left // 4 : left // 4 + 4]
    )


def test_small_pictures_are_made_worse_in_training_alone(root: Path) -> None:
    task = task_of(run(recipe_of("worse", unclip={"degradation": "bsr", "most_weight": 5.0}), root))
    assert task.module.most_weight == 5.0
    batch = run(recipe_of("worse"), root).materials.train.batch(0, 4)
    x_0, noise, t, given = task.inputs(batch, np.random.default_rng(0))
    assert x_0.shape == noise.shape == (4, 4, 16, 16)
    assert given.shape == (4, 4, 4, 4)
    assert t.shape == (4,)
    assert not torch.equal(given, F.avg_pool2d(x_0, 4))
    task.module.eval()
    x_0, _, _, given = task.inputs(batch, np.random.default_rng(0))
    torch.testing.assert_close(given, F.avg_pool2d(x_0, 4))
    plain = task_of(run(recipe_of("plain"), root))
    assert plain.degrade is blur


def test_it_learns_what_interpolation_does_not_know(root: Path) -> None:
    training = {"num_steps": 80, "batch_size": 4, "learning_rate": 1e-2}
    made = run(recipe_of("learns", training=training), root)
    before = made.validate()["validation_ema_short"]
    made.train()
    assert made.validate()["validation_ema_short"] < 0.3 * before
    sheet = task_of(made).preview(made.recipe, made.materials, 8)
    assert sheet.shape == (8, 4, 32, 32)
    seen, painted = sheet.split(4)
    images = torch.as_tensor(made.materials.validation.batch(0, 4).images)
    assert (painted - images).abs().mean() < 0.8 * (seen - images).abs().mean()


def saved(done: Run) -> checkpoint.Checkpoint:
    folder = checkpoint.find_latest(done.folder)
    assert folder is not None
    return checkpoint.load(folder)


@pytest.mark.parametrize("degradation", ["blur", "bsr"])
def test_a_resumed_run_is_bit_equal_to_one_that_never_stopped(root: Path, degradation: str) -> None:
    tables = {"training": {"accumulate": 2, "decay_fraction": 0.75}, "unclip": {"degradation": degradation}}
    straight = run(recipe_of(f"straight-{degradation}", **tables), root)
    straight.train()
    stopped = run(recipe_of(f"stopped-{degradation}", **tables), root)
    for _ in range(2):
        stopped._advance(0.0)
    stopped.save()
    resumed = run(recipe_of(f"stopped-{degradation}", **tables), root)
    assert resumed.step == 2
    resumed.train()
    wanted, came = saved(straight).weights, saved(resumed).weights
    for name in ("model", "ema_long", "ema_short"):
        for key, value in wanted[name].items():
            assert torch.equal(came[name][key], value), f"{name} {key}"


def test_a_checkpoint_says_what_the_network_is_and_another_run_starts_from_it(root: Path) -> None:
    made = run(recipe_of("told", model={"upsampler": {"width": 16}}), root)
    made.train()
    kept = saved(made)
    assert kept.config["upsampler"]["width"] == 16
    assert kept.config["grids"] == [[32, 32]]
    with pytest.raises(ConfigError, match="holds another upsampler than the recipe asks for"):
        run(recipe_of("told"), root)
    new = task_of(run(recipe_of("new", model={"init_from": "runs/told"}), root))
    for name, value in kept.weights["ema_long"].items():
        assert torch.equal(new.module.state_dict()[name], value)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"data": {"size": 24}}, "4 channels of 32 x 32 pixels; got pictures of 4 channels and 24 x 24"),
        ({"unclip": {"degradation": "blurr"}}, "must be 'blur' or 'bsr'; got 'blurr'. Did you mean 'blur'"),
        ({"model": {"preset": "papper"}}, "upsampler has no preset 'papper'. Did you mean 'paper'"),
        ({"model": {"upsampler": {"size": 20}}}, "must be twice a multiple of 4, .* got 20"),
    ],
)
def test_recipes_that_cannot_be_are_refused(root: Path, tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(recipe_of("refused", **tables), root)
