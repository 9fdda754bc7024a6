"""The loop with a painter by tokens: it learns, goes on where it was, refuses what does not go together."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from pictura.core.errors import ConfigError
from pictura.core.types import Prompt
from pictura.families.dalle.policy import DallePolicy
from pictura.learn import draws
from pictura.learn.actors import Actors
from pictura.learn.algorithms import check_pair
from pictura.learn.algorithms.nft import NFT, NFTSettings
from pictura.learn.algorithms.token_grpo import TokenGRPO, TokenGRPOSettings, chosen
from pictura.learn.loop import Run
from pictura.learn.policy import TokenPolicy
from pictura.learn.recipe import RolloutSettings, load_learn_recipe
from pictura.learn.sampling import make_painting, paint
from pictura.learn.tokens import TokenPainting
from pictura.learn.weights import LowRank
from pictura.sample.autoregressive import TokenLaw, draw_codes
from pictura.sample.randomness import uniforms
from pictura.store.models import read_model
from tests.learn.loop_kit import ALONE, LINES, run
from tests.learn.test_resume import assert_same, last
from tests.learn.tiny_flow import flow_actors
from tests.learn.token_kit import make_root, token_recipe
from tests.tiny_dalle import make_parts, make_tokenizer
from tests.train.test_loop import run_by_two

MINE = "tests.learn.test_token_loop"
PROMPTS = tuple(Prompt(text=line) for line in LINES[:3])
SEEDS = tuple(s for i in range(3) for s in draws.seeds_of(5, 0, i, 2))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a painter by tokens and lines; each test names its run."""
    return make_root(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def actors() -> Actors:
    """Of a policy whose change of low rank is not zero any more."""
    policy = DallePolicy(make_parts(std=0.4), make_tokenizer(), device=torch.device("cpu"))
    made = Actors(policy, LowRank(policy.learnable, rank=2))
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in made.values.values():
            value += 0.3 * torch.randn(value.shape, generator=random)
    return made


def numbers_of(done: Run) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "reward" in line]


def test_what_is_learnt_has_the_names_of_the_weights(actors: Actors) -> None:
    policy = actors.policy
    assert isinstance(policy, TokenPolicy)
    names = {f"transformer.{name}" for name, _ in make_parts().transformer.named_parameters()}
    assert names - set(policy.learnable) == {"transformer.text_out.weight", "transformer.text_out.bias"}
    assert not any(value.requires_grad for value in policy.learnable.values())
    assert {name.split(".")[1] for name in actors.values} == {"blocks"}


def test_what_is_drawn_with_a_cache_is_scored_alike_at_once_and_other_weights_score_otherwise(
    actors: Actors,
) -> None:
    cond = actors.policy.read([prompt.text for prompt in PROMPTS])
    codes, log_prob = actors.new.draw(cond, draws.uniforms((7, 8, 9), draws.NOISE, 12))
    assert codes.shape == log_prob.shape == (3, 12)
    scored = chosen(actors.new(codes, cond).log_softmax(-1), codes)
    torch.testing.assert_close(scored, log_prob, atol=1e-5, rtol=0)
    assert scored.requires_grad
    base = chosen(actors.reference(codes, cond).log_softmax(-1), codes)
    assert not base.requires_grad
    assert float((base - log_prob).abs().max()) > 0.05
    assert actors.policy.decode(codes).shape == (3, 4, 12, 16)


def test_it_draws_what_the_sampler_of_painting_draws(actors: Actors) -> None:
    class Same:
        """The policy, as painting knows it."""

        grid, num_codes, group = (3, 4), 32, 4

        def start(self, ids: Any, num: int) -> Any:
            self.cond = actors.policy.read(["light fox"] * num)
            self.codes = torch.zeros(num, 12, dtype=torch.int64)
            return self.logits(0), None

        def step(self, codes: Any, index: int, cache: None) -> Any:
            self.codes[:, index] = torch.from_numpy(codes)
            return self.logits(index + 1)

        def logits(self, index: int) -> Any:
            return actors.old(self.codes, self.cond)[:, index].numpy()

    theirs = draw_codes(Same(), None, None, seed=3, numbers=(0, 1), law=TokenLaw())  # type: ignore[arg-type]
    numbers = torch.stack([torch.from_numpy(uniforms(3, i, 12)) for i in (0, 1)])
    ours, log_prob = actors.old.draw(actors.policy.read(["light fox"] * 2), numbers)
    assert ours.tolist() == theirs.codes.tolist()
    torch.testing.assert_close(log_prob.double(), torch.from_numpy(theirs.log_probs), atol=1e-5, rtol=0)


