"""unCLIP's diffusion prior: who sees whom, text that is left out, the scale, components, presets."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.core.types import TextConditioning
from pictura.families.unclip.causal import Block
from pictura.families.unclip.presets import PRESETS, get_preset
from pictura.families.unclip.prior import DiffusionPrior, PriorConfig

CONFIG = PriorConfig(dim=8, text_width=6, max_tokens=5, width=16, num_blocks=2, num_heads=2, scale=3.0)
ENDS = ("sentence", "time", "noisy", "query")
"""What stands behind the text."""


def make(config: PriorConfig = CONFIG) -> DiffusionPrior:
    torch.manual_seed(0)
    prior = DiffusionPrior(config).requires_grad_(False).eval()
    for weight in prior.parameters():
        nn.init.normal_(weight, std=0.3)  # those that start at zero or one would hide mistakes
    return prior


def given(*lengths: int, keep: bool = True, padded: int = 0) -> tuple[Tensor, Tensor, TextConditioning]:
    """Noisy embeddings, times, and captions of some lengths."""
    rng = torch.Generator().manual_seed(1)
    size, longest = len(lengths), max(lengths)
    tokens = torch.randn(size, longest, CONFIG.text_width, generator=rng)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    z_t, sentence = torch.randn(2, size, CONFIG.dim, generator=rng)
    cond = TextConditioning(
        tokens=nn.functional.pad(tokens, (0, 0, 0, padded), value=7.0),
        mask=nn.functional.pad(mask, (0, padded)),
        sentence=nn.functional.normalize(sentence, dim=1),
        keep=torch.full((size,), keep),
    )
    return z_t, torch.linspace(0.2, 0.9, size), cond


def test_it_predicts_one_embedding_for_each_caption() -> None:
    assert make()(*given(2, 5, 3)).shape == (3, CONFIG.dim)
    untouched = DiffusionPrior(CONFIG)
    assert not untouched(*given(2, 5, 3)).any()  # at step 0 x_0 is 0


def test_the_query_sees_all_and_text_only_what_stands_before_it() -> None:
    prior = make(PriorConfig(dim=8, text_width=6, max_tokens=5, width=16, num_blocks=1, num_heads=2))
    streams: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        streams.extend((args[0], out))

    def watch(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (args[0].detach().requires_grad_(), *args[1:])

    block = prior.transformer.blocks[0]
    block.register_forward_pre_hook(watch)
    block.register_forward_hook(keep)
    z_t, t, cond = given(3, padded=1)  # three tokens, a pad, then the ends
    x_0 = prior(z_t, t, cond)
    before, after = streams
    length = before.shape[1]
    assert length == 3 + 1 + len(ENDS)
    for place in range(length):
        slope = torch.autograd.grad(after[0, place].sum(), before, retain_graph=True)[0][0]
        reached = (slope.abs().sum(dim=1) > 0).tolist()
        assert reached == [k == place or (k < place and k != 3) for k in range(length)]
    slope = torch.autograd.grad(x_0.square().sum(), before)[0][0].abs().sum(dim=1)
    assert (slope > 0).tolist() == [k != 3 for k in range(length)]


def test_every_input_matters() -> None:
    prior, (z_t, t, cond) = make(), given(4)
    before = prior(z_t, t, cond)
    parts = {"tokens": cond.tokens, "mask": cond.mask, "sentence": cond.sentence, "keep": cond.keep}
    changes = {"tokens": -cond.tokens, "sentence": -cond.sentence, "keep": ~cond.keep}
    assert not torch.allclose(prior(-z_t, t, cond), before)
    assert not torch.allclose(prior(z_t, t / 2, cond), before)
    for name, other in changes.items():
        assert not torch.allclose(prior(z_t, t, TextConditioning(**{**parts, name: other})), before), name


def test_neither_padding_nor_what_is_painted_beside_matters() -> None:
    prior, (z_t, t, cond) = make(), given(2, 4)
    both = prior(z_t, t, cond)
    torch.testing.assert_close(prior(*given(2, 4, padded=1)), both)
    alone = TextConditioning(
        tokens=cond.tokens[:1, :2], mask=cond.mask[:1, :2], sentence=cond.sentence[:1], keep=cond.keep[:1]
    )
    torch.testing.assert_close(prior(z_t[:1], t[:1], alone), both[:1])


def test_text_that_is_left_out_does_not_matter() -> None:
    prior = make()
    z_t, t, cond = given(2, 5, keep=False)
    other = TextConditioning(
        tokens=-3 * cond.tokens[:, :2], mask=~cond.mask[:, :2], sentence=-cond.sentence, keep=cond.keep
    )
    torch.testing.assert_close(prior(z_t, t, other), prior(z_t, t, cond))


def test_in_bf16_attention_mixes_as_in_fp32() -> None:
    torch.manual_seed(0)
    block, x = Block(16, 2), torch.randn(2, 5, 16)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()[None, None]
    with torch.autocast("cpu", torch.bfloat16):
        rough = block(x, mask)
    torch.testing.assert_close(rough.float(), block(x, mask), rtol=0.05, atol=0.05)


def test_components_lie_in_the_weights_and_survive_a_file(tmp_path: Path) -> None:
    prior = make()
    z = nn.functional.normalize(torch.randn(50, 8, generator=torch.Generator().manual_seed(2)), dim=1)
    prior.measure(z, z)
    torch.testing.assert_close(prior.space.rebuild(prior.space.project(z, 8)), z)
    assert (prior.space.variances.diff() <= 0).all()
    save_file(prior.state_dict(), tmp_path / "prior.safetensors")
    again = DiffusionPrior(CONFIG)
    again.load_state_dict(load_file(tmp_path / "prior.safetensors"))
    inputs = given(3)
    assert torch.equal(again(*inputs), prior(*inputs))
    assert torch.equal(again.space.components, prior.space.components)


@pytest.mark.parametrize("name", PRESETS["prior"])
def test_presets_have_the_parameters_that_the_docs_say(name: str) -> None:
    with torch.device("meta"):
        prior = DiffusionPrior(PriorConfig(**get_preset("prior", name)))
    millions = sum(weight.numel() for weight in prior.parameters()) / 1e6
    expected = {"micro": 0.0221, "small": 1.155, "medium": 14.78, "paper": 1217.8}[name]
    assert millions == pytest.approx(expected, rel=0.01)
    if name == "paper":  # "1B" in table 3
        assert millions == pytest.approx(1000, rel=0.25)


def test_wrong_shapes_and_long_texts_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^This prior reads at most 5 text tokens; got 6\. Cut the text"):
        make()(*given(6))
    with pytest.raises(ConfigError, match=r"multiple of num_heads; got width=16, num_heads=3\."):
        PriorConfig(width=16, num_heads=3)
    with pytest.raises(ConfigError, match=r"^PriorConfig\.num_blocks must be at least 1; got 0"):
        PriorConfig(num_blocks=0)
    with pytest.raises(ConfigError, match=r"^PriorConfig\.scale must be above 0; got -1"):
        PriorConfig(scale=-1)
    with pytest.raises(ConfigError, match=r"'cosine' or 'linear'; got 'cosin'\. Did you mean 'cosine'"):
        PriorConfig(schedule="cosin")
    with pytest.raises(ConfigError, match=r"prior has no preset 'smal'\. Did you mean 'small'"):
        get_preset("prior", "smal")
