"""The text tower."""

import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.encode.text_encoder import TextEncoder, TextEncoderConfig


def test_padding_changes_nothing() -> None:
    tower = TextEncoder(TextEncoderConfig(vocab_size=20, width=16, num_blocks=2, num_heads=2))
    ids = torch.tensor([[1, 5, 7]])
    padded = torch.tensor([[1, 5, 7, 0, 0]])
    mask = torch.tensor([[True, True, True, False, False]])
    alone = tower(ids, torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(tower(padded, mask)[:, :3], alone)


def test_word_order_matters() -> None:
    tower = TextEncoder(TextEncoderConfig(vocab_size=20, width=16, num_blocks=1, num_heads=2))
    mask = torch.ones(1, 3, dtype=torch.bool)
    one, other = (tower(torch.tensor([ids]), mask).mean(dim=1) for ids in ([1, 5, 7], [1, 7, 5]))
    assert (one - other).abs().max() > 1e-3


def test_width_must_divide_into_heads() -> None:
    with pytest.raises(ConfigError, match="got width=10, num_heads=4"):
        TextEncoderConfig(width=10, num_heads=4)
