"""The judges, the CLIP and the feature nets that come with Pictura, as scorers."""

import torch

from pictura.core.errors import DeviceError
from pictura.encode.clip.load import ClipModel
from pictura.evaluate.feature_nets import random_net
from pictura.evaluate.judges import NETS, load_judge
from pictura.evaluate.runner import Scorers
from pictura.evaluate.scorers import ClipScorer, FeatureScorer, JudgeScorer, SecondHand

CLIP = "clip-score"


def load_scorers(device: str = "auto") -> Scorers:
    """Load everything that comes with Pictura: judge A, judge B (the headline), a CLIP, three feature nets.

    Args:
        device: ``cpu``, ``cuda``, or ``auto``: CUDA where it is.

    Raises:
        DeviceError: there is no CUDA device.
        ModelError: a network is damaged.
    """
    where = _device(device)
    judges = tuple(JudgeScorer(load_judge(name, device=where)) for name in ("a", "b"))
    clip = ClipScorer(ClipModel.load(NETS / CLIP, where)) if (NETS / CLIP).is_dir() else None
    seen_anyway = [SecondHand(scorer) for scorer in (judges[-1], clip) if scorer is not None]
    return Scorers(judges=judges, clip=clip, nets=(FeatureScorer(random_net(where)), *seen_anyway))


def _device(asked: str) -> str:
    if asked == "cuda" and not torch.cuda.is_available():
        raise DeviceError("The device cuda was asked for, but torch finds none. Use --device cpu.")
    return "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"
