"""StackGAN, both versions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.export import Dim

from pictura.core.errors import ConfigError, ModelError
from pictura.core.types import Conditioning
from pictura.families.stackgan.discriminator import MatchingDiscriminator
from pictura.families.stackgan.family import FAMILY
from pictura.families.stackgan.model import StackGANConfig
from pictura.families.stackgan.presets import PRESETS, get_preset
from pictura.families.stackgan.stages import StageOne, StageTwo, truncated
from pictura.families.stackgan.tree import TreeGenerator

TREE = StackGANConfig(
    image_channels=4,
    text_width=7,
    noise_width=3,
    condition_width=5,
    base_size=8,
    num_scales=3,
    width=8,
    discriminator_width=2,
    num_residual=1,
)
STAGE_1 = replace(TREE, version=1, base_size=16, num_scales=1, width=4, discriminator_width=4)
STAGE_2 = replace(STAGE_1, num_scales=2)
BOTH = pytest.mark.parametrize("config", [TREE, STAGE_1, STAGE_2], ids=["tree", "stage 1", "stage 2"])


def sentences(num: int, config: StackGANConfig = TREE) -> Conditioning:
    return Conditioning(
        tokens=torch.randn(num, 2, config.text_width),
        mask=torch.ones(num, 2, dtype=torch.bool),
        sentence=torch.randn(num, config.text_width),
    )


def make(config: StackGANConfig) -> Any:
    """A generator with settled statistics whose weights are all large enough to matter."""
    torch.manual_seed(0)
    generator = FAMILY.generator(config)
    for weight in generator.parameters():
        nn.init.normal_(weight, std=0.3)
    generator(torch.randn(8, sum(config.noise_parts)), sentences(8))
    return generator.eval()


@pytest.mark.parametrize(
    ("config", "sides", "noise_size", "told"),
    [
        (TREE, (8, 16, 32), 8, 5),
        (STAGE_1, (16,), 8, 7),
        (STAGE_2, (32,), 13, 7),
        (replace(STAGE_2, num_scales=3), (64,), 13, 7),
    ],
)
def test_it_paints_the_sides_it_names(
    config: StackGANConfig, sides: tuple[int, ...], noise_size: int, told: int
) -> None:
    generator: Any = FAMILY.generator(config)
    assert (generator.sizes, generator.noise_size) == (sides, noise_size)
    painted = generator(torch.randn(3, noise_size), sentences(3))
    assert tuple(images.shape for images in painted.images) == tuple((3, 4, side, side) for side in sides)
    assert all(images.abs().max() <= 1 for images in painted.images)
    assert painted.mean.shape == painted.log_std.shape == (3, 5)
    assert painted.told.shape == (3, told)
    assert painted.attention == ()


@BOTH
def test_a_row_of_noise_is_one_picture_whatever_is_painted_beside_it(config: StackGANConfig) -> None:
    generator = make(config)
    noise, cond = torch.randn(3, sum(config.noise_parts)), sentences(3)
    assert cond.sentence is not None
    alone = Conditioning(tokens=cond.tokens[1:2], mask=cond.mask[1:2], sentence=cond.sentence[1:2])
    together = generator(noise, cond).images[-1][1:2]
    torch.testing.assert_close(generator(noise[1:2], alone).images[-1], together)
    assert together.std() > 0.01


@BOTH
def test_every_part_of_the_noise_and_the_sentence_matter(config: StackGANConfig) -> None:
    generator = make(config)
    noise, cond = torch.randn(1, sum(config.noise_parts)), sentences(1)
    picture = generator(noise, cond).images[-1]
    start = 0
    for part in config.noise_parts:
        other = noise.clone()
        other[:, start : start + part] += 1
        assert (generator(other, cond).images[-1] - picture).abs().max() > 1e-4
        start += part
    assert (generator(noise, sentences(1)).images[-1] - picture).abs().max() > 1e-3


@BOTH
def test_scaled_sentences_are_heard_as_larger_ones(config: StackGANConfig) -> None:
    plain, scaled = make(config), FAMILY.generator(replace(config, sentence_scale=10.0))
    scaled.load_state_dict(plain.state_dict())
    noise, cond = torch.randn(3, sum(config.noise_parts)), sentences(3)
    assert cond.sentence is not None
    expected = plain(noise, replace(cond, sentence=10 * cond.sentence))
    got = scaled.eval()(noise, cond)
    assert torch.allclose(got.images[-1], expected.images[-1], atol=1e-6)
    assert torch.allclose(got.mean, expected.mean, atol=1e-5)


@BOTH
def test_what_discriminators_are_told_carries_no_gradient(config: StackGANConfig) -> None:
    cond = sentences(2)
    assert cond.sentence is not None
    cond.sentence.requires_grad_()
    painted = FAMILY.generator(config)(torch.randn(2, sum(config.noise_parts)), cond)
    assert not painted.told.requires_grad
    assert painted.mean.requires_grad
    assert painted.log_std.requires_grad
    assert torch.equal(painted.told, painted.mean if config.version == 2 else cond.sentence)


@BOTH
def test_discriminators_judge_what_the_generator_paints(config: StackGANConfig) -> None:
    discriminators: list[Any] = list(FAMILY.discriminators(config).eval())
    painted = FAMILY.generator(config)(torch.randn(3, sum(config.noise_parts)), sentences(3))
    for discriminator, images in zip(discriminators, painted.images, strict=True):
        verdict = discriminator(images, painted.told)
        assert verdict.conditional.shape == (3,)
        assert (verdict.unconditional is None) == (config.version == 1)
        features = discriminator.features(images)
        right = discriminator.judge(features, painted.told).conditional
        torch.testing.assert_close(right, verdict.conditional)
        assert not torch.equal(discriminator.judge(features, painted.told + 1).conditional, right)


def test_the_loss_goes_by_the_version() -> None:
    assert (TREE.loss, STAGE_1.loss, STAGE_2.loss) == ("joint", "matching", "matching")


def test_the_first_stage_is_frozen_under_the_second() -> None:
    generator = StageTwo(STAGE_2).train()
    assert not generator.stage_1.training
    assert generator.residual.training
    before = {name: tensor.clone() for name, tensor in generator.stage_1.state_dict().items()}
    painted = generator(torch.randn(4, generator.noise_size), sentences(4))
    painted.images[0].square().mean().backward()
    assert all(weight.grad is None for weight in generator.stage_1.parameters())
    assert generator.augment.line.weight.grad is not None
    # Neither weights nor the statistics of normalisation have moved.
    assert all(torch.equal(before[name], now) for name, now in generator.stage_1.state_dict().items())


def test_the_second_stage_takes_over_a_trained_first() -> None:
    first, second = make(STAGE_1), StageTwo(STAGE_2).eval()
    assert isinstance(first, StageOne)
    second.take_stage_1({name: tensor.clone() for name, tensor in first.state_dict().items()})
    noise, cond = torch.randn(2, first.noise_size), sentences(2)
    assert torch.equal(second.stage_1(noise, cond).images[0], first(noise, cond).images[0])
    assert not any(weight.requires_grad for weight in second.stage_1.parameters())


def test_another_first_stage_is_refused() -> None:
    other = StageOne(replace(STAGE_1, width=8)).state_dict()
    with pytest.raises(ModelError, match=r"weight 'blocks.0.block.0.weight' must be \(2, 8, .*got \(4, 16, "):
        StageTwo(STAGE_2).take_stage_1(other)
    with pytest.raises(ModelError, match=r"'augment.line.bias' must be \(10,\); got nothing\. Give both"):
        StageTwo(STAGE_2).take_stage_1({})


def test_truncated_noise_stays_within_two_deviations_and_in_order() -> None:
    eps = torch.linspace(-8, 8, 2001)
    drawn = truncated(eps)
    assert drawn.abs().max() <= 2 + 1e-5
    assert (drawn.diff() > -1e-6).all()
    torch.testing.assert_close(drawn, -drawn.flip(0))


def test_truncated_noise_has_the_distribution_of_a_cut_normal() -> None:
    eps = torch.linspace(-4, 4, 801, dtype=torch.float64)
    normal = torch.distributions.Normal(0.0, 1.0)
    low = normal.cdf(torch.tensor(-2.0, dtype=torch.float64))
    exact = normal.icdf(low + (1 - 2 * low) * normal.cdf(eps))
    torch.testing.assert_close(truncated(eps), exact, atol=1e-6, rtol=1e-6)
    torch.manual_seed(0)
    # Its variance: 1 - 2 * 2 density(2) / (1 - 2 p).
    assert truncated(torch.randn(200_000)).var().item() == pytest.approx(0.7737, abs=0.005)


def test_fidelity_changes_the_noise_of_version_1_alone() -> None:
    for config, differs in ((TREE, False), (STAGE_1, True), (STAGE_2, True)):
        paper, code = make(config), make(replace(config, fidelity="code"))
        code.load_state_dict(paper.state_dict())
        noise, cond = 2 * torch.randn(2, sum(config.noise_parts)), sentences(2)
        gap = (paper(noise, cond).images[-1] - code(noise, cond).images[-1]).abs().max()
        assert (gap > 1e-4) == differs


def test_in_the_code_the_first_stages_third_filters_have_no_rectifier() -> None:
    def rectifiers(config: StackGANConfig) -> list[bool]:
        look = MatchingDiscriminator(config).look
        return [any(isinstance(part, nn.LeakyReLU) for part in block.children()) for block in look][:-1]

    large = replace(STAGE_1, base_size=64)  # four halvings; the bottleneck after the last rectifies
    assert rectifiers(large) == [True, True, True, False]
    assert rectifiers(replace(large, fidelity="code")) == [True, True, False, False]
    assert rectifiers(replace(STAGE_2, fidelity="code")) == rectifiers(STAGE_2)


@BOTH
def test_saved_and_loaded_it_paints_the_same(config: StackGANConfig, tmp_path: Path) -> None:
    generator = make(config)
    assert all(tensor.is_floating_point() for tensor in generator.state_dict().values())
    save_file(generator.state_dict(), tmp_path / "weights.safetensors")
    again = FAMILY.generator(config).eval()
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    noise, cond = torch.randn(2, sum(config.noise_parts)), sentences(2)
    assert torch.equal(again(noise, cond).images[-1], generator(noise, cond).images[-1])


class _Graph(nn.Module):
    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, noise: Tensor, sentence: Tensor) -> Tensor:
        cond = Conditioning(tokens=sentence[:, None], mask=sentence[:, :1] > 0, sentence=sentence)
        return self.generator(noise, cond).images[-1]


@pytest.mark.parametrize(
    "config", [replace(TREE, num_scales=2), replace(STAGE_2, fidelity="code")], ids=["tree", "stage 2"]
)
def test_it_can_be_exported_for_any_number_of_pictures(config: StackGANConfig) -> None:
    graph = _Graph(make(config)).eval()
    noise, cond = torch.randn(3, sum(config.noise_parts)), sentences(3)
    assert cond.sentence is not None
    batch = {0: Dim("batch")}
    exported = torch.export.export(graph, (noise, cond.sentence), dynamic_shapes=(batch, batch))
    assert "erfinv" not in str(exported.graph)  # ONNX has none
    more, told = torch.randn(5, sum(config.noise_parts)), torch.randn(5, config.text_width)
    torch.testing.assert_close(exported.module()(more, told), graph(more, told))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"version": 3}, r"StackGANConfig\.version must be 1 or 2; got 3"),
        ({"image_channels": 1}, r"image_channels must be 3 or 4; got 1"),
        ({"fidelity": "both"}, r"fidelity must be 'paper' or 'code'; got 'both'"),
        ({"num_scales": 0}, r"num_scales must be at least 1; got 0"),
        ({"base_size": 48}, r"side must be 8, 16, 32, 64 … pixels; got 48"),
        ({"version": 1, "base_size": 8}, r"base_size must be at least 16 for version 1; got 8"),
        ({"width": 6}, r"width must be a multiple of 4 for version 2 with num_scales=3; got 6"),
        ({"version": 1, "discriminator_width": 6}, r"discriminator_width must be a multiple of 4 .*got 6"),
    ],
)
def test_impossible_configs_say_why(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        StackGANConfig(**fields)  # type: ignore[arg-type]


def test_wrong_noise_and_missing_sentences_are_refused() -> None:
    generator = TreeGenerator(TREE)
    with pytest.raises(ConfigError, match=r"paints from 3 \+ 5 = 8 numbers of noise; got 9"):
        generator(torch.randn(2, 9), sentences(2))
    with pytest.raises(ConfigError, match=r"reads the whole sentence \(B, D\); got token features alone"):
        generator(torch.randn(2, 8), replace(sentences(2), sentence=None))


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no preset 'smal'\. Did you mean 'small"):
        get_preset("smal")


def millions(network: nn.Module) -> float:
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad) / 1e6


@pytest.mark.parametrize(
    ("name", "generator", "discriminators"),
    [
        ("paper-1", 14.3, [4.0]),
        ("paper-2", 26.3, [48.6]),  # of the second stage alone; the frozen first has 14.3 more
        ("paper", 21.2, [5.7, 18.8, 71.3]),
    ],
)
def test_paper_presets_have_the_published_number_of_weights(
    name: str, generator: float, discriminators: list[float]
) -> None:
    # All weights that are trained, conditioning augmentation and the linear layer for text included.
    config = StackGANConfig(**get_preset(name))
    with torch.device("meta"):
        assert millions(FAMILY.generator(config)) == pytest.approx(generator, abs=0.05)
        counts = [millions(network) for network in FAMILY.discriminators(config)]
    assert counts == pytest.approx(discriminators, abs=0.05)


@pytest.mark.parametrize("name", [name for name in PRESETS if not name.startswith("paper")])
def test_small_presets_leave_room_for_a_text_tower_in_5_megabytes(name: str) -> None:
    config = StackGANConfig(**get_preset(name))
    with torch.device("meta"):
        weights = sum(tensor.numel() for tensor in FAMILY.generator(config).state_dict().values())
    assert 2 * (weights + 1.4e6) < 5e6
