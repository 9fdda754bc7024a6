"""The networks of an AttnGAN model folder on torch, CPU or CUDA: what the pipeline paints with on a GPU."""

from functools import partial

from pictura.encode.damsm.painter import open_painter
from pictura.families.attngan.family import FAMILY

TorchBackend = partial(open_painter, FAMILY)
"""A loaded painter (`core.types.OnePassBackend`); `open_painter` says what it is called with."""