def test_a_picture_does_not_depend_on_what_is_painted_beside_it(actors: Actors) -> None:
    together, small = TokenPainting(num_tokens=12), TokenPainting(num_tokens=12, at_once=1)
    whole = paint(actors.policy, actors.new, PROMPTS, SEEDS, together, group_size=2)
    assert whole.x_0.shape == whole.noise.shape == (6, 12)
    assert whole.images.shape == (6, 3, 12, 16)
    assert (whole.x_0[0] != whole.x_0[1]).any()
    alone = paint(actors.policy, actors.new, PROMPTS[1:2], SEEDS[2:4], together, group_size=2)
    assert torch.equal(alone.x_0, whole.x_0[2:4])
    parts = paint(actors.policy, actors.new, PROMPTS, SEEDS, small, group_size=2)
    assert torch.equal(parts.x_0, whole.x_0)
    assert whole.log_prob is not None
    assert parts.log_prob is not None
    torch.testing.assert_close(parts.log_prob, whole.log_prob, atol=1e-5, rtol=0)
    assert together.hash() == small.hash() != TokenPainting(num_tokens=13).hash()


def test_brightness_rises_by_ten_standard_errors(root: Path) -> None:
    recipe = token_recipe(
        name="brighter",
        prompts={"group_size": 8},
        training={"num_updates": 20, "learning_rate": 1e-2},
    )
    done = run(recipe, root)
    assert done.learn().kind == "updates"
    first, *_, end = numbers_of(done)
    error = math.hypot(first["reward_std"], end["reward_std"]) / 32**0.5
    assert end["reward"] - first["reward"] > 10 * error
    assert first["ratio_error_max"] < 1e-4
    assert first["kl"] < 1e-6 < end["kl"]
    assert end["entropy"] < first["entropy"] < math.log(32)
    assert first["network_calls"] == 4 * 8 * 12
    assert "x0_norm" not in first
    assert (done.folder / "samples" / "update-00000020.png").exists()


