"""DiffusionNFT against closed forms."""

from dataclasses import replace

import pytest
import torch

from pictura.learn.algorithms.nft import NFT, NFTSettings
from pictura.learn.renoise import renoised
from tests.learn.gaussian import gaussian_actors, gradient, move, painted

BARE = NFTSettings(kl_weight=0.0)


def test_pictures_of_one_half_teach_exactly_nothing() -> None:
    actors, nft = gaussian_actors(), NFT(NFTSettings())
    batch = painted(actors, nft)
    even = replace(batch, advantage=torch.zeros(32))
    assert torch.equal(gradient(actors, nft, even)["mean"], torch.zeros(3, 1, 1))
    assert gradient(actors, nft, batch)["mean"].all()


def test_where_nothing_was_learnt_the_loss_is_the_same_for_any_reward_and_the_gradient_turns() -> None:
    actors, nft = gaussian_actors(), NFT(BARE)
    batch = painted(actors, nft)
    turned = replace(batch, advantage=-batch.advantage)
    torch.testing.assert_close(nft.loss(actors, batch).per_picture, nft.loss(actors, turned).per_picture)
    torch.testing.assert_close(gradient(actors, nft, batch)["mean"], -gradient(actors, nft, turned)["mean"])


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_its_gradient_is_the_published_one(beta: float) -> None:
    """dL/dv = (2 r - 1) (v_old - target) at v = v_old, times 2 t^2 5 / the scale and count of numbers."""
    actors, nft = gaussian_actors(), NFT(replace(BARE, beta=beta, num_times=1))
    batch = painted(actors, nft)
    (at,) = renoised(batch.x_0, batch.seeds, num_times=1, shift=3.0)
    v_old = actors.old(at.x_t, at.t, batch.cond)
    t = at.t[:, None, None, None]
    scale = (at.clean(v_old) - batch.x_0).abs().mean(dim=(1, 2, 3), keepdim=True)
    toward = (batch.advantage / 5).clamp(-1, 1)[:, None, None, None] * (v_old - at.velocity)
    by_velocity = toward * 2 * t**2 * 5 / scale / 3 / 32
    v_new = actors.new(at.x_t, at.t, batch.cond)
    (expected,) = torch.autograd.grad(v_new, actors.values["mean"], grad_outputs=by_velocity)
    torch.testing.assert_close(gradient(actors, nft, batch)["mean"], expected, rtol=1e-3, atol=1e-6)


def test_an_advantage_beyond_the_largest_counts_as_the_largest() -> None:
    actors, nft = gaussian_actors(), NFT(BARE)
    batch = painted(actors, nft)
    most = replace(batch, advantage=5 * batch.advantage.sign())
    beyond = replace(batch, advantage=50 * batch.advantage.sign())
    torch.testing.assert_close(gradient(actors, nft, most)["mean"], gradient(actors, nft, beyond)["mean"])


def test_far_from_the_reference_it_is_pulled_back() -> None:
    nft = NFT(NFTSettings(kl_weight=1.0))
    actors = gaussian_actors()
    batch = replace(painted(actors, nft), advantage=torch.zeros(32))
    move(actors, {"mean": torch.full((3, 1, 1), -0.5)}, 1.0)
    actors.follow(old_decay=0.0, ema_decay=0.0)
    assert (gradient(actors, nft, batch)["mean"] > 0).all()
    assert nft.loss(actors, batch).metrics["kl"] > 0.01
    assert nft.loss(actors, batch).metrics["kl_old"] == 0


def test_the_slow_copy_follows_at_once_first_and_by_half_later() -> None:
    nft = NFT(NFTSettings())
    assert [nft.old_decay(update) for update in (0, 100, 500, 9000)] == [0.0, 0.1, 0.5, 0.5]
