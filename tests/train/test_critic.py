"""A reward beside the adversarial loss: the right way up, silent where it cannot tell, never blind."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError, TrainingError
from pictura.core.types import Batch, Prompt
from pictura.reward.brightness import Brightness
from pictura.reward.types import Reward, Scores
from pictura.train.gans.critic import Critic
from pictura.train.gans.surrogate import Surrogate
from pictura.train.loop import Run
from pictura.train.recipe import CriticSettings, Recipe, from_table
from tests.train.kit import ALONE, make_recipe, make_set, run

SIDE, WIDTH = 16, 16
STEPS = 30


class Cut(Brightness):
    """Brightness whose gradient nobody may have: a black box."""

    differentiable = False

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        scores = super().__call__(images.detach(), prompts)
        return Scores(total=scores.total, valid=scores.valid)


class Boastful(Cut):
    """The same, but it says that it has a gradient."""

    differentiable = True


class Picky(Brightness):
    """It can tell of the first picture only, and has a gradient that is no number for the others."""

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        total = images.mean(dim=(1, 2, 3))
        valid = torch.arange(len(images)) < 1
        return Scores(total=total * torch.where(valid, 1.0, torch.nan), valid=valid)


class Mute(Brightness):
    """It never can tell."""

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        total = images.mean(dim=(1, 2, 3))
        return Scores(total=total, valid=torch.zeros(len(images), dtype=torch.bool))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioned set, and a DAMSM of one step that reads its captions."""
    root = tmp_path_factory.mktemp("critic")
    make_set(root / "set")
    damsm = {"width": WIDTH, "embedding": 8, "size": 16, "widths": [8, 8, 8], "region_side": 4}
    recipe = make_recipe(
        task="damsm", name="damsm", training={"num_steps": 1}, model={"damsm": damsm, "max_tokens": 8}
    )
    run(recipe, root).train()
    return root


def recipe_of(name: str, num_steps: int, **critic: object) -> Recipe:
    """A run of the tiniest DF-GAN with a critic."""
    return make_recipe(
        task="dfgan",
        name=name,
        model={"preset": "micro", "text": "runs/damsm", "max_tokens": 8},
        training={"num_steps": num_steps, "batch_size": 8, "warmup_steps": 0, "decay_fraction": 0},
        critic={"rewards": [{"name": "brightness"}], **critic},
    )


def brightness_after(run: Run) -> float:
    """Of what the generator paints after its steps."""
    for number in range(STEPS):
        run.stepper.step(number, 0.0)
    images = run.task.sample(["a red picture", "a blue picture"] * 8)  # type: ignore[attr-defined]
    seen = images[:, :3] + 0.8 * (1 - images[:, 3:]) if images.shape[1] == 4 else images
    return float(seen.mean())


def batch_of(size: int) -> Batch:
    return Batch(images=torch.zeros(size, 3, SIDE, SIDE), captions=("a red picture",) * size)


def critic_of(reward: Reward, *, surrogate: bool = False, **settings: object) -> Critic:
    torch.manual_seed(0)
    table = from_table(CriticSettings, settings, "here")
    network = Surrogate(SIDE, WIDTH, table.memory) if surrogate else None
    return Critic(table, reward, network, seed=0, process=ALONE)


def painted(size: int = 8) -> Tensor:
    """Pictures of different brightness, in [-1, 1]."""
    levels = torch.linspace(-0.8, 0.8, size)[:, None, None, None]
    return levels.expand(size, 3, SIDE, SIDE).clone().requires_grad_(True)


def test_the_gradient_points_up_and_is_the_rewards_own() -> None:
    images = painted()
    term, told = critic_of(Brightness(), weight=3.0).term(images, batch_of(8), torch.zeros(8, WIDTH), 0)
    term.sum().backward()
    # Brightness is the mean of 3 * 16 * 16 values, of which each moves by half when one in [-1, 1] does.
    assert images.grad is not None
    assert torch.allclose(images.grad, torch.full_like(images, -3.0 / 2 / (3 * SIDE * SIDE)))
    assert told == {"reward": pytest.approx(0.5), "reward_valid": 1.0}


@pytest.fixture(scope="module")
def plain(root: Path) -> float:
    """Brightness after steps in which the reward is only looked at."""
    return brightness_after(run(recipe_of("plain", STEPS, weight=0.0), root))


