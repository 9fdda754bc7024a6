"""Positions and attention."""

import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.nn.layers import Attention, SwiGLU, attend, centred_grid, rope_2d, rotate, sincos


def test_rotation_keeps_lengths() -> None:
    rotation = rope_2d(*centred_grid(3, 5, torch.zeros(1)), 8, 100.0)
    x = torch.randn(1, 2, 15, 8)
    torch.testing.assert_close(rotate(x, rotation).norm(dim=-1), x.norm(dim=-1))


def test_rotated_products_depend_only_on_the_distance() -> None:
    rows, cols = torch.tensor([0.0, 1.0, 5.0, 6.0]), torch.tensor([2.0, 4.0, 1.0, 3.0])
    q, k = torch.randn(8), torch.randn(8)
    turned_q = rotate(q.expand(1, 1, 4, 8), rope_2d(rows, cols, 8, 100.0))[0, 0]
    turned_k = rotate(k.expand(1, 1, 4, 8), rope_2d(rows, cols, 8, 100.0))[0, 0]
    # Tokens 0 and 1 lie as far apart as tokens 2 and 3: one row, two columns.
    torch.testing.assert_close(turned_q[0] @ turned_k[1], turned_q[2] @ turned_k[3])
    assert abs(float(turned_q[0] @ turned_k[1] - turned_q[0] @ turned_k[2])) > 1e-3


def test_the_centre_is_not_turned() -> None:
    rotation = rope_2d(torch.zeros(1), torch.zeros(1), 8, 100.0)
    x = torch.randn(1, 1, 1, 8)
    assert torch.equal(rotate(x, rotation), x)


def test_masked_tokens_are_not_seen() -> None:
    attention = Attention(16, 2)
    x = torch.randn(1, 4, 16)
    mask = torch.tensor([[True, True, False, False]])
    other = torch.cat([x[:, :2], torch.randn(1, 2, 16)], dim=1)
    torch.testing.assert_close(attention(x, mask)[:, :2], attention(other, mask)[:, :2])


def test_in_bf16_on_a_cpu_attention_is_the_same() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 9, 8).unbind(0)
    mask = torch.rand(9, 9) < 0.5
    mask.fill_diagonal_(True)
    exact = attend(q, k, v, mask)
    rough = attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), mask)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, atol=3e-2, rtol=0)


def test_in_bf16_no_attention_takes_the_slow_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turned queries are of fp32 under autocast, which made it take the fused kernel."""
    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", None)
    attention, x = Attention(16, 2), torch.randn(1, 4, 16, requires_grad=True)
    rotation = rope_2d(*centred_grid(2, 2, x), 8, 100.0)
    with torch.autocast("cpu", torch.bfloat16):
        attention(x, torch.ones(1, 4, dtype=torch.bool), rotation).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_attention_width_must_divide_into_heads() -> None:
    with pytest.raises(ConfigError, match="got width=10, num_heads=4"):
        Attention(10, 4)


def test_feed_forward_has_about_eight_weights_per_squared_width() -> None:
    weights = sum(p.numel() for p in SwiGLU(192).parameters())
    assert 8 * 192**2 <= weights <= 8.2 * 192**2


def test_sincos_of_zero_is_ones_then_zeros() -> None:
    assert sincos(torch.zeros(1), 6, 100.0).tolist() == [[1, 1, 1, 0, 0, 0]]
