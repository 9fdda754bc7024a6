"""What training is told of DF-GAN."""

from pictura.families.dfgan.discriminator import make_discriminators
from pictura.families.dfgan.model import DFGANConfig, DFGANGenerator
from pictura.families.dfgan.presets import get_preset
from pictura.nn.gan import GanFamily

FAMILY = GanFamily(
    config=DFGANConfig,
    preset=get_preset,
    generator=DFGANGenerator,
    discriminators=make_discriminators,
)
