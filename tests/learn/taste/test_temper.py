"""A share of what was learnt: none of it is the start, all of it is what the run came to."""

import pytest

from pictura.learn.taste.temper import Tried, temper
from tests.learn.loop_kit import make_recipe, make_root, run


@pytest.mark.parametrize(
    ("model", "rate"), [({"weights": "full"}, 3e-2), ({"weights": "low_rank", "rank": 4}, 0.3)]
)
def test_without_what_was_learnt_nothing_falls(
    model: dict[str, object], rate: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = make_root(tmp_path_factory.mktemp("temper"))
    training = {"num_updates": 2, "learning_rate": rate, "warmup_updates": 0, "ema_decay": 0.0}
    one = run(make_recipe(model=model, training=training, guards={"min_diversity": 0.0}), root)
    one.learn()
    kept = dict(one.held_out.state)
    whole, half, nothing = temper(one, shares=(1.0, 0.5, 0.0))
    assert (nothing.fall, nothing.diversity) == pytest.approx((0, 1), abs=1e-4)
    assert nothing.sound
    assert not whole.sound
    assert whole.diversity != half.diversity != 1
    assert one.held_out.state == kept, "the run's own memory stays"
    assert temper(one, shares=(0.0, 1.0)) == [nothing], "the first sound one ends it"


def test_what_is_sound() -> None:
    assert Tried(share=0.5, fall=0.15, diversity=0.9).sound
    assert not Tried(share=0.5, fall=0.16, diversity=0.95).sound
    assert not Tried(share=0.5, fall=-1.0, diversity=0.89).sound
