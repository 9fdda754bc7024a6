"""What every diffusion of pictures learns by: times, noise, and the error of a prediction.

Source  Ho et al. 2020, DDPM (arXiv:2006.11239), for the error of noise; Salimans & Ho 2022 (arXiv:2202.00512)
        for the weight of x_0's error, which is then that of v; Hang et al. 2023 (arXiv:2303.09556) for its
        bound. Nichol & Dhariwal 2021
        (arXiv:2102.09672), equations 15 and 16, for a learnt variance. Differs: times of a batch are spread
        evenly (Kingma et al. 2021, arXiv:2107.00630), each still uniform.
Letters B pictures, C channels, H W size.
Units   pictures in [-1, 1]; t in [0, 1], 1 = noise.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.sample.diffusion import alpha_sigma

MOST_WEIGHT = 20.0
"""Of the error of x_0 unless told otherwise, which is then v's where s^2 is above 1 / 20."""
STEPS = 1000
"""Into which the loss of a variance cuts time."""
WHITE = 1.0
"""What pictures without transparency are laid on."""


def noisy(x_0: Tensor, noise: Tensor, t: Tensor, schedule: str) -> Tensor:
    """Pictures under noise at times (B,): (B, C, H, W)."""
    a_B, s_B = alpha_sigma(schedule, t)
    return a_B[:, None, None, None] * x_0 + s_B[:, None, None, None] * noise


def diffusion_loss(
    said: Tensor,
    x_0: Tensor,
    noise: Tensor,
    t: Tensor,
    *,
    prediction: str,
    schedule: str,
    most_weight: float = MOST_WEIGHT,
) -> Tensor:
    """Mean squared error of a prediction of `x_0`, weighted as v's, or of `noise`.

    Args:
        said: (B, C, H, W) what a network said, or (B, 2 C, H, W) with a variance, whose loss is added.
        x_0: (B, C, H, W) pictures.
        noise: the same shape.
        t: (B,) times.
        prediction: `x_0` or `noise`.
        schedule: see `sample.diffusion`.
        most_weight: of the error of x_0.

    Returns:
        (B,) one loss per picture.
    """
    guess, spread = said.float().split(x_0.shape[1], dim=1) if said.shape[1] > x_0.shape[1] else (said, None)
    a_B, s_B = alpha_sigma(schedule, t)
    truth = noise if prediction == "noise" else x_0
    error = guess.float() - truth
    loss_B = error.square().mean(dim=(1, 2, 3))
    if prediction == "x_0":
        loss_B = loss_B * s_B.square().clamp_min(1 / most_weight).reciprocal()
    if spread is None:
        return loss_B
    wrong = error.detach()
    if prediction == "noise":
        wrong = wrong * (s_B / a_B)[:, None, None, None]
    return loss_B + variance_loss(spread, wrong, t, schedule)


def variance_loss(spread: Tensor, wrong: Tensor, t: Tensor, schedule: str) -> Tensor:
    """Divergence of the true step of 1/1000 of the time from the one that a network would take.

    Args:
        spread: (B, C, H, W) where the logarithm of the variance lies: -1 at that of the true step, 1 at that
            of the noise of a step forward.
        wrong: (B, C, H, W) by how much its x_0 is wrong; it does not learn from this loss.
        t: (B,) times; earlier than the second step they count as the second.
        schedule: see `sample.diffusion`.

    Returns:
        (B,) in bits per number.
    """
    now = t.double().clamp_min(2 / STEPS)
    (a, s), (a_to, s_to) = (
        [share[:, None, None, None] for share in alpha_sigma(schedule, time)]
        for time in (now, now - 1 / STEPS)
    )
    forward = 1 - (a / a_to) ** 2
    true = forward * (s_to / s) ** 2
    share = (spread.double() + 1) / 2
    log_ratio = share * (forward / true).log()
    mean_error = wrong.double() * a_to * forward / s**2
    kl = (log_ratio - 1 + (1 + mean_error**2 / true) * (-log_ratio).exp()) / 2
    return (kl.mean(dim=(1, 2, 3)) / math.log(2)).float()


def draw_times(size: int, rng: np.random.Generator, *, shift: float) -> Tensor:
    """Times (B,) of a batch: uniform each, evenly spread together; `shift` above 1 leans them to noise."""
    t = (rng.random() + np.arange(size) / size) % 1
    return torch.from_numpy((shift * t / (1 + (shift - 1) * t)).astype(np.float32))


def draw_noise(like: Tensor, rng: np.random.Generator) -> Tensor:
    """Standard normal numbers of the shape of pictures (B, C, H, W)."""
    noise = torch.from_numpy(rng.standard_normal(like.shape, dtype=np.float32))
    return noise.contiguous(memory_format=torch.channels_last).to(like.device)


def shrink(images: Tensor, size: int, channels: int) -> Tensor:
    """Pictures (B, 3 or 4, H, W) in [0, 1] averaged down to (B, channels, size, size) in [-1, 1].

    Raises:
        ConfigError: they are smaller than that, or of too few channels.
    """
    if min(images.shape[2:]) < size or images.shape[1] < channels:
        raise ConfigError(
            f"The network paints {channels} channels of {size} x {size} pixels; got pictures of "
            f"{images.shape[1]} channels and {images.shape[2]} x {images.shape[3]}. Set data.size to {size} "
            f"or more, and image_channels to what the pictures have."
        )
    if channels == 3:
        images = on_background(images, WHITE)
    small = images if images.shape[2:] == (size, size) else F.interpolate(images, (size, size), mode="area")
    # The order in memory, not of the axes: quicker on a CPU.
    return (small * 2 - 1).contiguous(memory_format=torch.channels_last)


def unit(x_0: Tensor) -> Tensor:
    """Pictures in about [-1, 1] to [0, 1], cut off."""
    return (x_0 / 2 + 0.5).clamp(0, 1)
