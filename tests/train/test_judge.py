"""What judges learn: losses at the truth, pictures treated badly, and learning something at all."""

import numpy as np
import pytest
import torch
from torch import nn

from pictura.core.types import Batch
from pictura.data.scenes.source import SceneMix, SceneSource
from pictura.encode.judges.detector import Detections, Detector, DetectorConfig, peaks
from pictura.encode.judges.inquirer import Answers, Inquirer, InquirerConfig
from pictura.train.tasks.judge import (
    NOTHING,
    JudgeStep,
    JudgeTask,
    colour_loss,
    detector_loss,
    inquirer_loss,
    settle,
)
from tests.data.scene_kit import open_holdouts, tiny_pack, tiny_world

THINGS = torch.tensor([[2, 0, NOTHING, NOTHING]])
CENTRES = torch.tensor([[[0.3, 0.3], [0.7, 0.8], [0, 0], [0, 0]]])
SAID = torch.tensor([[1, -1, -1, -1]])
NATURAL = torch.tensor([[True, False], [False, False], [False, False]])


def perfect_maps(thing: int = 2, colour: int = 1) -> Detections:
    presence = torch.full((1, 8, 8), -20.0)
    things, colours = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    offsets = torch.zeros(1, 2, 8, 8)
    for (x, y), what, look in (((2, 2), thing, colour), ((5, 6), 0, 0)):
        presence[0, y, x] = 20
        things[0, what, y, x] = 20
        colours[0, look, y, x] = 20
    offsets[0, :, 2, 2] = torch.tensor([0.4, 0.4])
    offsets[0, :, 6, 5] = torch.tensor([0.6, 0.4])
    return Detections(presence, things, colours, offsets, torch.zeros(1, 4))


def test_the_true_maps_have_the_least_loss() -> None:
    def loss(maps: Detections) -> float:
        return float(detector_loss(maps, THINGS, CENTRES, SAID, NATURAL))

    smoothing = float(loss(perfect_maps()))  # label smoothing alone: 0.05 of the way to all things alike
    assert smoothing == pytest.approx(20 * 0.05 * 2 / 3, abs=1e-3)
    assert loss(perfect_maps(thing=1)) > 9 + smoothing
    assert loss(perfect_maps(colour=0)) > 6 + smoothing
    missed = perfect_maps()
    missed.presence[0, 2, 2] = -20
    assert loss(missed) == pytest.approx(5 + smoothing, abs=1e-2)
    doubled = perfect_maps()
    doubled.presence[0, 2, 3] = 20  # beside a centre nothing is asked
    assert loss(doubled) == pytest.approx(smoothing, abs=1e-3)
    doubled.presence[0, 0, 7] = 20
    assert loss(doubled) == pytest.approx(5 + smoothing, abs=1e-2)


def perfect_answers() -> Answers:
    counts = torch.zeros(1, 3, 6)
    for thing, number in ((0, 1), (1, 0), (2, 1)):
        counts[0, thing, number] = 20
    colours, match = torch.zeros(1, 3, 3), torch.zeros(1, 3, 8, 8)
    colours[0, 0, 0], colours[0, 2, 1] = 20, 20
    match[0, 2, 2, 2], match[0, 0, 6, 5] = 20, 20
    centres = torch.tensor([[[0.7, 0.8], [0.5, 0.5], [0.3, 0.3]]])
    return Answers(counts, colours, centres, match, torch.zeros(1, 4))


def test_the_true_answers_have_the_least_loss() -> None:
    def loss(said: Answers) -> float:
        return float(inquirer_loss(said, THINGS, CENTRES, SAID, NATURAL))

    smoothing = loss(perfect_answers())
    assert smoothing == pytest.approx(20 * 0.05 * 2 / 3, abs=1e-3)
    said = perfect_answers()
    said.counts[0, 1, 2] = 40  # two of what is not there
    assert loss(said) == pytest.approx(6 + smoothing, abs=1e-2)
    said = perfect_answers()
    said.centres[0, 2] = torch.tensor([0.8, 0.3])
    assert loss(said) == pytest.approx(0.25 + smoothing, abs=1e-3)
    said = perfect_answers()
    said.match[0, 2, 2, 2], said.match[0, 2, 7, 7] = 0, 20  # looks elsewhere
    assert loss(said) > 1.5 + smoothing


