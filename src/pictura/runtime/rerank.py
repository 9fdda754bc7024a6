"""The best of many pictures of one sentence, by a CLIP that no evaluation scores by.

Source  Ramesh et al. 2021, DALL-E (arXiv:2102.12092), section 2.6: a contrastive model puts samples in order.
Letters N pictures, D width of the CLIP's vectors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from pictura.core.images import from_uint8, on_background
from pictura.data.resize import to_square
from pictura.runtime.onnx_clip import OnnxClip
from pictura.store.models import resolve

GUIDE = "clip-guide"
"""It also teaches; what evaluations score by is another CLIP, which nothing here can reach."""


class Ranking(NamedTuple):
    """Pictures in order."""

    scores: tuple[float, ...]
    """Cosine of each picture and the sentence, in the order in which the pictures came."""
    best: tuple[int, ...]
    """Places of the best ones among them, best first; of equals the first."""
    by: str
    """Name of the CLIP and the start of its hash."""


def rank(pictures: Sequence[Image.Image], prompt: str, *, keep: int) -> Ranking:
    """Put pictures in order of how well they show a sentence.

    Args:
        pictures: N of any size, RGB or RGBA with straight alpha; each is made square as for `pictura search`.
        prompt: what they should show.
        keep: how many of the best are wanted.

    Raises:
        ModelNotFoundError: there is no `clip-guide`.
        ModelError: it is damaged.
    """
    clip = OnnxClip(resolve(GUIDE).path)
    squares = np.stack([to_square(picture, clip.size) for picture in pictures])
    image_ND = clip.embed_images(np.clip(on_background(from_uint8(squares)), 0, 1))
    scores_N = image_ND @ clip.embed_text([prompt])[0]
    order = np.argsort(-scores_N, kind="stable")[:keep]
    return Ranking(
        scores=tuple(round(float(score), 4) for score in scores_N),
        best=tuple(int(i) for i in order),
        by=f"{clip.name} {clip.hash[:10]}",
    )
