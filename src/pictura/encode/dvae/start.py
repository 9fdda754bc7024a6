"""Start the patch paths of a discrete VAE from a clustering of real patches.

At step 0 a place then gets the code of the nearest of V typical patches, and a code shows that patch: what
the random start takes a long training to find. Both paths are trained on like everything else.

Source  Lloyd 1982, k-means, with squared distances over all numbers of a patch. The likeliest code is the
        nearest patch, as log q = -sharpness |x - c|^2 up to a constant, which is linear in x.
Letters N patches, C channels, f side of a patch, V codes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.encode.dvae.losses import EPSILON, map_pixels
from pictura.encode.dvae.model import Dvae

ROUNDS = 12
MOST_PATCHES = 100_000
"""More teach nothing new."""
CHUNK = 16_384
"""Patches whose distances are held in memory at a time."""
SHARPNESS = 10.0
"""Log-odds, in nats, by which the nearest patch beats one that is twice the mean squared error away."""


@torch.no_grad()
def start_from_patches(dvae: Dvae, images: Tensor, *, seed: int = 0) -> None:
    """Set the patch paths, and let the rest of both halves begin quietly.

    Args:
        dvae: with `patch_paths`.
        images: (B, C, H, W) in [0, 1], with at least as many patches as there are codes.
        seed: of the patches that clustering starts from.

    Raises:
        ConfigError: there are fewer patches than codes.
    """
    config, encoder, decoder = dvae.config, dvae.encoder, dvae.decoder
    assert encoder.of_patches is not None
    assert decoder.patches is not None
    patches_NP = F.pixel_unshuffle(images, config.factor).movedim(1, -1).flatten(0, 2)
    if len(patches_NP) < config.vocab_size:
        raise ConfigError(
            f"The codes start from patches of pictures: {config.vocab_size} codes need as many patches, and "
            f"{len(images)} pictures have {len(patches_NP)}. Take fewer codes, larger pictures, or "
            f"model.dvae_config.patch_paths = false."
        )
    centres_VP, error = cluster(patches_NP[:MOST_PATCHES], config.vocab_size, seed=seed)
    scale = 1 - 2 * EPSILON  # the encoder sees mapped pixels
    weight_VP = 2 * SHARPNESS / error * centres_VP
    encoder.of_patches.weight.copy_(weight_VP.unflatten(1, (-1, config.factor, config.factor)) / scale)
    bias_V = -SHARPNESS / error * centres_VP.square().sum(dim=1) - EPSILON / scale * weight_VP.sum(dim=1)
    _set_bias(encoder.of_patches, bias_V)
    middles_VP = torch.logit(map_pixels(centres_VP.clamp(0, 1)))
    decoder.patches.weight.copy_(middles_VP.T[:, :, None, None])
    _set_bias(decoder.patches, 0.0)
    encoder.logits.weight.mul_(0.1)
    decoder.statistics.weight.mul_(0.1)


def cluster(patches: Tensor, num: int, *, seed: int) -> tuple[Tensor, float]:
    """Typical patches by k-means; a centre that nobody is near moves to a patch that is served badly.

    Args:
        patches: (N, P).
        num: V, at most N.
        seed: of the first centres.

    Returns:
        (V, P) centres, and the mean squared distance of patches from their nearest.
    """
    generator = torch.Generator().manual_seed(seed)
    centres = patches[torch.randperm(len(patches), generator=generator)[:num]].clone()
    for _ in range(ROUNDS):
        distance_N, nearest_N = _nearest(patches, centres)
        count_V = torch.zeros(num).index_add_(0, nearest_N, torch.ones(len(patches)))
        total_VP = torch.zeros_like(centres).index_add_(0, nearest_N, patches)
        centres = total_VP / count_V.clamp_min(1)[:, None]
        lonely = (count_V == 0).nonzero()[:, 0]
        if len(lonely) and float(distance_N.max()) > 0:
            drawn = torch.multinomial(distance_N.square() + 1e-12, len(lonely), generator=generator)
            centres[lonely] = patches[drawn]
    return centres, max(float(_nearest(patches, centres)[0].square().mean()), 1e-6)


def _nearest(patches: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (N,) of each patch from its nearest centre, and which that is."""
    found = [torch.cdist(part, centres).min(dim=1) for part in patches.split(CHUNK)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def _set_bias(layer: nn.Conv2d, value: Tensor | float) -> None:
    assert layer.bias is not None
    layer.bias.copy_(torch.as_tensor(value))
