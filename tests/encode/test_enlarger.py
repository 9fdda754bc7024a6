"""The enlarger's network: what it starts as, what it keeps, which sizes it takes."""

import pytest
import torch
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.encode.enlarger import Enlarger, EnlargerConfig, fitted

TINY = EnlargerConfig(width=8, width_half=8, num_blocks=2, num_blocks_half=1)


def pictures(h: int = 6, w: int = 10) -> torch.Tensor:
    return torch.rand(2, 4, h, w, generator=torch.Generator().manual_seed(0))


def test_an_untrained_enlarger_is_the_bicubic_enlargement() -> None:
    small = pictures()
    expected = F.interpolate(small, scale_factor=4, mode="bicubic", align_corners=False)
    found = Enlarger(TINY)(small)
    assert found.shape == (2, 4, 24, 40)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_what_it_adds_moves_with_the_picture() -> None:
    enlarger = Enlarger(TINY)
    for weight in enlarger.parameters():
        torch.nn.init.normal_(weight, std=0.2, generator=torch.Generator().manual_seed(1))
    wide = pictures(40, 64)
    moved = enlarger(wide[:, :, :, 2:])
    inside = slice(4 * 24, 4 * 36)  # beyond the reach of the edges
    torch.testing.assert_close(
        moved[..., inside, inside], enlarger(wide)[..., inside, 4 * 26 : 4 * 38], rtol=0, atol=1e-4
    )


def test_colours_never_pass_their_alpha() -> None:
    found = fitted(torch.randn(3, 4, 5, 7, generator=torch.Generator().manual_seed(2)))
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert bool((found[:, :3] <= found[:, 3:]).all())
    good = torch.tensor([0.2, 0.0, 0.5, 0.5])[None, :, None, None]
    torch.testing.assert_close(fitted(good), good)


def test_odd_sides_and_odd_widths_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"takes even sides; got \(5, 8\). Pad it\."):
        Enlarger(TINY)(pictures(5, 8))
    with pytest.raises(ConfigError, match="width must be a multiple of 4; got 6"):
        EnlargerConfig(width=6)
    with pytest.raises(ConfigError, match="num_blocks_half must be at least 1; got 0"):
        EnlargerConfig(num_blocks_half=0)
