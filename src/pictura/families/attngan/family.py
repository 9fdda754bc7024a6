"""What training is told of AttnGAN."""

from pictura.families.attngan.discriminator import make_discriminators
from pictura.families.attngan.model import AttnGANConfig, AttnGANGenerator
from pictura.families.attngan.presets import get_preset
from pictura.nn.gan import GanFamily

FAMILY = GanFamily(
    config=AttnGANConfig,
    preset=get_preset,
    generator=AttnGANGenerator,
    discriminators=make_discriminators,
)
