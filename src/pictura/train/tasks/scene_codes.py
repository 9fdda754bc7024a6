"""Which of two things has which colour and stands where, as a code that both towers of a CLIP learn to give.

"A red car and a blue ball" and "a blue car and a red ball" have the same words, and their pictures the same
colours and things: towers that average words and places see no difference, and a contrastive loss alone does
not teach them one in an hour, for what one tower notices is of no use until the other does. A code breaks
that: it is known, so that each tower can learn it by itself.

Source  Smolensky 1990, Tensor Product Variable Binding; Gayler 2003 (arXiv:cs/0412059): a thing with a
        property is the elementwise product of their codes, a scene the sum of such products. Differs: the
        codes of things are what a judge knows them by, whitened, so that things that look alike have like
        codes and few numbers are enough.
Letters B scenes, T things, F features of the judge, M numbers of a code.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pictura.data.scenes.source import Scene
from pictura.data.vocabulary.colours import COLOURS
from pictura.encode.judges.judge import DetectorJudge

Floats = NDArray[np.float64]
SIZE = 24
"""M, or as many as there are things or features. Longer codes are learnt more slowly."""
_SEED = 1
_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


class SceneCodes:
    """The codes of scenes; (2, B, M), colours first, then places."""

    def __init__(self, judge: DetectorJudge) -> None:
        """Take the judge's things."""
        rng = np.random.default_rng(_SEED)
        known_TF = judge.network.things.weight[:, :, 0, 0].float().cpu().numpy()
        left_TM = np.linalg.svd(known_TF - known_TF.mean(axis=0), full_matrices=False)[0][:, :SIZE]
        self.size = left_TM.shape[1]
        """M."""
        turn_MM = np.linalg.qr(rng.standard_normal((self.size, self.size)))[0]
        white_TM = len(known_TF) ** 0.5 * left_TM @ turn_MM
        self._thing = dict(zip(judge.things, white_TM, strict=True))
        self._colour = {name: rng.choice([-1.0, 1.0], self.size) for name in COLOURS}
        self._place = {name: rng.choice([-1.0, 1.0], self.size) for name in _OPPOSITE}

    def __call__(self, scenes: Sequence[Scene], *, said: bool) -> tuple[Tensor, Tensor]:
        """Encode scenes.

        Args:
            scenes: B of them.
            said: as captions tell; else as pictures show, where a place is seen though nobody says it.

        Returns:
            Codes (2, B, M) of variance 1, and (2, B) whether there is one.
        """
        codes_2BM = np.zeros((2, len(scenes), self.size), dtype=np.float32)
        known_2B = np.zeros((2, len(scenes)), dtype=np.bool_)
        for i, scene in enumerate(scenes):
            for kind, terms in enumerate(self._terms(scene, said=said)):
                if terms:
                    known_2B[kind, i] = True
                    codes_2BM[kind, i] = np.sum(terms, axis=0) / len(terms) ** 0.5
        return torch.from_numpy(codes_2BM), torch.from_numpy(known_2B)

    def _terms(self, scene: Scene, *, said: bool) -> tuple[list[Floats], list[Floats]]:
        """Thing times colour of each thing that is given one, thing times place of two."""
        objects = scene.objects[: 1 if scene.count > 1 else 2]
        if any(thing.thing not in self._thing for thing in objects):
            return [], []
        colours = [self._thing[o.thing] * self._colour[o.colour] for o in objects if o.colour]
        if len(objects) < 2 or scene.relation is None or (said and scene.kind != "position"):
            return colours, []
        stands = (scene.relation, _OPPOSITE[scene.relation])
        return colours, [self._thing[o.thing] * self._place[s] for o, s in zip(objects, stands, strict=True)]
