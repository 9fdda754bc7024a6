"""AttnGAN's judges: one discriminator for each picture, those of StackGAN++ with the sentence as condition.

Source  Xu et al. 2018, AttnGAN (arXiv:1711.10485), section 3.1. See `nn/tree.py`.
"""

from torch import nn

from pictura.families.attngan.model import AttnGANConfig
from pictura.nn.tree import JointDiscriminator


def make_discriminators(config: AttnGANConfig) -> nn.ModuleList:
    """One `nn.gan.Discriminator` for each of `config.sizes`."""
    return nn.ModuleList(
        JointDiscriminator(side, config.image_channels, config.discriminator_width, config.text_width)
        for side in config.sizes
    )