def test_pictures_get_brighter_while_the_discriminators_go_on(root: Path, plain: float) -> None:
    bright = run(recipe_of("bright", STEPS, weight=50.0), root)
    before = [p.clone() for p in bright.module.discriminators.parameters()]  # type: ignore[union-attr]
    assert brightness_after(bright) > plain + 0.1
    after = bright.module.discriminators.parameters()  # type: ignore[union-attr]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_pictures_get_brighter_by_a_surrogate_of_a_black_box(
    root: Path, plain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pictura.train.gans.critic.make_reward", lambda tables, device: Cut())
    guessed = run(recipe_of("guessed", STEPS, weight=50.0, surrogate=True, warmup_steps=10), root)
    assert brightness_after(guessed) > plain + 0.1


def test_what_cannot_be_told_counts_nothing() -> None:
    images = painted()
    term, told = critic_of(Picky()).term(images, batch_of(8), torch.zeros(8, WIDTH), 0)
    term.sum().backward()
    assert images.grad is not None
    assert torch.equal(term[1:], torch.zeros(7))
    assert images.grad[0].abs().min() > 0
    assert torch.equal(images.grad[1:], torch.zeros(7, 3, SIDE, SIDE))
    assert told["reward_valid"] == 1 / 8
    assert told["reward"] == pytest.approx(0.1)


def test_a_surrogate_learns_nothing_of_what_cannot_be_told() -> None:
    critic = critic_of(Picky(), surrogate=True)
    critic.term(painted(), batch_of(8), torch.zeros(8, WIDTH), 0)
    assert critic.surrogate is not None
    assert int(critic.surrogate.count) == 1
    assert float(critic.surrogate.rewards[0]) == pytest.approx(0.1)


def test_a_reward_that_never_tells_ends_the_run() -> None:
    critic = critic_of(Mute())
    for number in range(19):
        critic.term(painted(), batch_of(8), torch.zeros(8, WIDTH), number)
    with pytest.raises(TrainingError, match=r"'brightness' could tell of none .* last 20 steps.*'scenes'"):
        critic.term(painted(), batch_of(8), torch.zeros(8, WIDTH), 19)


def test_a_blind_surrogate_is_not_followed() -> None:
    """Pictures that are all alike, with rewards that nothing explains."""
    torch.manual_seed(0)

    class Dice(Cut):
        def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
            return Scores(total=torch.rand(len(images)), valid=torch.ones(len(images), dtype=torch.bool))

    critic = critic_of(Dice(), surrogate=True, warmup_steps=0, memory=64)
    for number in range(20):
        term, told = critic.term(painted(), batch_of(8), torch.zeros(8, WIDTH), number)
        assert told["surrogate_followed"] == 0
        assert torch.equal(term, torch.zeros(8))
        assert not term.requires_grad
    assert abs(told["surrogate_correlation"]) < 0.5


def test_a_surrogate_that_sees_is_followed_after_its_warm_up() -> None:
    critic = critic_of(Cut(), surrogate=True, warmup_steps=40, memory=32)
    for number in range(41):
        images = (painted() + 0.2 * torch.randn(8, 1, 1, 1)).detach().requires_grad_(True)
        term, told = critic.term(images, batch_of(8), torch.zeros(8, WIDTH), number)
        assert told["surrogate_followed"] == float(number == 40)
    assert told["surrogate_correlation"] > 0.9
    term.sum().backward()
    assert images.grad is not None
    assert images.grad.mean() < 0  # what is made small falls where pictures get brighter
    assert critic.surrogate is not None
    assert torch.allclose(term, -images.detach().mean(dim=(1, 2, 3)) / 2 - 0.5, atol=0.15)


def test_the_reward_is_asked_about_a_share_of_the_pictures() -> None:
    asked = []

    class Counting(Cut):
        def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
            asked.append((len(images), len(prompts)))
            return super().__call__(images, prompts)

    critic = critic_of(Counting(), surrogate=True, share=0.25)
    term, _ = critic.term(painted(), batch_of(8), torch.zeros(8, WIDTH), 0)
    assert asked == [(2, 2)]
    assert len(term) == 8


def test_memory_keeps_the_newest_with_the_guess_of_before() -> None:
    torch.manual_seed(0)
    surrogate = Surrogate(SIDE, WIDTH, 4)
    for start in (0.0, 3.0):
        rewards = torch.arange(start, start + 3)
        surrogate.remember(painted(3).detach(), torch.zeros(3, WIDTH), rewards)
    assert surrogate.rewards.tolist() == [4, 5, 2, 3]
    assert surrogate.guesses[2] == 0  # nothing was known then
    assert surrogate.guesses[0] != 0
    surrogate.remember(painted(9).detach(), torch.zeros(9, WIDTH), torch.arange(9.0))
    assert sorted(surrogate.rewards.tolist()) == [5, 6, 7, 8]


