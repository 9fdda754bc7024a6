"""unCLIP's autoregressive prior: codes of components, the dot's token, one law however it is asked."""

import pytest
import torch
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.core.types import TextConditioning
from pictura.families.unclip.ar_prior import ArPrior, ArPriorConfig
from pictura.families.unclip.presets import PRESETS, get_preset

CONFIG = ArPriorConfig(
    dim=8,
    text_width=6,
    max_tokens=5,
    num_components=4,
    num_buckets=7,
    num_dots=6,
    width=16,
    num_blocks=2,
    num_heads=2,
)


def unit(*shape: int, seed: int = 2) -> Tensor:
    """Unit vectors that vary more along some axes than along others."""
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return nn.functional.normalize(rows * torch.linspace(2, 0.2, shape[-1]) + 0.3, dim=-1)


def make(config: ArPriorConfig = CONFIG) -> ArPrior:
    torch.manual_seed(0)
    prior = ArPrior(config).requires_grad_(False).eval()
    for weight in prior.parameters():
        nn.init.normal_(weight, std=0.3)  # those that start at zero or one would hide mistakes
    prior.measure(unit(300, config.dim), unit(300, config.dim, seed=3))
    return prior


def given(*lengths: int, keep: bool = True) -> TextConditioning:
    rng = torch.Generator().manual_seed(1)
    tokens = torch.randn(len(lengths), max(lengths), CONFIG.text_width, generator=rng)
    return TextConditioning(
        tokens=tokens,
        mask=torch.arange(max(lengths)) < torch.tensor(lengths)[:, None],
        sentence=unit(len(lengths), CONFIG.dim, seed=4),
        keep=torch.full((len(lengths),), keep),
    )


def test_codes_give_every_component_back_within_half_a_bucket() -> None:
    prior, z = make(), unit(300, 8)
    codes = prior.codes(z)
    assert codes.shape == (300, 4)
    assert codes.min() == 0
    assert codes.max() == CONFIG.num_buckets - 1
    numbers, widths = prior.space.project(z, 4), prior.edges.diff(dim=1)
    middles = (prior.edges[:, 1:] + prior.edges[:, :-1]) / 2
    decoded = middles.gather(1, codes.T).T
    assert ((numbers - decoded).abs() <= widths[:, 0] / 2 + 1e-6).all()
    torch.testing.assert_close(prior.decode(codes).norm(dim=1), torch.ones(300))
    direction = nn.functional.normalize(prior.space.mean + decoded @ prior.space.components[:4], dim=1)
    torch.testing.assert_close(prior.decode(codes), direction)


def test_numbers_beyond_the_ends_have_the_last_buckets() -> None:
    prior = make()
    far = prior.space.mean + torch.tensor([[9.0], [-9.0]]) * prior.space.components[0]
    assert prior.codes(far)[:, 0].tolist() == [CONFIG.num_buckets - 1, 0]


def test_more_components_and_buckets_leave_a_smaller_error() -> None:
    z = unit(300, 8)

    def error(num_components: int, num_buckets: int) -> float:
        config = ArPriorConfig(dim=8, num_components=num_components, num_buckets=num_buckets)
        prior = ArPrior(config)
        prior.measure(z, z)
        return float((prior.decode(prior.codes(z)) - z).square().sum())

    assert error(8, 64) < error(4, 64) < error(2, 64)
    assert error(8, 64) < error(8, 16) < error(8, 4)


def test_dots_fill_their_buckets_equally_and_are_drawn_from_the_top_half() -> None:
    prior = make()
    pictures, captions = unit(300, 8), unit(300, 8, seed=3)
    dots = prior.dots(pictures, captions)
    assert dots.bincount(minlength=6).tolist() == pytest.approx([50] * 6, abs=1)
    products = (pictures * captions).sum(dim=1)
    assert products[dots >= 3].min() > products[dots < 3].max()
    drawn = prior.high_dots(torch.linspace(0, 0.999999, 300))
    assert drawn.bincount(minlength=6).tolist() == [0, 0, 0, 100, 100, 100]


def test_a_code_changes_just_the_logits_behind_it() -> None:
    prior, cond, dots = make(), given(3), torch.tensor([4])
    codes = torch.tensor([[1, 2, 3, 4]])
    before = prior(codes, dots, cond)
    assert before.shape == (1, 4, 7)
    for k in range(4):
        other = codes.clone()
        other[0, k] = (codes[0, k] + 1) % 7
        changed = (prior(other, dots, cond) != before).any(dim=-1)[0].tolist()
        assert changed == [j > k for j in range(4)]
    assert (prior(codes, torch.tensor([5]), cond) != before).any(dim=-1).all()
    assert (prior(codes, dots, given(2)) != before).any(dim=-1).all()


def test_every_component_has_a_place_of_its_own() -> None:
    prior, cond, dots, codes = make(), given(3), torch.tensor([4]), torch.tensor([[2, 2, 2, 2]])
    before = prior(codes, dots, cond)
    for k in range(4):
        prior.component_embedding.weight[k].neg_()
        changed = (prior(codes, dots, cond) != before).any(dim=-1)[0].tolist()
        assert changed == [k < 3 and j > k for j in range(4)]  # the last code is never read
        prior.component_embedding.weight[k].neg_()


def test_text_that_is_left_out_does_not_matter() -> None:
    prior, codes, dots = make(), torch.tensor([[1, 2, 3, 4]]), torch.tensor([4])
    one, other = given(3, keep=False), given(5, keep=False)
    torch.testing.assert_close(prior(codes, dots, one), prior(codes, dots, other))
    assert not torch.allclose(prior(codes, dots, one), prior(codes, dots, given(3)))


def test_the_law_is_the_same_step_by_step_as_all_at_once() -> None:
    prior, cond, dots = make(), given(2, 4), torch.tensor([3, 5])
    steps: list[Tensor] = []

    def pick(logits: Tensor, k: int) -> Tensor:
        assert k == len(steps)
        steps.append(logits.log_softmax(dim=-1))
        return (k + torch.arange(2)) % 7

    codes = prior.draw(dots, cond, pick)
    assert codes.tolist() == [[0, 1, 2, 3], [1, 2, 3, 4]]
    torch.testing.assert_close(torch.stack(steps, dim=1), prior(codes, dots, cond).log_softmax(dim=-1))


@pytest.mark.parametrize("name", PRESETS["ar_prior"])
def test_presets_have_the_parameters_that_the_docs_say(name: str) -> None:
    with torch.device("meta"):
        prior = ArPrior(ArPriorConfig(**get_preset("ar_prior", name)))
    millions = sum(weight.numel() for weight in prior.parameters()) / 1e6
    expected = {"micro": 0.0117, "small": 1.080, "medium": 14.44, "paper": 806.0}[name]
    assert millions == pytest.approx(expected, rel=0.01)
    if name == "paper":  # "1B" in table 3
        assert millions == pytest.approx(1000, rel=0.25)


def test_codes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"must be at most dim; got num_components=9, dim=8"):
        ArPriorConfig(dim=8, num_components=9)
    with pytest.raises(ConfigError, match=r"num_dots must be even and positive; got 5"):
        ArPriorConfig(num_dots=5)
