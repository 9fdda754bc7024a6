"""Positions and attention."""

import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.nn.layers import Attention, SwiGLU, centred_grid, rope_2d, rotate, sincos


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


def test_attention_width_must_divide_into_heads() -> None:
    with pytest.raises(ConfigError, match="got width=10, num_heads=4"):
        Attention(10, 4)


def test_feed_forward_has_about_eight_weights_per_squared_width() -> None:
    weights = sum(p.numel() for p in SwiGLU(192).parameters())
    assert 8 * 192**2 <= weights <= 8.2 * 192**2


def test_sincos_of_zero_is_ones_then_zeros() -> None:
    assert sincos(torch.zeros(1), 6, 100.0).tolist() == [[1, 1, 1, 0, 0, 0]]
