"""What the discrete VAE makes small: pictures that are unlikely, and codes that say much.

Source  Ramesh et al. 2021, DALL-E (arXiv:2102.12092), appendix A.3: the logit-Laplace likelihood; section
        2.1: the divergence from the uniform distribution over codes. Differs: a least scale of the
        likelihood can be asked for, since pictures with plain transparent parts have no other bound.
Letters B batch, C channels, H W picture size, V codes, h w grid of codes.
Units   pictures in [0, 1]; likelihoods are densities of mapped pixels, in nats, and may be above 1.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 0.1
"""How far pixels are kept from 0 and 1, where the logit is infinite."""


def map_pixels(images: Tensor) -> Tensor:
    """[0, 1] to [0.1, 0.9]."""
    return (1 - 2 * EPSILON) * images + EPSILON


def unmap_pixels(mapped: Tensor) -> Tensor:
    """The inverse of `map_pixels`, clipped to [0, 1]."""
    return ((mapped - EPSILON) / (1 - 2 * EPSILON)).clamp(0, 1)


def logit_laplace(images: Tensor, statistics: Tensor, *, least_scale: float = 0.0) -> Tensor:
    """Negative log-likelihood of pictures, each number for itself.

    f(x | mu, b) = exp(-|logit x - mu| / b) / (2 b x (1 - x)) on (0, 1), of the mapped pixel x.

    Args:
        images: (B, C, H, W) in [0, 1].
        statistics: (B, 2 C, H, W): mu, then ln b.
        least_scale: b grows by it, so that it never comes below; 0 is the paper's.

    Returns:
        (B, C, H, W) nats; below 0 where the density is above 1.
    """
    mean, log_scale = statistics.float().chunk(2, dim=1)
    if least_scale:
        log_scale = torch.logaddexp(log_scale, log_scale.new_full((), math.log(least_scale)))
    x = map_pixels(images.float())
    distance = (torch.logit(x) - mean).abs()
    return math.log(2) + log_scale + torch.log(x * (1 - x)) + distance * torch.exp(-log_scale)


def kl_to_uniform(logits: Tensor) -> Tensor:
    """Divergence of softmax(logits) from the uniform distribution: ln V minus the entropy.

    Args:
        logits: (B, V, h, w), not divided by any temperature.

    Returns:
        (B, h, w) nats, from 0 (any code) to ln V (one code).
    """
    log_q = F.log_softmax(logits.float(), dim=1)
    return (log_q.exp() * log_q).sum(dim=1) + math.log(logits.shape[1])


def count_codes(codes: Tensor, vocab_size: int) -> Tensor:
    """How often each code occurs.

    Args:
        codes: int64, any shape.
        vocab_size: V.

    Returns:
        (V,) float.
    """
    flat = codes.flatten()
    return torch.zeros(vocab_size, device=codes.device).scatter_add_(
        0, flat, torch.ones_like(flat, dtype=torch.float32)
    )


def usage(counts: Tensor) -> tuple[float, float]:
    """How evenly codes are used.

    Args:
        counts: (V,) how often each occurred.

    Returns:
        The share of codes that occurred, in [0, 1], and the perplexity: exp of the entropy of their
        frequencies, from 1 (one code) to V (all alike). Both 0 where nothing was counted.
    """
    total = counts.sum()
    if not total:
        return 0.0, 0.0
    share = counts.double() / total
    return float((counts > 0).double().mean()), float(torch.exp(torch.special.entr(share).sum()))
