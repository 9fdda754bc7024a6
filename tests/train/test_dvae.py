"""Training of the discrete VAE: its loss, its schedules, and exact resume."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError, TrainingError
from pictura.encode.dvae.config import get_preset
from pictura.encode.dvae.losses import logit_laplace
from pictura.encode.dvae.model import Dvae
from pictura.train import checkpoint
from pictura.train.loop import Run
from pictura.train.recipe import DvaeSettings, Recipe
from pictura.train.tasks.dvae import DvaeStep, kl_weight, temperature
from tests.train.kit import make_recipe, make_set, run

SETTINGS = DvaeSettings(temperature_share=0.5, kl_share=0.1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds `set`; each test names its run."""
    folder = tmp_path_factory.mktemp("train")
    make_set(folder / "set")
    return folder


def recipe_of(name: str, model: dict[str, Any] | None = None, **tables: Any) -> Recipe:
    return make_recipe(task="dvae", name=name, model={"preset": "micro", **(model or {})}, **tables)


PLAIN = {"dvae_config": {"patch_paths": False}}
"""Nothing that is learnt before the first step; quicker, too."""


# Schedules


@pytest.mark.parametrize(
    ("progress", "wanted"),
    [(0.0, 1.0), (0.125, 0.862702), (0.25, (1 + 1 / 16) / 2), (0.5, 1 / 16), (0.7, 1 / 16), (1.0, 1 / 16)],
)
def test_the_temperature_falls_along_half_a_cosine(progress: float, wanted: float) -> None:
    assert temperature(progress, SETTINGS) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("progress", "wanted"), [(0.0, 0.0), (0.025, 0.966548), (0.05, 3.3), (0.1, 6.6), (1.0, 6.6)]
)
def test_the_kl_weight_rises_along_half_a_cosine(progress: float, wanted: float) -> None:
    assert kl_weight(progress, SETTINGS) == pytest.approx(wanted, abs=1e-5)


def logged(done: Run, name: str) -> list[float]:
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def test_a_run_by_steps_follows_both_schedules(root: Path) -> None:
    settings = {"temperature_share": 0.5, "kl_share": 0.5}
    done = run(recipe_of("by-steps", PLAIN, dvae=settings, training={"num_steps": 4}), root)
    done.train()
    half = (1 + 1 / 16) / 2
    assert logged(done, "temperature") == pytest.approx([1.0, half, 1 / 16, 1 / 16], abs=1e-5)
    assert logged(done, "kl_weight") == pytest.approx([0.0, 3.3, 6.6, 6.6], abs=1e-5)
    assert isinstance(done.module, DvaeStep)
    assert len(done.module.noted) == 1  # of the last step alone


def test_a_run_by_minutes_follows_them_and_its_next_stretch_does_not_go_back(root: Path) -> None:
    recipe = recipe_of("by-minutes", PLAIN, dvae=vars_of(SETTINGS), training={"num_steps": 10**6})
    first = run(recipe, root)
    for spent in (0.0, 0.25, 0.9):
        metrics = first._advance(spent)
        assert metrics["temperature"] == pytest.approx(temperature(spent, SETTINGS), abs=1e-5)
    first.save()
    second = run(recipe, root)
    metrics = second._advance(0.0)
    assert (metrics["temperature"], metrics["kl_weight"]) == pytest.approx((1 / 16, 6.6))


def vars_of(settings: DvaeSettings) -> dict[str, float]:
    return {name: getattr(settings, name) for name in ("temperature_share", "kl_share")}


# The loss


def step_of(**settings: float) -> DvaeStep:
    torch.manual_seed(0)
    return DvaeStep(Dvae(get_preset("micro", patch_paths=False)), DvaeSettings(**settings))  # type: ignore[arg-type]


def given(temperature: float = 1.0, kl_weight: float = 6.6) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 4, 8, 12, generator=generator)
    noise = -torch.empty(3, 32, 2, 3).exponential_(generator=generator).log()
    return images, noise, torch.tensor(temperature), torch.tensor(kl_weight)


