"""What generators and discriminators want, by the name that a family's config gives in `loss`.

Source  `matching`: Zhang et al. 2017, StackGAN (arXiv:1612.03242). `joint`: Zhang et al. 2018, StackGAN++
        (arXiv:1710.10916). `attngan`: Xu et al. 2018 (arXiv:1711.10485). `hinge` and the penalty: Tao et al.
        2022, DF-GAN (arXiv:2008.05865). Weights are those of the authors' code; AttnGAN's paper (equation 5)
        has no wrong pair, its code has. Differs: the wrong pair is a real picture of the same batch with the
        sentence of another; where that sentence may hold by chance, it counts nothing.
Letters B batch, K condition numbers.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pictura.core.errors import ConfigError, did_you_mean
from pictura.nn.gan import Verdict

LOSSES = ("matching", "joint", "attngan", "hinge")


def check_loss(name: str) -> None:
    """Refuse an unknown name.

    Raises:
        ConfigError: no loss has it.
    """
    if name not in LOSSES:
        raise ConfigError(f"No adversarial loss is named {name!r}. {did_you_mean(name, LOSSES)}")


def real(logit: Tensor) -> Tensor:
    """Binary cross-entropy of a logit that should say real."""
    return F.softplus(-logit)


def fake(logit: Tensor) -> Tensor:
    """Binary cross-entropy of a logit that should say not real."""
    return F.softplus(logit)


def discriminator_loss(
    name: str, right: Verdict, wrong: Verdict, painted: Verdict, counts_B: Tensor, unconditional_weight: float
) -> Tensor:
    """What a discriminator makes small.

    Args:
        name: one of `LOSSES`.
        right: on real pictures with their sentences.
        wrong: on real pictures with the sentences of others.
        painted: on painted pictures with the sentences that they were painted from.
        counts_B: (B,) 1 where the wrong sentence is surely wrong, else 0.
        unconditional_weight: of the verdicts on pictures alone; `attngan` has fixed weights.

    Returns:
        (B,) one loss for each picture.
    """
    if name == "hinge":
        mismatched = counts_B * F.relu(1 + wrong.conditional)
        return F.relu(1 - right.conditional) + (F.relu(1 + painted.conditional) + mismatched) / 2
    right_B, painted_B = real(right.conditional), fake(painted.conditional)
    wrong_B = counts_B * fake(wrong.conditional)
    if name == "matching":
        return right_B + (wrong_B + painted_B) / 2
    alone, wrong_alone, painted_alone = (_alone(verdict, name) for verdict in (right, wrong, painted))
    if name == "attngan":
        return (real(alone) + right_B) / 2 + (fake(painted_alone) + painted_B + wrong_B) / 3
    # The picture of a wrong pair is real all the same.
    pictures_B = real(alone) + real(wrong_alone) + fake(painted_alone)
    return right_B + wrong_B + painted_B + unconditional_weight * pictures_B


def generator_loss(name: str, painted: Verdict, unconditional_weight: float) -> Tensor:
    """What a generator makes small of a discriminator's verdict: (B,)."""
    if name == "hinge":
        return -painted.conditional
    if name == "matching":
        return real(painted.conditional)
    weight = 1.0 if name == "attngan" else unconditional_weight
    return real(painted.conditional) + weight * real(_alone(painted, name))


def kl_divergence(mean: Tensor, log_std: Tensor, fidelity: str) -> Tensor:
    """KL(N(mean, std) || N(0, 1)) of (B, K): (B,), the sum over K (`paper`) or the mean (`code`)."""
    kl_BK = (mean.square() + (2 * log_std).exp() - 1) / 2 - log_std
    return kl_BK.sum(dim=1) if fidelity == "paper" else kl_BK.mean(dim=1)


def gradient_penalty(verdict: Verdict, images: Tensor, told: Tensor, power: float, fidelity: str) -> Tensor:
    """Matching-aware gradient penalty of real pictures with their sentences.

    Args:
        verdict: of `images` and `told`, which both require gradients.
        images: (B, C, S, S).
        told: (B, K).
        power: of the gradient's size.
        fidelity: "paper" adds the norms of both gradients, "code" takes the norm of both as one.

    Returns:
        (B,) (||grad_images|| + ||grad_told||)^power or ||(grad_images, grad_told)||^power, through which
        gradients pass.
    """
    both = torch.autograd.grad(verdict.conditional.sum(), (images, told), create_graph=True)
    norm_B2 = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in both], dim=1)
    size_B = norm_B2.sum(dim=1) if fidelity == "paper" else norm_B2.norm(dim=1)
    return size_B**power


def _alone(verdict: Verdict, name: str) -> Tensor:
    assert verdict.unconditional is not None, f"{name} asks for verdicts on pictures alone"
    return verdict.unconditional
