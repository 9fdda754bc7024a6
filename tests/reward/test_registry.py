"""Rewards by name: settings are checked, weights count, and every name has its page."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from pictura.core import registry
from pictura.core.errors import ConfigError
from pictura.core.types import Prompt
from pictura.reward.registry import REWARDS, make_reward
from tests.conftest import ROOT

PROMPTS = [Prompt(text="a red fox")] * 3


@pytest.mark.parametrize("name", sorted(REWARDS))
def test_every_reward_has_its_page(name: str) -> None:
    page = (ROOT / "docs" / "rewards" / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {name}\n")
    assert f'name = "{name}"' in page
    for field in REWARDS.get(name).__dataclass_fields__:
        assert f"`{field}`" in page, f"docs/rewards/{name}.md does not tell of {field}"


def test_one_table_makes_the_reward_itself() -> None:
    reward = make_reward({"name": "brightness"})
    images = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, 3, 8, 8)
    assert reward(images, PROMPTS).total.tolist() == pytest.approx([0, 0.5, 1])
    assert (reward.name, reward.differentiable, reward.value_range) == ("brightness", True, (0.0, 1.0))


def test_several_tables_are_added_up_by_their_weights() -> None:
    reward = make_reward([{"name": "brightness", "weight": 2}, {"name": "random", "weight": -1.0, "seed": 3}])
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    scores = reward(images, PROMPTS)
    noise = make_reward([{"name": "random", "seed": 3}])(images, PROMPTS).total
    torch.testing.assert_close(scores.total, 2 * images.mean(dim=(1, 2, 3)) - noise)
    assert list(scores.parts) == ["brightness", "random"]
    assert (reward.value_range, reward.differentiable) == ((-1.0, 2.0), False)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([], "at least one table whose weight is not 0; got none"),
        ({"weight": 1.0}, "the setting 'name' is missing"),
        ({"name": "brightnes"}, "No reward is named 'brightnes'. Did you mean 'brightness'?"),
        ({"name": "brightness", "floor": 1}, "rewards: brightness: there is no setting 'floor'"),
        ({"name": "judge", "partal": 1}, "there is no setting 'partal'. Did you mean 'partial'?"),
        ({"name": "judge", "partial": "half"}, "partial must be of type float; got 'half'"),
        ({"name": "brightness", "weight": "much"}, "rewards: weight must be of type float; got 'much'"),
        ({"name": "brightness", "weight": 0}, "at least one table whose weight is not 0; got none"),
        ([{"name": "random"}, {"name": "random"}], "'random' stands in the mixture 2 times"),
        ({"name": "clip", "measure": "cosin"}, "'cosine' or 'choice'; got 'cosin'. Did you mean 'cosine'?"),
        ({"name": "nowhere_at_all:score"}, "'nowhere_at_all:score' cannot be imported: No module named"),
        ({"name": "math:scor"}, "The module 'math' has no 'scor'"),
        ({"name": "math:pi"}, "math:pi must be a function of pictures and prompts; it is 3.14"),
        ({"name": "math:fsum", "timeout": 3}, "no setting 'timeout'. Did you mean 'timeout_s'?"),
        ({"name": "math:fsum", "timeout_s": 0}, "timeout_s must be above 0; got 0.0"),
    ],
)
def test_impossible_tables_are_refused(tables: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        make_reward(tables)
    assert words in str(error.value)


def test_a_module_beside_the_recipe_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_taste.py").write_text(
        "def score(images, prompts):\n    return [len(p) for p in prompts]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    assert (
        make_reward({"name": "my_taste:score"})(torch.zeros(3, 3, 8, 8), PROMPTS).total.tolist() == [9.0] * 3
    )


def test_another_package_adds_a_reward_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    added = {
        "mine": EntryPoint("mine", "tests.reward.kit:redness", "pictura.rewards"),
        "my-light": EntryPoint("my-light", "pictura.reward.brightness:BrightnessSettings", "pictura.rewards"),
    }
    monkeypatch.setattr(
        registry, "entry_points", lambda *, group: added.values() if group == "pictura.rewards" else ()
    )
    images = torch.zeros(3, 3, 8, 8)
    images[1, 0] = 1
    assert make_reward({"name": "mine"})(images, PROMPTS).total.tolist() == [0, 1, 0]
    assert make_reward({"name": "my-light"})(images, PROMPTS).total.tolist() == pytest.approx([0, 1 / 3, 0])
    assert {"mine", "judge"} <= set(REWARDS)
