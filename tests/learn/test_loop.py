"""The loop: it learns what is rewarded and nothing else, and stops with the reason when something is off."""

import json
import math
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pictura.core.errors import ConfigError, RewardError
from pictura.core.types import Prompt
from pictura.learn.algorithms.grpo import GRPO, GRPOSettings
from pictura.learn.draws import seeds_of
from pictura.learn.export_student import export_student
from pictura.learn.loop import Run, share
from pictura.learn.sampling import paint
from pictura.store.weights import WEIGHTS
from pictura.train import checkpoint
from pictura.train.export.part import write_manifest
from tests.learn.loop_kit import LINES, aligned, make_recipe, make_root, run

MINE = "tests.learn.loop_kit"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a painter and lines; each test names its run."""
    return make_root(tmp_path_factory.mktemp("learn"))


def lines_of(done: Run, key: str) -> list[float]:
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    return [line[key] for line in lines if key in line]


def alignment(done: Run, lines: tuple[Prompt, ...]) -> tuple[float, float]:
    """Mean of `aligned` over pictures of the average, and its standard error over pictures."""
    seeds = [seed for i in range(len(lines)) for seed in seeds_of(7, 0, i, 16)]
    rollout = paint(done.policy, done.actors.ema, lines, seeds, done.painting, group_size=16)
    scores = aligned(rollout.images, [prompt.text for prompt in rollout.prompts])
    return float(scores.mean()), float(scores.std()) / len(scores) ** 0.5


@pytest.mark.parametrize("algorithm", ["nft", "grpo", "awm"])
def test_brightness_rises_by_ten_standard_errors(root: Path, algorithm: str) -> None:
    recipe = make_recipe(
        name=f"brighter-{algorithm}",
        algorithm={"name": algorithm},
        training={"num_updates": 15, "learning_rate": 1e-3},
        guards={"max_kl": 0.0, "min_diversity": 0.0},
    )
    done = run(recipe, root)
    assert done.learn().kind == "updates"
    reward, spread = lines_of(done, "reward"), lines_of(done, "reward_std")
    error = math.hypot(spread[0], spread[-1]) / 16**0.5  # of the mean of 16 pictures
    assert reward[-1] - reward[0] > 10 * error


def test_a_reward_that_says_nothing_teaches_nothing(root: Path) -> None:
    rewards = []
    for seed in range(5):
        recipe = make_recipe(
            name=f"random-{seed}",
            seed=seed,
            rewards=[{"name": "random", "seed": seed}],
            prompts={"per_update": 4, "group_size": 8},
            training={"num_updates": 12, "learning_rate": 3e-3},
            guards={"max_kl": 0.0},
        )
        done = run(recipe, root)
        assert done.learn().kind == "updates"
        rewards += lines_of(done, "reward")[6:]
    error = (1 / 12 / (32 * len(rewards))) ** 0.5  # a number in [0, 1) has the variance 1/12
    assert abs(np.mean(rewards) - 0.5) < 4 * error


def test_what_was_learnt_holds_for_compositions_never_learnt_and_dies_with_shuffled_prompts(
    root: Path,
) -> None:
    gains = {}
    for name in ("aligned", "shuffled"):
        recipe = make_recipe(
            name=name,
            rewards=[{"name": f"{MINE}:{name}"}],
            prompts={"per_update": 8, "group_size": 8},
            training={"num_updates": 12, "learning_rate": 1e-3},
            guards={"max_kl": 0.0, "min_diversity": 0.0, "max_zero_std": 1.0},
        )
        done = run(recipe, root)
        kept = done.held_out.prompts.prompts
        assert {prompt.text.split()[0] for prompt in kept} == {"light", "dark"}
        before, error = alignment(done, kept)
        assert done.learn().kind == "updates"
        after, error_after = alignment(done, kept)
        gains[name] = (after - before) / math.hypot(error, error_after)
    assert gains["aligned"] > 10
    assert abs(gains["shuffled"]) < gains["aligned"] / 4


def test_who_games_brightness_is_stopped_and_the_best_is_kept(root: Path) -> None:
    recipe = make_recipe(
        name="hacker",
        training={"num_updates": 200, "learning_rate": 1e-3},
        guards={"max_kl": 0.0},
        held_out={"every": 4, "seeds": 8},
        log={"checkpoint_every": 10},
    )
    done = run(recipe, root)
    end = done.learn()
    assert end.kind == "guard"
    assert end.reason.startswith(("diversity: ", "held-out score: "))
    best, last = checkpoint.find_best(done.folder), checkpoint.find_latest(done.folder / "checkpoints")
    assert best is not None
    assert last is not None
    assert checkpoint.load(best).step < checkpoint.load(last).step == done.step < 200
    (said,) = [json.loads(line) for line in (done.folder / "guards.jsonl").read_text().splitlines()]
    assert said["action"] == "stop"
    assert said["step"] == done.step
    assert end.reason == f"{said['guard']}: {said['reason']}"

    with pytest.raises(ConfigError, match=r"A guard stopped this run: .* change \[guards\]"):
        run(recipe, root)
    braver = make_recipe(name="hacker", guards={"min_diversity": 0.0, "held_out_drop": 1e9})
    assert run(braver, root).step == done.step


class Stale(GRPO):
    """Lets another hand paint than the one that learns."""

    behaviour: ClassVar[Any] = "reference"


def test_a_rollout_of_other_weights_is_noticed_before_it_is_learnt_from(root: Path) -> None:
    recipe = make_recipe(name="stale", algorithm={"name": "grpo"}, training={"learning_rate": 1e-2})
    done = run(recipe, root)
    done.algorithm = Stale(GRPOSettings())
    end = done.learn()
    assert end.kind == "guard"
    assert done.step == 2
    assert end.reason.startswith("first ratio: before the first step a ratio of probabilities was ")


def test_a_step_with_no_number_for_a_gradient_is_not_taken(root: Path) -> None:
    done = run(make_recipe(name="blown-up", training={"num_updates": 2}), root)
    before = {name: value.clone() for name, value in done.actors.values.items()}
    value = next(iter(done.actors.values.values()))
    value.register_hook(lambda gradient: gradient * math.nan)
    assert done.learn().kind == "updates"
    for name, theirs in before.items():
        assert torch.equal(done.actors.values[name], theirs), name
    assert lines_of(done, "stepped") == [0.0, 0.0]


def test_a_reward_that_cannot_tell_stops_the_run(root: Path) -> None:
    done = run(make_recipe(name="mute", rewards=[{"name": f"{MINE}:mute"}]), root)
    end = done.learn()
    assert end.reason == (
        "invalid rewards: the reward could not score 25% of the pictures, at most 5% may be so"
    )


def test_a_reward_that_fails_loses_nothing(root: Path) -> None:
    done = run(make_recipe(name="failing", rewards=[{"name": f"{MINE}:failing"}]), root)
    with pytest.raises(RewardError, match="KeyError"):
        done.learn()
    assert done.step == 2
    latest = checkpoint.find_latest(done.folder / "checkpoints")
    assert latest is not None
    assert checkpoint.load(latest).step == 2


def test_pictures_that_do_not_count_do_not_teach(root: Path) -> None:
    """Two runs whose rewards differ only where they are no number are the same run."""
    ends = []
    for name in ("mute", "mute_otherwise"):
        done = run(
            make_recipe(name=f"n{name}", rewards=[{"name": f"{MINE}:{name}"}], guards={"max_invalid": 1.0}),
            root,
        )
        done.learn()
        ends.append(done.actors.values)
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_further_run_starts_from_what_was_learnt_and_holds_on_to_it(root: Path) -> None:
    model = {"weights": "low_rank", "rank": 2}
    first = run(make_recipe(name="first", model=model), root)
    first.learn()
    second = run(make_recipe(name="second", model={**model, "start": "runs/first"}), root)
    for name, value in first.actors.ema_values.items():
        assert torch.equal(second.actors.values[name], value)
        assert torch.equal(second.actors.reference_values[name], value)
    assert any(value.abs().sum() > 0 for name, value in second.actors.values.items() if name.endswith(".up"))
    with pytest.raises(ConfigError, match=r"model\.rank must be those that it learnt with"):
        run(make_recipe(name="third", model={**model, "rank": 3, "start": "runs/first"}), root)
    with pytest.raises(ConfigError, match="holds no checkpoint of `pictura learn`, and no student"):
        run(make_recipe(name="fourth", model={**model, "start": "runs/none"}), root)


def test_a_run_starts_from_the_student_of_the_weights_before(root: Path) -> None:
    """The base was trained further, so its student is gone; the one that it had is nearer than none."""
    model = {"weights": "low_rank", "rank": 2}
    first = run(make_recipe(name="schooling", model=model), root)
    first.learn()
    export_student(first.folder, root / "models" / "before", name="before", last=True)
    further = root / "models" / "further"
    shutil.copytree(first.model.path, further)
    save_file({name: 1.01 * value for name, value in load_file(further / WEIGHTS).items()}, further / WEIGHTS)
    write_manifest(further, {**first.model.manifest, "name": "further"})
    second = run(
        make_recipe(name="next", model={**model, "base": "models/further", "start": "models/before"}), root
    )
    assert second.model.hash != first.model.hash
    for name, value in first.actors.ema_values.items():
        torch.testing.assert_close(second.actors.values[name], value, atol=1e-3, rtol=0)


def test_a_run_of_another_model_is_not_overwritten(root: Path) -> None:
    run(make_recipe(name="same"), root).save()
    with pytest.raises(ConfigError, match="learnt with another model than the recipe asks for"):
        run(make_recipe(name="same", model={"weights": "low_rank"}), root)


def test_drawn_steps_go_without_guidance(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"guidance_scale must be 1 \(off\) for 'grpo'.* got 2\.0"):
        run(make_recipe(algorithm={"name": "grpo"}, rollout={"guidance_scale": 2.0}), root)


def test_back_propagation_learns_from_single_pictures(root: Path) -> None:
    recipe = make_recipe(
        name="backprop",
        algorithm={"name": "backprop"},
        prompts={"group_size": 1},
        training={"num_updates": 10},
    )
    done = run(recipe, root)
    assert done.learn().kind == "updates"
    reward = lines_of(done, "reward")
    assert reward[-1] > reward[0]


def test_each_step_has_the_same_prompts_however_many_share_it() -> None:
    for processes in (1, 2, 4):
        rows = np.array(share(16, 2, processes)).reshape(processes, 2, -1)
        assert [set(rows[:, step].flatten().tolist()) for step in range(2)] == [
            set(range(8)),
            set(range(8, 16)),
        ]


def test_the_lines_of_the_kit_are_many_enough() -> None:
    assert len(LINES) == 20