def test_the_newest_answers_say_how_well_it_guesses() -> None:
    surrogate = Surrogate(SIDE, WIDTH, 200)
    surrogate.rewards.copy_(torch.arange(200.0) % 7)
    surrogate.guesses.copy_(5 - 2 * surrogate.rewards)
    surrogate.count += 20
    assert surrogate.correlation() == 0  # too few to say
    surrogate.count += 480  # 500: the newest are the rows 0 to 99, and 172 to 199
    assert surrogate.correlation() == pytest.approx(-1)
    surrogate.guesses[100:172] *= -1
    assert surrogate.correlation() == pytest.approx(-1)
    surrogate.guesses[172] += 100
    assert surrogate.correlation() > -0.9


@pytest.mark.parametrize("surrogate", [False, True])
def test_a_resumed_run_is_the_run_that_never_stopped(root: Path, surrogate: bool) -> None:
    settings = {"surrogate": surrogate, "warmup_steps": 0, "floor": 0.01, "memory": 32}
    whole = run(recipe_of(f"whole-{surrogate}", 6, **settings), root)
    whole.train()
    run(recipe_of(f"parts-{surrogate}", 3, **settings), root).train()
    parts = run(recipe_of(f"parts-{surrogate}", 6, **settings), root)
    assert parts.step == 3
    parts.train()
    mine, theirs = parts.module.state_dict(), whole.module.state_dict()
    assert any(name.startswith("surrogate.") for name in mine) == surrogate
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []
    assert not any(name.startswith("surrogate.") for name in parts.averages["ema_long"].weights)


@pytest.mark.parametrize("before", [False, True])
def test_a_run_may_get_a_surrogate_on_its_way_or_lose_it(root: Path, before: bool) -> None:
    first = run(recipe_of(f"change-{before}", 1, surrogate=before), root)
    first.train()
    second = run(recipe_of(f"change-{before}", 2, surrogate=not before), root)
    assert second.step == 1
    mine, theirs = first.module.state_dict(), second.module.state_dict()
    assert any(name.startswith("surrogate.") for name in theirs) == (not before)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine if name in theirs)
    second.train()
    assert second.step == 2


def test_another_run_starts_from_one_with_a_surrogate(root: Path) -> None:
    run(recipe_of("first", 1, surrogate=True), root).train()
    second = make_recipe(
        task="dfgan",
        name="second",
        model={"preset": "xs", "text": "runs/damsm", "init_from": "runs/first", "max_tokens": 8},
    )
    assert run(second, root).step == 0


@pytest.mark.parametrize("reward", [Cut(), Boastful()])
def test_a_reward_without_a_gradient_needs_a_surrogate(reward: Reward) -> None:
    with pytest.raises(ConfigError, match=r"'brightness' has no gradient .* Set critic.surrogate = true"):
        critic_of(reward).term(painted(), batch_of(8), torch.zeros(8, WIDTH), 0)


def test_any_reward_can_be_looked_at() -> None:
    term, told = critic_of(Cut(), weight=0.0).term(painted(), batch_of(8), torch.zeros(8, WIDTH), 0)
    assert torch.equal(term, torch.zeros(8))
    assert told["reward"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"surogate": True}, "no setting 'surogate'. Did you mean 'surrogate'"),
        ({"share": 0.0}, "critic.share must be above 0 and at most 1; got 0.0"),
        ({"floor": 1.5}, "critic.floor must be above 0 and at most 1; got 1.5"),
        ({"weight": -1}, "critic.weight must be at least 0; got -1.0"),
        ({"memory": 8}, "critic.memory must be at least 32; got 8"),
    ],
)
def test_a_wrong_setting_is_named(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_table(Recipe, {"task": "dfgan", "name": "x", "critic": table}, "recipe.toml")


def test_no_critic_without_discriminators() -> None:
    with pytest.raises(ConfigError, match=r"critic.rewards is for generators, .* the task 'flow' has none"):
        make_recipe(critic={"rewards": [{"name": "brightness"}]})


def test_an_unknown_reward_is_named(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"No reward is named 'britness'. Did you mean 'brightness'"):
        run(recipe_of("x", 1, rewards=[{"name": "britness"}]), root)