def test_an_unsaid_colour_may_be_the_thing_s_own_or_natural_but_no_other() -> None:
    natural = torch.tensor([[True, False]])
    unsaid = torch.tensor([-1])
    losses = [float(colour_loss(20 * torch.eye(3)[[k]], unsaid, natural)) for k in range(3)]
    assert losses == pytest.approx([0.0, 19.3, 0.0], abs=0.1)


@pytest.mark.parametrize("kind", ["detector", "inquirer"])
def test_a_small_judge_learns_the_three_shapes_of_a_tiny_world(kind: str) -> None:
    torch.manual_seed(0)
    world = tiny_world()
    source = SceneSource(
        tiny_pack(32), world=world, holdouts=open_holdouts(), size=(32, 32), seed=0, mix=SceneMix(single=1)
    )
    shape = {"num_things": 4, "num_colours": 11}
    network = (
        Detector(DetectorConfig(**shape, widths=(8, 16, 16), blocks=(1, 1)))
        if kind == "detector"
        else Inquirer(InquirerConfig(**shape, stem=(8, 16), blocks=(1, 1), width=32, num_heads=2, hidden=32))
    )
    step = JudgeStep(network, torch.zeros(4, 11, dtype=torch.bool), 1)
    things = [t.phrase for t in world.things]
    task = JudgeTask(
        step, config={}, things=things, words=["ball"], autoencoder=None, device=torch.device("cpu")
    )
    optimizer = torch.optim.AdamW(step.parameters(), lr=5e-3)
    for position in range(120):
        inputs = task.inputs(source.batch(position, 16), np.random.default_rng(position))
        loss = step(*inputs).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    step.eval()
    batch = source.batch(999, 32)
    images, truth, *_ = task.inputs(batch, np.random.default_rng(0))
    with torch.no_grad():
        said = network(images)
    if isinstance(said, Detections):
        best = peaks(said).things[:, 0].argmax(dim=-1)
    else:
        best = said.counts.softmax(dim=-1)[..., 0].argmin(dim=-1)
    alike = torch.tensor([0, 1, 2, 1])  # ball and scissors are drawn alike
    right = alike[best] == alike[truth[:, 0]]
    assert float(right.float().mean()) > 0.8


def test_pictures_without_truth_are_refused() -> None:
    step = JudgeStep(
        Detector(DetectorConfig(num_things=1, num_colours=1, widths=(4, 4, 4), blocks=(1, 1))),
        torch.zeros(1, 1, dtype=torch.bool),
        1,
    )
    task = JudgeTask(step, config={}, things=["x"], words=[], autoencoder=None, device=torch.device("cpu"))
    with pytest.raises(Exception, match="whose truth is known"):
        task.inputs(Batch(images=np.zeros((1, 4, 8, 8)), captions=("x",)), np.random.default_rng(0))


def test_settled_norms_hold_the_statistics_of_the_pictures_given() -> None:
    torch.manual_seed(0)
    network = Detector(DetectorConfig(num_things=1, num_colours=1, widths=(4, 4, 4), blocks=(1, 1)))
    weights = {name: value.clone() for name, value in network.named_parameters()}
    pictures = [torch.rand(8, 3, 32, 32), torch.rand(8, 3, 32, 32) / 2]
    settle(network, pictures)
    stem = network.trunk[0]
    assert isinstance(stem, nn.Sequential)
    first, norm = stem[0], stem[1]
    seen = [first(batch * 2 - 1) for batch in pictures]
    mean = torch.stack([x.mean(dim=(0, 2, 3)) for x in seen]).mean(dim=0)
    assert norm.running_mean == pytest.approx(mean.detach(), abs=1e-5)
    assert not network.training
    assert norm.momentum == 0.1
    assert all(torch.equal(value, weights[name]) for name, value in network.named_parameters())