def test_a_code_of_one_place_costs_the_kl_weight_over_the_numbers_that_it_stands_for() -> None:
    # The paper's 6.6 / 192 for RGB and 8 pixels a code; here 4 channels and 4 pixels: 6.6 / 64.
    module = step_of()
    with torch.no_grad():  # whatever the picture, surely code 5
        module.dvae.encoder.logits.weight.zero_()
        bias = module.dvae.encoder.logits.bias
        assert bias is not None
        bias[5] = 200.0
        without, loss = module(*given(kl_weight=0.0)), module(*given())
    torch.testing.assert_close(loss - without, torch.full((3,), 6.6 / 64 * math.log(32)))


def test_in_training_pictures_pass_through_soft_codes() -> None:
    module, inputs = step_of(least_scale=0.2), given(temperature=0.7, kl_weight=0.0)
    images, noise = inputs[:2]
    soft = torch.softmax((module.dvae.logits(images) + noise) / 0.7, dim=1)
    wanted = logit_laplace(images, module.dvae.relaxed(soft), least_scale=0.2).mean(dim=(1, 2, 3))
    torch.testing.assert_close(module(*inputs), wanted)


def test_validation_is_of_the_codes_in_use_whatever_the_schedules() -> None:
    module = step_of().eval()
    images, noise, *_ = given()
    early = module(images, noise, torch.tensor(1.0), torch.tensor(6.6))
    late = module(images, torch.zeros_like(noise), torch.tensor(0.1), torch.tensor(6.6))
    assert torch.equal(early, late)
    statistics = module.dvae.decoder.of_codes(module.dvae.encode(images))
    exact = module(images, noise, torch.tensor(1.0), torch.tensor(0.0))
    torch.testing.assert_close(exact, logit_laplace(images, statistics).mean(dim=(1, 2, 3)))
    assert not module.noted


