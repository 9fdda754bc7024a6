"""Guidance in learning is guidance in painting, each picture at its own time, with its gradient."""

import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.core.types import Conditioning
from pictura.learn.algorithms.backprop import BackpropSettings
from pictura.learn.guided import guided
from pictura.learn.renoise import Renoised
from tests.learn.tiny_flow import flow_actors


def test_it_is_on_in_its_interval_and_reaches_both_calls() -> None:
    actors = flow_actors()
    cond = actors.policy.read(["a red fox", "a blue ball"])
    random = torch.Generator().manual_seed(0)
    x_t = torch.randn(2, *actors.policy.latent_shape, generator=random)  # type: ignore[attr-defined]
    at = Renoised(torch.tensor([0.5, 0.05]), x_t, x_t)
    plain = actors.new(at.x_t, at.t, cond)
    found = guided(actors.new, actors.policy, at, plain, scale=4.0, interval=(0.1, 1.0))
    empty = actors.policy.read(["", ""])
    without = actors.reference(at.x_t, at.t, Conditioning(tokens=empty.tokens, mask=empty.mask))
    assert torch.allclose(found[0], (without + 4 * (plain - without))[0], atol=1e-5)
    assert torch.allclose(found[1], plain[1])
    off = guided(actors.new, actors.policy, at, plain, scale=1.0, interval=(0.0, 1.0))
    assert off is plain
    with torch.no_grad():  # what starts at zero would hide the second call
        for name, value in actors.values.items():
            if name.endswith(".up"):
                value.add_(0.1)
    plain = actors.new(at.x_t, at.t, cond)
    whole = guided(actors.new, actors.policy, at, plain, scale=4.0, interval=(0.1, 1.0)).square().sum()
    half = guided(actors.reference, actors.policy, at, plain, scale=4.0, interval=(0.1, 1.0)).square().sum()
    value = next(value for name, value in actors.values.items() if name.endswith(".up"))
    (of_both,) = torch.autograd.grad(whole, value, retain_graph=True)
    (of_one,) = torch.autograd.grad(half, value)
    assert not torch.allclose(of_both, of_one)


def test_impossible_guidance_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"guidance_interval must be 0 <= low <= high <= 1; got 0.9 to 0.1"):
        BackpropSettings(guidance_interval=(0.9, 0.1))
    with pytest.raises(ConfigError, match=r"guidance_scale must be at least 0; got -1"):
        BackpropSettings(guidance_scale=-1)