def test_bf16_is_refused_where_it_would_round_the_ratios(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.bf16 rounds the ratios that token-grpo"):
        run(token_recipe(name="rounded", training={"bf16": True}), root)


def dying(images: Tensor, prompts: Sequence[str]) -> Tensor:
    """Brightness; once it dies as a process dies, in the middle of an update."""
    if next(_calls) == 3:
        raise SystemExit("killed")
    return images.mean(dim=(1, 2, 3))


_calls = iter(range(1000))


@pytest.mark.parametrize("weights", ["full", "low_rank"])
def test_stopped_and_killed_it_ends_in_the_same_bits(root: Path, weights: str) -> None:
    global _calls
    _calls = iter((*range(3), *range(4, 1000)))  # nobody dies
    tables: dict[str, Any] = {
        "rewards": [{"name": f"{MINE}:dying"}],
        "model": {"weights": weights, "rank": 2},
        "training": {"num_updates": 6, "learning_rate": 1e-2, "steps_per_update": 2},
        "held_out": {"every": 4},
        "log": {"checkpoint_every": 1},
    }
    straight = run(token_recipe(name=f"straight-{weights}", **tables), root)
    assert straight.learn().kind == "updates"
    assert straight.guards.state()["entropy"]["state"]["start"] > 0

    _calls = iter(range(1000))
    recipe = token_recipe(name=f"killed-{weights}", **tables)
    with pytest.raises(SystemExit, match="killed"):
        run(recipe, root).learn()
    resumed = run(recipe, root)
    assert resumed.step == 3
    assert resumed.learn().kind == "updates"
    assert_same(last(resumed.folder), last(straight.folder))


def test_a_further_run_starts_from_what_was_learnt(root: Path) -> None:
    first = run(token_recipe(name="first", training={"num_updates": 2}), root)
    first.learn()
    second = run(token_recipe(name="second", model={"start": "runs/first"}), root)
    for name, value in first.actors.ema_values.items():
        assert torch.equal(second.actors.reference_values[name], value)


class Stale(TokenGRPO):
    """Lets another hand paint than the one that learns."""

    behaviour: ClassVar[Any] = "reference"


def test_a_rollout_of_other_weights_is_noticed_before_it_is_learnt_from(root: Path) -> None:
    done = run(token_recipe(name="stale", training={"learning_rate": 1e-2}), root)
    done.algorithm = Stale(TokenGRPOSettings())
    end = done.learn()
    assert done.step == 2
    assert end.reason.startswith("first ratio: before the first step a ratio of probabilities was ")


def test_a_policy_that_becomes_sure_is_stopped(root: Path) -> None:
    recipe = token_recipe(
        name="sure",
        training={"num_updates": 60, "learning_rate": 3e-2},
        guards={"min_entropy": 0.6},
    )
    done = run(recipe, root)
    end = done.learn()
    assert end.kind == "guard"
    assert end.reason.startswith("entropy: the law of a token has ")
    rows = [row["entropy"] for row in numbers_of(done)]
    assert rows[-1] < 0.6 * rows[0] <= rows[-2]
    with pytest.raises(ConfigError, match=r"A guard stopped this run: entropy"):
        run(recipe, root)
    assert run(token_recipe(name="sure", guards={"min_entropy": 0.1}), root).step == done.step


def test_algorithms_and_painters_that_do_not_go_together_are_refused(root: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"The algorithm 'nft' teaches models that follow a velocity, and those of the family 'dalle', "
        r"such as 'tokens', draw tokens\. For them set algorithm\.name to one of: token-grpo\.$",
    ):
        run(token_recipe(algorithm={"name": "nft"}), root)
    flow = replace(read_model(root / "tokens"), name="painter", family="flow")
    with pytest.raises(
        ConfigError,
        match=r"'token-grpo' teaches models that draw tokens, and those of the family 'flow', such as "
        r"'painter', follow a velocity\. .* one of: nft, grpo, awm, dpo, backprop, draft-k, distil, "
        r"student\.$",
    ):
        check_pair(TokenGRPO(TokenGRPOSettings()), flow_actors().policy, flow)
    with pytest.raises(ConfigError, match=r"temperature and top_k are for painters by tokens.* 1\.0 and 8\."):
        make_painting(RolloutSettings(top_k=8), NFT(NFTSettings()), flow_actors().policy)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "temperature",
            0.7,
            r"temperature must be 1 where tokens are learnt, .* got 0\.7\. Bend it when you",
        ),
        ("top_k", 16, r"top_k must be 0 where tokens are learnt, .* the very law that is learnt; got 16\."),
        ("guidance_scale", 2.0, r"guidance_scale must be 1 where tokens are learnt, .* got 2\."),
        (
            "num_steps",
            8,
            r"num_steps is for painters by solver steps, and this one draws tokens; got 8\.",
        ),
        ("at_once", 0, r"rollout\.at_once must be at least 1; got 0"),
    ],
)
def test_what_bends_the_law_or_says_nothing_of_it_is_refused(
    root: Path, name: str, value: float, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        run(token_recipe(rollout={name: value}), root)


RECIPE = """
name = "two"
model = { base = "tokens", weights = "low_rank", rank = 4 }
prompts = { kind = "lines", path = "lines.txt", per_update = 4, group_size = 4 }
algorithm = { name = "token-grpo" }
training = { num_updates = 4, learning_rate = 1e-3, warmup_updates = 1, steps_per_update = 2 }
guards = { max_kl = 0.0, min_diversity = 0.0 }
held_out = { prompts = 2, seeds = 2, every = 7 }
log = { sample_every = 0 }
[[rewards]]
name = "brightness"
"""
TWO = """
import sys
from pathlib import Path
from pictura.learn.loop import Run
from pictura.learn.recipe import load_learn_recipe
from pictura.train.distributed import join

root = Path(sys.argv[1])
with join("cpu", threads=1) as process:
    run = Run(load_learn_recipe(root / "two.toml"), root, root / "runs" / "two", process)
    assert run.learn().kind == "updates"
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_does(root: Path) -> None:
    (root / "two.py").write_text(TWO)
    (root / "two.toml").write_text(RECIPE)
    one = Run(load_learn_recipe(root / "two.toml"), root, root / "runs" / "one", ALONE)
    assert one.learn().kind == "updates"
    run_by_two(str(root / "two.py"), str(root))
    ours, theirs = last(root / "runs" / "two"), last(root / "runs" / "one")
    for key, value in theirs.weights["values"].items():
        torch.testing.assert_close(ours.weights["values"][key], value, atol=2e-4, rtol=1e-3, msg=key)
    rows = [
        [json.loads(line) for line in (root / "runs" / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    for one_row, two_row in zip(*rows, strict=True):
        for key in ("reward", "entropy", "kl", "grad_norm"):
            if key in one_row:
                assert two_row[key] == pytest.approx(one_row[key], rel=1e-3, abs=1e-6), key