def test_the_encoder_learns_through_the_noise_and_the_softmax() -> None:
    module = step_of()
    module(*given(kl_weight=0.0)).mean().backward()
    for name, weight in module.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_the_noise_is_gumbels_and_comes_from_the_generator_that_is_given(root: Path) -> None:
    task = run(recipe_of("noise", PLAIN), root).task
    batch = run(recipe_of("noise", PLAIN), root).materials.train.batch(0, 64)
    first, again, other = (task.inputs(batch, np.random.default_rng(seed))[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (64, 32, 4, 4)
    assert first.mean().item() == pytest.approx(0.5772, abs=0.03)
    assert first.std().item() == pytest.approx(math.pi / math.sqrt(6), abs=0.03)


# Runs


def test_it_learns_colours_with_several_codes(root: Path) -> None:
    training = {"num_steps": 80, "batch_size": 8, "learning_rate": 5e-3, "ema_short": 0.9}
    done = run(recipe_of("colours", PLAIN, training=training, dvae={"least_scale": 0.3}), root)
    before = done.validate()["validation_ema_short"]
    done.train()
    assert done.validate()["validation_ema_short"] < before - 0.5
    assert logged(done, "code_perplexity")[-1] > 2
    assert logged(done, "codes_used")[-1] > 0.1
    assert logged(done, "pixel_error")[-1] < 0.85 * logged(done, "pixel_error")[0]


def test_a_start_from_patches_knows_colours_before_the_first_step(root: Path) -> None:
    patchy, plain = run(recipe_of("patchy"), root), run(recipe_of("plain", PLAIN), root)
    errors = []
    for each in (patchy, plain):
        images = each.task.inputs(each.materials.validation.batch(0, 16), np.random.default_rng(0))[0]
        dvae = each.module.dvae
        assert isinstance(dvae, Dvae)
        with torch.no_grad():
            errors.append(float((dvae.decode(dvae.encode(images)) - images).abs().mean()))
    assert errors[0] < 0.05 < errors[1]


def test_a_resumed_run_is_bit_equal_to_one_that_never_stopped(root: Path) -> None:
    training = {"accumulate": 2, "decay_fraction": 0.75}
    straight = run(recipe_of("straight", PLAIN, training=training, dvae=vars_of(SETTINGS)), root)
    straight.train()
    stopped = run(recipe_of("stopped", PLAIN, training=training, dvae=vars_of(SETTINGS)), root)
    for _ in range(2):
        stopped._advance(0.0)
    stopped.save()
    resumed = run(recipe_of("stopped", PLAIN, training=training, dvae=vars_of(SETTINGS)), root)
    assert resumed.step == 2
    resumed.train()
    for name in ("model", "ema_long", "ema_short"):
        for key, value in saved(straight).weights[name].items():
            assert torch.equal(saved(resumed).weights[name][key], value), f"{name} {key}"


def saved(done: Run) -> checkpoint.Checkpoint:
    folder = checkpoint.find_latest(done.folder)
    assert folder is not None
    return checkpoint.load(folder)


def test_a_checkpoint_says_what_the_network_is(root: Path) -> None:
    done = run(recipe_of("told", {"dvae_config": {"vocab_size": 20, "patch_paths": False}}), root)
    done.save()
    config = saved(done).config
    assert config["dvae"]["vocab_size"] == 20
    assert config["grids"] == [[4, 4]]
    assert "dvae.encoder.logits.weight" in saved(done).weights["ema_long"]
    with pytest.raises(ConfigError, match="holds another dvae than the recipe asks for"):
        run(recipe_of("told", PLAIN), root)


def test_a_run_starts_from_another_with_its_schedules_done(root: Path) -> None:
    old = run(recipe_of("old", PLAIN), root)
    old.train()
    new = run(recipe_of("new", {"init_from": "runs/old"}), root)
    key = "dvae.decoder.codes.weight"
    assert torch.equal(new.module.state_dict()[key], saved(old).weights["ema_long"][key])
    metrics = new._advance(0.0)
    assert (metrics["temperature"], metrics["kl_weight"]) == pytest.approx((1 / 16, 6.6))
    run(make_recipe(name="painter"), root).save()
    with pytest.raises(ConfigError, match=r"init_from is 'runs/painter', which holds no dvae\."):
        run(recipe_of("none", {"init_from": "runs/painter"}), root)


def test_previews_show_pictures_above_their_copies(root: Path) -> None:
    done = run(recipe_of("shown", PLAIN), root)
    sheet = done.task.preview(done.recipe, done.materials, 8)
    assert sheet is not None
    assert sheet.shape == (8, 4, 16, 16)
    images = torch.as_tensor(done.materials.validation.batch(0, 4).images)
    torch.testing.assert_close(sheet[:4], images)
    dvae = done.module.dvae
    assert isinstance(dvae, Dvae)
    torch.testing.assert_close(sheet[4:], dvae.decode(dvae.encode(images)))


def test_networks_of_three_channels_see_pictures_on_white(root: Path) -> None:
    done = run(recipe_of("opaque", {"dvae_config": {"image_channels": 3, "patch_paths": False}}), root)
    done.train()
    assert saved(done).config["dvae"]["image_channels"] == 3
    batch = done.materials.train.batch(0, 4)
    assert done.task.inputs(batch, np.random.default_rng(0))[0].shape == (4, 3, 16, 16)


def test_a_collapsed_encoder_ends_the_run(root: Path) -> None:
    settings = {"window_steps": 2, "alarm_share": 0.5}
    done = run(recipe_of("collapsed", PLAIN, dvae=settings), root)
    with torch.no_grad():
        done.module.get_parameter("dvae.encoder.logits.bias")[3] = 50.0
    with pytest.raises(TrainingError, match="Step 2: only 1 of 32 codes were used in the last 2 steps"):
        done.train()


def test_pictures_of_another_size_are_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.size must be a multiple of 4.*; got 18\."):
        run(recipe_of("odd", PLAIN, data={"size": 18}), root)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"final_temperature": 0.0}, "dvae.final_temperature must be above 0; got 0"),
        ({"temperature_share": 0.0}, "dvae.temperature_share must be above 0 and at most 1; got 0"),
        ({"least_used": 1.5}, r"dvae.least_used must be in \[0, 1\]; got 1.5"),
        ({"kl_weight": float("nan")}, "dvae.kl_weight must be at least 0; got nan"),
        ({"window_steps": 0}, "dvae.window_steps must be at least 1; got 0"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        recipe_of("impossible", dvae=setting)


def test_rewards_are_for_adversaries_alone(root: Path) -> None:
    with pytest.raises(ConfigError, match="the task 'dvae' has none"):
        recipe_of("critic", critic={"rewards": [{"name": "palette"}]})
