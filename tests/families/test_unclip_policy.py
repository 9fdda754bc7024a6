"""unCLIP learns as a flow does: its velocity is that of the decoder, and a reward moves it."""

import pytest
import torch
from torch import Tensor

from pictura.core.types import Conditioning, ImageConditioning
from pictura.encode.tokenizer import Tokenizer
from pictura.families.unclip.policy import UnclipPolicy
from pictura.sample.diffusion import as_velocity
from pictura.store.models import resolve
from tests.tiny_unclip import CLIP, make_parts

TEXTS = ["a red fox", "a blue ball on a white background"]


@pytest.fixture(scope="module")
def policy() -> UnclipPolicy:
    tokenizer = Tokenizer.load(resolve(CLIP).path / "tokenizer.json", max_tokens=48)
    size = make_parts().decoder.config.size
    return UnclipPolicy(make_parts(), tokenizer, grid=(size, size), prior_steps=4, device=torch.device("cpu"))


def noisy(policy: UnclipPolicy, num: int) -> Tensor:
    return torch.randn(num, *policy.latent_shape, generator=torch.Generator().manual_seed(1))


def test_the_velocity_is_that_of_the_decoder(policy: UnclipPolicy) -> None:
    decoder = make_parts().decoder
    cond, x_t = policy.read(TEXTS), noisy(policy, 2)
    config = decoder.config
    num = -(-config.embed_dim // config.text_width)
    vector = cond.tokens[:, :num].flatten(1)[:, : config.embed_dim]
    torch.testing.assert_close(vector.norm(dim=1), torch.ones(2))
    known = torch.ones(2, dtype=torch.bool)
    told = ImageConditioning(
        embedding=vector,
        tokens=cond.tokens[:, num:],
        mask=cond.mask[:, num:],
        keep_embedding=known,
        keep_text=known,
    )
    plain = as_velocity(lambda x, t: decoder.denoise(x, t.float(), told), config.schedule)
    for time in (0.2, 0.7, 1.0):
        t = torch.full((2,), time)
        got = policy.velocity(policy.learnable, x_t, t, cond)
        torch.testing.assert_close(got, plain(x_t, t), atol=2e-4, rtol=1e-4)


def test_a_prompt_is_imagined_the_same_in_any_company(policy: UnclipPolicy) -> None:
    together, alone = policy.read(TEXTS), policy.read(TEXTS[:1])
    num = alone.tokens.shape[1]
    torch.testing.assert_close(together.tokens[:1, :num], alone.tokens, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together.tokens[0, 0], together.tokens[1, 0])


def test_no_prompt_tells_the_decoder_nothing(policy: UnclipPolicy) -> None:
    empty, x_t, t = policy.read([""]), noisy(policy, 1), torch.tensor([0.6])
    other = Conditioning(tokens=torch.randn(empty.tokens.shape), mask=empty.mask)
    got, same = (policy.velocity(policy.learnable, x_t, t, cond) for cond in (empty, other))
    torch.testing.assert_close(got, same)
    said = policy.velocity(policy.learnable, x_t, t, policy.read(TEXTS[:1]))
    assert (said - got).abs().max() > 1e-3


def test_gradients_reach_the_decoder_alone(policy: UnclipPolicy) -> None:
    weights = {name: value.clone().requires_grad_() for name, value in policy.learnable.items()}
    x_t = noisy(policy, 2)
    images = policy.decode(x_t - policy.velocity(weights, x_t, torch.ones(2), policy.read(TEXTS)))
    assert images.shape[2:] == (64, 64)
    before = images.mean()
    before.backward()
    assert all(name.startswith("decoder.") for name in weights)
    slopes = {name: value.grad for name, value in weights.items() if value.grad is not None}
    moved = {name: (weights[name] + 0.05 * slope.sign()).detach() for name, slope in slopes.items()}
    after = policy.decode(x_t - policy.velocity(moved, x_t, torch.ones(2), policy.read(TEXTS))).mean()
    assert after > before  # brighter, as the reward asks
