"""R-precision as the AttnGAN paper takes it: by the DAMSM itself. Pictures and captions in, a share out.

A painter that learnt from a DAMSM's losses is asked by this number how well it pleases its teacher, and one
whose captions a DAMSM reads at least shares its words. So it is circular, and says so in its name: it stands
beside published R-precisions, which are as circular, and never in a comparison of models. The independent one
is R-precision by `clip-score` (`evaluate/measures.py`).

Source  Xu et al. 2018, AttnGAN (arXiv:1711.10485), section 4: cosines of sentence and whole picture, the true
        caption among 99 others.
Letters N pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pictura.encode.damsm.model import Damsm
from pictura.encode.tokenizer import Tokenizer
from pictura.evaluate.feature_nets import weights_hash
from pictura.evaluate.metrics.bootstrap import Interval, mean_interval
from pictura.evaluate.metrics.retrieval import r_precision_hits
from pictura.evaluate.pictures import Pictures, check_pictures

_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class CircularRPrecision:
    """A number that must not be compared between models."""

    interval: Interval
    """Share in [0, 1] with its 95 % interval over captions; chance is 1 / (num_others + 1)."""
    hash: str
    """First 12 hex digits of the SHA-256 of the DAMSM's weights."""
    num_pictures: int
    num_others: int

    @property
    def name(self) -> str:
        """What it is called in front of people."""
        return f"R-precision (circular, DAMSM[{self.hash}])"


def circular_r_precision(
    damsm: Damsm,
    tokenizer: Tokenizer,
    images: Pictures,
    captions: Sequence[str],
    rng: np.random.Generator,
    *,
    num_others: int = 99,
) -> CircularRPrecision:
    """How often a picture's own caption comes first.

    Args:
        damsm: in evaluation mode.
        tokenizer: that it reads with.
        images: (N, 3, S, S) in [0, 1], on light grey; real or painted.
        captions: N, in picture order.
        rng: draws other captions and the interval.
        num_others: how many different captions compete.

    Raises:
        DataError: `images` are no pictures, numbers do not fit, or there are too few different captions.
    """
    check_pictures(images, "given")
    hits_N = r_precision_hits(
        *embed(damsm, tokenizer, images, captions), rng, captions=captions, num_others=num_others
    )
    return CircularRPrecision(
        interval=mean_interval(hits_N, list(captions), rng),
        hash=weights_hash(damsm),
        num_pictures=len(images),
        num_others=num_others,
    )


@torch.no_grad()
def embed(
    damsm: Damsm, tokenizer: Tokenizer, images: Pictures, captions: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Whole pictures (N, D) and sentences (N', D) of any number of each."""
    seen = [
        damsm.look(torch.from_numpy(np.ascontiguousarray(images[i : i + _AT_ONCE]))).whole.numpy()
        for i in range(0, len(images), _AT_ONCE)
    ]
    read: list[NDArray[np.float32]] = []
    for i in range(0, len(captions), _AT_ONCE):
        ids, mask = map(torch.from_numpy, tokenizer.batch(captions[i : i + _AT_ONCE]))
        sentence = damsm.read(ids, mask).sentence
        read.append(np.asarray(sentence))
    return np.concatenate(seen), np.concatenate(read)
