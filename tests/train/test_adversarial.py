"""Adversarial training: whom each update changes, what discriminators are told, resume, two processes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from typer.testing import CliRunner

from pictura.cli.app import app
from pictura.core.errors import TrainingError
from pictura.nn.gan import Painted, Verdict
from pictura.train import checkpoint
from pictura.train.gans.adversarial import diversity
from pictura.train.gans.gan import Inputs
from pictura.train.gans.gan_losses import discriminator_loss
from pictura.train.loop import Run
from pictura.train.preview import preview
from pictura.train.step import rng_of
from tests.train.gan_kit import FAMILIES, gan_recipe, make_matcher, parts_of
from tests.train.kit import ALONE, COLOURS, make_set, run
from tests.train.test_loop import run_by_two, saved


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `set` and a matcher that knows its colours; each test names its run."""
    folder = tmp_path_factory.mktemp("gans")
    make_set(folder / "set")
    make_matcher(folder)
    return folder


def inputs_of(made: Run, position: int = 0, size: int = 4) -> Inputs:
    _, task = parts_of(made)
    return task.inputs(made.materials.train.batch(position, size), rng_of(made.recipe, position))


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


def changed(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    return {n for n, weight in module.named_parameters() if not torch.equal(before[n], weight)}


@pytest.mark.parametrize("task", FAMILIES)
def test_in_bf16_a_run_learns_nearly_the_same_and_keeps_weights_in_fp32(root: Path, task: str) -> None:
    exact, rough = (
        run(gan_recipe(task, name=f"{task}-bf16-{on}", training={"bf16": on}), root) for on in (False, True)
    )
    losses = [made.stepper.step(0, 0.0)["loss"] for made in (exact, rough)]
    assert losses[0] != losses[1]  # else it was not asked for
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    weights = rough.task.module.state_dict().values()
    assert all(weight.dtype == torch.float32 for weight in weights if weight.is_floating_point())


@pytest.mark.parametrize("task", FAMILIES)
def test_each_optimiser_changes_its_own_networks_alone(root: Path, task: str) -> None:
    for mine, rates in (("generator.", (1e-3, 0.0)), ("discriminators.", (0.0, 1e-3))):
        made = run(
            gan_recipe(
                task,
                name="own",
                training={"learning_rate": rates[0]},
                adversarial={"discriminator_learning_rate": rates[1]},
            ),
            root,
        )
        before = weights_of(made.module)
        made._advance(0.0)
        names = changed(before, made.module)
        assert names
        assert all(name.startswith(mine) for name in names)
        if task != "dfgan":  # whose gates open from zero, so that nothing behind them moves yet
            assert len(names) > 0.9 * sum(name.startswith(mine) for name in before)


@pytest.mark.parametrize("task", FAMILIES)
def test_no_gradient_of_one_side_reaches_the_other(root: Path, task: str) -> None:
    made = run(gan_recipe(task, name="apart", adversarial={"match_weight": 1.0}), root)
    stepper, _ = parts_of(made)
    given, module = inputs_of(made), stepper.module
    painted: Painted = module.generator(given.noise, given.cond)
    real = [nn.functional.adaptive_avg_pool2d(given.images, size) for size in module.generator.sizes]
    terms, _ = stepper._discriminator_terms(real, painted, given)
    torch.stack([value.sum() for value in terms.values()]).sum().backward()
    assert all(weight.grad is None for weight in module.generator.parameters())
    assert all(weight.grad is not None for weight in module.discriminators.parameters())

    module.discriminators.requires_grad_(False)
    before = {name: weight.grad.clone() for name, weight in module.discriminators.named_parameters()}
    wanted = stepper._generator_terms(painted, given)
    assert {"match", "generator_16"} <= set(wanted)
    torch.stack([value.sum() for value in wanted.values()]).sum().backward()
    reached = [w.grad is not None and w.grad.abs().sum() > 0 for w in module.generator.parameters()]
    assert all(reached) if task != "dfgan" else any(reached)
    for name, weight in module.discriminators.named_parameters():
        assert torch.equal(weight.grad, before[name])
    for name, weight in stepper.task.matcher.named_parameters():
        assert weight.grad is None, name


class Listener(nn.Module):
    """A discriminator that says what it is told, and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Tensor] = []
        self.weight = nn.Parameter(torch.ones(()))

    def features(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))

    def judge(self, features: Tensor, told: Tensor) -> Verdict:
        self.told.append(told)
        return Verdict(self.weight * (features + told[:, 0]), features)


def test_wrong_sentences_are_those_of_others_and_count_where_they_are_surely_wrong(root: Path) -> None:
    stepper, _ = parts_of(run(gan_recipe(name="told"), root))
    listener = Listener()
    stepper.module.discriminators = nn.ModuleList([listener])
    told = torch.tensor([[3.0], [5.0], [-2.0]])
    # Picture 1 may show what sentence 0 says, and picture 0 what sentence 2 says.
    rival = torch.tensor([[False, True, False], [False, False, True], [True, True, False]])
    real, copy = torch.rand(3, 3, 16, 16), torch.rand(3, 3, 16, 16)
    given = Inputs(real, torch.empty(0), torch.empty(0), torch.empty(0), torch.empty(0), rival)
    terms, said = stepper._discriminator_terms([real], Painted(images=(copy,), told=told), given)

    assert [each.tolist() for each in listener.told] == [
        [[3], [5], [-2]],
        [[-2], [3], [5]],  # picture 0 with sentence 2, 1 with 0, 2 with 1
        [[3], [5], [-2]],
    ]
    right, wrong, painted = (
        Verdict(see.mean(dim=(1, 2, 3)) + words[:, 0], see.mean(dim=(1, 2, 3)))
        for see, words in ((real, told), (real, told.roll(1, dims=0)), (copy, told))
    )
    counts = torch.tensor([0.0, 0.0, 1.0])
    expected = discriminator_loss("joint", right, wrong, painted, counts, 1.0)
    assert torch.allclose(terms["discriminator_16"], expected)
    # Of six pictures, two real ones are taken for real and one painted one for painted.
    assert said == {"discriminator_right": pytest.approx(3 / 6)}


def test_sentences_that_are_equal_are_no_wrong_ones(root: Path) -> None:
    made = run(gan_recipe(name="equal"), root)
    captions = made.materials.train.batch(0, 12).captions
    rival = inputs_of(made, size=12).rival
    assert len(set(captions)) == 4
    for i, one in enumerate(captions):
        assert rival[i].tolist() == [one != other for other in captions]


def test_diversity_is_a_share_of_that_of_real_pictures() -> None:
    real = torch.rand(6, 3, 4, 4)
    assert diversity(real / 4 + 0.3, real) == pytest.approx(0.25)
    assert diversity(real[:1].expand(6, -1, -1, -1), real) == 0


@pytest.mark.parametrize("task", FAMILIES)
def test_a_resumed_run_is_bit_equal_to_one_that_never_stopped(root: Path, task: str) -> None:
    straight = run(gan_recipe(task, name=f"straight-{task}"), root)
    assert straight.train() == "steps"
    stopped = run(gan_recipe(task, name=f"stopped-{task}"), root)
    for _ in range(2):
        stopped._advance(0.0)
    stopped.save()
    resumed = run(gan_recipe(task, name=f"stopped-{task}"), root)
    assert resumed.step == 2
    resumed.train()

    ours, theirs = saved(resumed), saved(straight)
    for name in ("model", "ema_long", "ema_short", "frozen"):
        assert ours.weights[name].keys() == theirs.weights[name].keys()
        for key, value in theirs.weights[name].items():
            assert torch.equal(ours.weights[name][key], value), f"{name} {key}"
    statistics = [key for key in theirs.weights["model"] if key.endswith("running_var")]
    assert bool(statistics) == (task != "dfgan")
    assert {key.partition(".")[0] for key in theirs.optimizer} == {"0", "1"}
    assert ours.optimizer.keys() == theirs.optimizer.keys()
    for key, value in theirs.optimizer.items():
        assert torch.equal(ours.optimizer[key], value), key


BOTH = """
import sys, torch
from pathlib import Path
from safetensors.torch import save_file
from pictura.core.errors import TrainingError
from pictura.train.gans.alarms import Alarms
from pictura.train.distributed import join
from pictura.train.loop import Run
from pictura.train.recipe import AdversarialSettings, load_recipe

root = Path(sys.argv[1])
with join("cpu", threads=1) as process:
    run = Run(load_recipe(root / "both.toml"), root, root / "runs" / "both", process)
    run._advance(0.0)
    grads = {n: w.grad.clone() for n, w in run.module.discriminators.named_parameters()}
    if process.leads:
        save_file(grads, root / "both.safetensors")
    run.train()
    weights = torch.cat([weight.detach().flatten() for weight in run.module.parameters()])
    both = [torch.empty_like(weights) for _ in range(2)]
    torch.distributed.all_gather(both, weights)
    assert torch.equal(*both)

    # One process alone would stop; together they are healthy, and then both are not.
    alarms = Alarms(AdversarialSettings(alarm_steps=1), process)
    numbers = {"discriminator_right": 0.5, "generator_16": 1.0, "discriminator_16": 1.0}
    alarms.look(0, {**numbers, "diversity": 0.0 if process.leads else 0.3})
    try:
        alarms.look(1, {**numbers, "diversity": 0.0 if process.leads else 0.18})
    except TrainingError as error:
        assert "differed 9.0% as much" in str(error)
    else:
        raise AssertionError("no alarm rang")
"""


def test_two_processes_learn_from_the_mean_of_their_gradients_and_stay_equal(root: Path) -> None:
    (root / "both.py").write_text(BOTH)
    (root / "both.toml").write_text(
        'task = "attngan"\nname = "both"\n[data]\npath = "set"\nsize = 16\n'
        '[model]\npreset = "micro"\ntext = "runs/damsm"\n'
        "[training]\nnum_steps = 3\nbatch_size = 4\nwarmup_steps = 0\nmax_grad_norm = inf\n"
        "[log]\nvalidate_every = 0\nsample_every = 0\ncheckpoint_every = 0\n"
    )
    run_by_two(str(root / "both.py"), str(root))
    mean = load_file(root / "both.safetensors")
    halves = []
    for rank in range(2):
        made = run(gan_recipe("attngan", name=f"half-{rank}"), root, process=replace(ALONE, rank=rank))
        made._advance(0.0)
        network = parts_of(made)[0].module.discriminators
        halves.append({name: weight.grad for name, weight in network.named_parameters()})
    for name, value in mean.items():
        torch.testing.assert_close(value, (halves[0][name] + halves[1][name]) / 2, msg=name)


def test_averages_and_what_is_validated_leave_discriminators_out(root: Path) -> None:
    made = run(gan_recipe(name="averages"), root)
    made.train()
    for name in ("ema_long", "ema_short"):
        assert {key.partition(".")[0] for key in saved(made).weights[name]} == {"generator"}
    assert any(key.startswith("discriminators.") for key in saved(made).weights["model"])
    assert {key.partition(".")[0] for key in saved(made).weights["frozen"]} == {"matcher", "text_encoder"}
    before = made.validate()
    with torch.no_grad():
        for weight in made.module.discriminators.parameters():  # type: ignore[union-attr]
            weight.add_(1)
    assert made.validate() == before


def test_validation_is_finite_and_lower_for_pictures_that_match(root: Path) -> None:
    made = run(gan_recipe(name="match"), root)
    assert all(math.isfinite(value) for value in made.validate().values())
    given = inputs_of(made, size=20)
    module = parts_of(made)[0].module
    with torch.no_grad():
        true = module.mismatch(given.images, given)
        other = module.mismatch(given.images.roll(1, dims=0), given)
    assert true.shape == (20,)
    assert true.mean() < 0.7 * other.mean()


@pytest.mark.parametrize("task", FAMILIES)
def test_a_preview_paints_with_the_averages_and_leaves_no_trace(root: Path, task: str) -> None:
    prompts = [f"a {name} picture" for name in COLOURS]
    made = run(gan_recipe(task, name=f"preview-{task}", log={"prompts": prompts}), root)
    made._advance(0.0)
    before = {name: value.clone() for name, value in made.module.state_dict().items()}
    grids = []
    for _ in range(2):
        grid = preview(made.task, made.averages["ema_long"].weights, made.recipe, made.materials)
        assert grid is not None
        grids.append(grid.tobytes())
        assert grid.size == (2 * 18, 2 * 18)
    assert grids[0] == grids[1]
    assert made.module.training
    assert all(torch.equal(value, before[name]) for name, value in made.module.state_dict().items())


def test_every_loss_stands_in_the_log(root: Path) -> None:
    for task, sides in (("stackgan", (8, 16)), ("attngan", (8, 16)), ("dfgan", (16,))):
        made = run(gan_recipe(task, name=f"logs-{task}", adversarial={"match_weight": 0.5}), root)
        made.train()
        lines = [json.loads(line) for line in (made.folder / "metrics.jsonl").read_text().splitlines()]
        steps = [line for line in lines if "loss" in line]
        assert len(steps) == 4
        wanted = {f"{side}_{size}" for side in ("generator", "discriminator") for size in sides}
        wanted |= {"match", "loss", "discriminator_right", "diversity", "grad_norm", "rate", "images_per_s"}
        wanted |= {"discriminator_penalty_16"} if task == "dfgan" else {"kl"}
        assert wanted <= steps[-1].keys(), task
        parts = [
            v for name, v in steps[-1].items() if name.startswith("generator_") or name in ("kl", "match")
        ]
        assert steps[-1]["loss"] == pytest.approx(sum(parts), abs=1e-4)
        assert {"validation_ema_long", "validation_ema_short"} <= lines[-1].keys()


def test_a_loss_that_is_no_number_stops_the_run_and_spoils_nothing(root: Path) -> None:
    made = run(gan_recipe(name="broken"), root)
    module = parts_of(made)[0].module
    with torch.no_grad():
        next(module.generator.parameters()).fill_(float("nan"))
    before = weights_of(module.discriminators)
    with pytest.raises(
        TrainingError,
        match=r"^Step 0: loss nan .* Lower adversarial\.discriminator_learning_rate and run again; "
        r"earlier checkpoints are kept\.$",
    ):
        made.train()
    assert not changed(before, module.discriminators)


def test_an_alarm_ends_the_command_and_keeps_the_checkpoints(root: Path) -> None:
    (root / "alarm.toml").write_text(
        'task = "stackgan"\nname = "alarm"\n[data]\npath = "set"\nsize = 16\n'
        '[model]\npreset = "micro"\ntext = "runs/damsm"\n'
        "[training]\nnum_steps = 9\nbatch_size = 4\n[adversarial]\nleast_diversity = 99\nalarm_steps = 3\n"
        "[log]\nvalidate_every = 0\nsample_every = 0\ncheckpoint_every = 1\n"
    )
    call = ["train", str(root / "alarm.toml"), "--runs", str(root / "runs"), "--device", "cpu"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == TrainingError.exit_code
    assert "the generator paints one picture for all. Lower both learning rates" in result.stderr
    folder = checkpoint.find_latest(root / "runs" / "alarm")
    assert folder is not None
    assert checkpoint.load(folder).step == 2
