"""How StackGAN's networks are made, for whoever trains or paints."""

from torch import nn

from pictura.families.stackgan.discriminator import MatchingDiscriminator
from pictura.families.stackgan.model import StackGANConfig
from pictura.families.stackgan.presets import get_preset
from pictura.families.stackgan.stages import StageOne, StageTwo
from pictura.families.stackgan.tree import TreeGenerator
from pictura.nn.gan import GanFamily
from pictura.nn.tree import JointDiscriminator


def make_generator(config: StackGANConfig) -> nn.Module:
    """The tree of version 2; of version 1 the first stage, or the second with its first inside."""
    if config.version == 2:
        return TreeGenerator(config)
    return StageOne(config) if config.num_scales == 1 else StageTwo(config)


def make_discriminators(config: StackGANConfig) -> nn.ModuleList:
    """One for each side that is painted."""
    if config.version == 1:
        return nn.ModuleList([MatchingDiscriminator(config)])
    return nn.ModuleList(
        JointDiscriminator(side, config.image_channels, config.discriminator_width, config.condition_width)
        for side in config.sizes
    )


FAMILY = GanFamily(
    config=StackGANConfig,
    preset=get_preset,
    generator=make_generator,
    discriminators=make_discriminators,
)
"""StackGAN, both versions."""
