"""Optimisers, schedule, averages."""

import pytest
import torch
from torch import nn

from pictura.train.optim import Average, Muon, make_optimizers, orthogonal, rate_factor
from pictura.train.recipe import TrainingSettings


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (16, 16)])
def test_an_orthogonal_matrix_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_muon_steps_against_the_gradient_whatever_its_size() -> None:
    for scale in (1e-4, 1e4):
        weight = nn.Parameter(torch.zeros(4, 4))
        weight.grad = scale * torch.eye(4)
        Muon([weight], lr=0.1).step()
        assert weight.diagonal().max() < -0.06
        assert (weight - weight.diagonal().diag()).abs().max() < 1e-6


def test_in_bf16_muon_takes_nearly_the_same_step_and_keeps_weights_in_fp32() -> None:
    torch.manual_seed(0)
    gradient, steps = torch.randn(8, 16), []
    for dtype in (torch.float32, torch.bfloat16):
        weight = nn.Parameter(torch.zeros(8, 16))
        weight.grad = gradient.clone()
        Muon([weight], lr=0.1, dtype=dtype).step()
        assert weight.dtype == torch.float32
        steps.append(weight.detach())
    assert 0 < (steps[0] - steps[1]).norm() < 0.05 * steps[0].norm()


def test_muon_takes_the_matrices_of_blocks_alone() -> None:
    module = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(4, 4)]), "out": nn.Linear(4, 4)})
    adamw, muon = make_optimizers(module, TrainingSettings(optimizer="muon"))
    assert [p.shape for g in muon.param_groups for p in g["params"]] == [(4, 4)]
    assert sum(p.numel() for g in adamw.param_groups for p in g["params"]) == 4 + 16 + 4


def test_muon_takes_kernels_inside_a_unet_as_matrices_of_their_outputs() -> None:
    unet = nn.ModuleDict({"conv_in": nn.Conv2d(2, 4, 3), "down": nn.ModuleList([nn.Conv2d(4, 6, 3)])})
    adamw, muon = make_optimizers(nn.ModuleDict({"unet": unet}), TrainingSettings(optimizer="muon"))
    (kernel,) = (p for g in muon.param_groups for p in g["params"])
    assert kernel.shape == (6, 4, 3, 3)
    assert sum(p.numel() for g in adamw.param_groups for p in g["params"]) == 2 * 4 * 9 + 4 + 6
    before, kernel.grad = kernel.detach().clone(), torch.randn(6, 4, 3, 3)
    for group in muon.param_groups:
        group["lr"] = 0.1
    muon.step()
    values = torch.linalg.svdvals((before - kernel.detach()).flatten(1) / 0.1)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_the_rate_warms_up_holds_and_falls_to_zero() -> None:
    settings = TrainingSettings(num_steps=100, warmup_steps=10, decay_fraction=0.2)
    assert rate_factor(0, settings) == pytest.approx(0.1)
    assert rate_factor(9, settings) == rate_factor(79, settings) == 1
    assert rate_factor(90, settings) == pytest.approx(0.5)
    assert rate_factor(100, settings) == 0


def test_a_time_budget_decays_as_steps_do() -> None:
    settings = TrainingSettings(num_steps=10**6, warmup_steps=1, decay_fraction=0.5)
    assert rate_factor(50, settings, spent=0.75) == pytest.approx(0.5)


def test_an_average_follows_at_its_decay() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.ones_(module.weight)
    average = Average(module, 0.9)
    nn.init.zeros_(module.weight)
    average.update(module, 10**6)
    assert average.weights["weight"].item() == pytest.approx(0.9)
    average.update(module, 0)  # young averages move faster: (1 + 0) / (10 + 0) is kept
    assert average.weights["weight"].item() == pytest.approx(0.09)
