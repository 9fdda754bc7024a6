"""What a detector saw, held against what was claimed: peaks and claims in, chances and partial credit out.

Source  `encode.judges.judge.DetectorJudge` for the chance, here for whole batches and with a gradient; Liu et
        al. 2025, Flow-GRPO (arXiv:2505.05470, app. B) for partial credit: a number counts by its closeness,
        colours and places only as far as the things are there.
Letters B pictures, P peaks, T things, K colours. A claim has one demand or two.
Units   chances and credit in [0, 1]; centres as fractions of the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from pictura.core.types import Claim, Demand
from pictura.encode.judges.detector import Peaks
from pictura.encode.judges.judge import Calibration

MOST = 8
"""Peaks that are read, and so the largest number that can be counted."""
_TOWARDS = {"left of": (1.0, 0.0), "right of": (-1.0, 0.0), "above": (0.0, 1.0), "below": (0.0, -1.0)}
_SHARP, _SOFT = 0.02, 0.1  # how gently a relation ends, as a fraction of the picture


@dataclass(frozen=True, slots=True)
class Asked:
    """B claims as numbers."""

    things: Tensor
    """(B, 2) rows of the list of things; a single demand is written twice."""
    colours: Tensor
    """(B, 2) rows of the list of colours, -1 where any will do."""
    two: Tensor
    """(B,) bool, there are two demands."""
    count: Tensor
    """(B,) the number of the one thing, 0 where any will do."""
    towards: Tensor
    """(B, 2) from the first thing to the second, as a unit vector; 0 where anywhere will do."""
    known: Tensor
    """(B,) bool, the claim can be checked; other rows hold another claim."""

    def to(self, device: torch.device | str) -> "Asked":
        """The same on another device."""
        return Asked(*(getattr(self, field.name).to(device) for field in fields(self)))


def ask(claims: Sequence[Claim | None], things: Sequence[str], colours: Sequence[str]) -> Asked:
    """Write claims as numbers.

    Args:
        claims: B of them; None where nothing was claimed.
        things: what the detector tells apart.
        colours: likewise.
    """
    thing_row = {phrase: i for i, phrase in enumerate(things)}
    colour_row: dict[str | None, int] = {None: -1} | {word: i for i, word in enumerate(colours)}

    def sound(claim: Claim | None) -> bool:
        return (
            claim is not None
            and 1 <= len(claim.objects) <= 2
            and all(
                d.thing in thing_row and d.colour in colour_row and (d.count or 0) <= MOST
                for d in claim.objects
            )
        )

    known = [sound(claim) for claim in claims]
    anything = Claim(objects=(Demand(thing=things[0]),))
    checked = [c if c is not None and ok else anything for c, ok in zip(claims, known, strict=True)]
    pairs = [(c.objects * 2)[:2] for c in checked]
    two = [len(c.objects) == 2 for c in checked]
    return Asked(
        things=torch.tensor([[thing_row[d.thing] for d in pair] for pair in pairs]).reshape(-1, 2),
        colours=torch.tensor([[colour_row[d.colour] for d in pair] for pair in pairs]).reshape(-1, 2),
        two=torch.tensor(two, dtype=torch.bool),
        count=torch.tensor([0 if t else p[0].count or 0 for t, p in zip(two, pairs, strict=True)]),
        towards=torch.tensor(
            [
                _TOWARDS.get(c.relation or "", (0.0, 0.0)) if t else (0.0, 0.0)
                for t, c in zip(two, checked, strict=True)
            ]
        ).reshape(-1, 2),
        known=torch.tensor(known, dtype=torch.bool),
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """How right B pictures are."""

    chance: Tensor
    """(B,) what `DetectorJudge.verify` says."""
    whole: Tensor
    """(B,) the same where a thing must be told apart from others more surely."""
    parts: Mapping[str, Tensor]
    """`things`, `colour`, `number`, `place`: (B,) credit for each; NaN where it was not asked for."""

    @property
    def partial(self) -> Tensor:
        """(B,) the mean of the parts."""
        return torch.stack(list(self.parts.values())).nanmean(dim=0)


def read(found: Peaks, asked: Asked, calibration: Calibration, *, floor: float) -> Verdict:
    """Hold B pictures against their claims.

    Args:
        found: peaks of B pictures.
        asked: B claims, on the same device.
        calibration: of the detector.
        floor: stands for `calibration.thing_floor` in `whole`: the higher, the less is given for what
            resembles other things as much.
    """
    likely_B2P = _at(found.things, asked.things)
    hue_B2P = _share(_at(found.colours, asked.colours.clamp(min=0)), calibration.colour_floor)
    hue_B2P = torch.where(asked.colours[..., None] < 0, 1.0, hue_B2P)
    there_B2P, sure_B2P = (
        found.presence[:, None] * _share(likely_B2P, f) for f in (calibration.thing_floor, floor)
    )
    return Verdict(
        chance=_chance(there_B2P * hue_B2P, found, asked),
        whole=_chance(sure_B2P * hue_B2P, found, asked),
        parts=_credit(there_B2P, hue_B2P, found, asked),
    )


def _chance(match_B2P: Tensor, found: Peaks, asked: Asked) -> Tensor:
    """The chance (B,) that all that is asked for is there."""
    return torch.where(
        asked.two,
        _best_pair(match_B2P, _stands(found.centres, asked.towards, _SHARP)),
        _best_one(match_B2P[:, 0], found.presence, asked.count),
    )


def _credit(there_B2P: Tensor, hue_B2P: Tensor, found: Peaks, asked: Asked) -> dict[str, Tensor]:
    """Credit (B,) for each part, at the peaks that fit best."""
    place_BPP = _stands(found.centres, asked.towards, _SOFT)
    first, second = _fittest(there_B2P * hue_B2P, place_BPP, asked.two)
    rows = torch.arange(len(first), device=first.device)
    there_B2, hue_B2 = (
        torch.stack([match[rows, 0, first], match[rows, 1, second]], dim=1) for match in (there_B2P, hue_B2P)
    )
    asked_B2 = torch.stack([torch.ones_like(asked.two), asked.two], dim=1)
    coloured_B2 = asked_B2 & (asked.colours >= 0)
    alike_BP = _alike(there_B2P[:, 0] * hue_B2P[:, 0], found.presence)
    number = asked.count.clamp(min=1)
    near = (1 - (alike_BP.sum(dim=1) - number).abs() / number).clamp(min=0)
    place = there_B2.prod(dim=1) * place_BPP[rows, first, second]
    return {
        "things": _mean(there_B2, asked_B2),
        "colour": _mean(there_B2 * hue_B2, coloured_B2),
        "number": torch.where(asked.count > 0, there_B2[:, 0] * near, torch.nan),
        "place": torch.where(asked.towards.any(dim=1), place, torch.nan),
    }


def _mean(values_B2: Tensor, counts_B2: Tensor) -> Tensor:
    """The mean (B,) of the values that count; NaN where none does."""
    mean_B = (values_B2 * counts_B2).sum(dim=1) / counts_B2.sum(dim=1).clamp(min=1)
    return torch.where(counts_B2.any(dim=1), mean_B, torch.nan)


def _fittest(fits_B2P: Tensor, place_BPP: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """The peaks (B,), (B,) that fit the demands best: two different ones where there are two demands."""
    fits_B2P, num_peaks = fits_B2P.detach(), fits_B2P.shape[2]
    pair_BPP = fits_B2P[:, 0, :, None] + fits_B2P[:, 1, None, :]
    pair_BPP = pair_BPP + (fits_B2P[:, 0, :, None] * fits_B2P[:, 1, None, :]) * place_BPP.detach()
    pair_BPP = pair_BPP - 9 * torch.eye(num_peaks, dtype=pair_BPP.dtype, device=pair_BPP.device)
    best = pair_BPP.flatten(1).argmax(dim=1)
    alone = fits_B2P[:, 0].argmax(dim=1)
    return torch.where(two, best // num_peaks, alone), torch.where(two, best % num_peaks, alone)


def _best_pair(match_B2P: Tensor, stands_BPP: Tensor) -> Tensor:
    """The chance (B,) of both demands at two peaks that stand as asked."""
    both_BPP = match_B2P[:, 0, :, None] * match_B2P[:, 1, None, :] * stands_BPP
    apart_PP = 1 - torch.eye(both_BPP.shape[1], dtype=both_BPP.dtype, device=both_BPP.device)
    return (both_BPP * apart_PP).amax(dim=(1, 2))  # one peak is not two things


def _best_one(match_BP: Tensor, presence_BP: Tensor, count: Tensor) -> Tensor:
    """The chance (B,) of one demand, as often as asked."""
    best_B = match_BP.amax(dim=1)
    exact_B = _exactly(_alike(match_BP, presence_BP), count)
    return torch.where(count > 0, best_B * exact_B, best_B)


def _alike(match_BP: Tensor, presence_BP: Tensor) -> Tensor:
    """The chance (B, P) that a peak is one more of what fits best: half as like it is enough."""
    best_B1 = match_BP.amax(dim=1, keepdim=True)
    return presence_BP * (2 * match_BP / (best_B1 * presence_BP + 1e-9)).clamp(max=1)


def _exactly(chances_BP: Tensor, count: Tensor) -> Tensor:
    """The chance (B,) that exactly `count` (B,) of P independent events happen."""
    numbers = [torch.ones_like(chances_BP[:, 0])]
    for chance in chances_BP.clamp(max=1).unbind(dim=1):
        none = torch.zeros_like(chance)
        numbers = [
            stays * (1 - chance) + comes * chance
            for stays, comes in zip([*numbers, none], [none, *numbers], strict=True)
        ]
    return torch.stack(numbers, dim=1).gather(1, count[:, None])[:, 0]


def _stands(centres_BP2: Tensor, towards_B2: Tensor, width: float) -> Tensor:
    """How surely peak p stands to peak q as asked, (B, P, P): `encode.judges.judge.stands` with its ends
    as gentle as `width`; 1 where nothing is asked.
    """
    apart_BPP2 = centres_BP2[:, None, :] - centres_BP2[:, :, None]
    along_BPP = (apart_BPP2 * towards_B2[:, None, None]).sum(dim=-1)
    across_BPP = (apart_BPP2 * towards_B2.flip(1)[:, None, None]).sum(dim=-1).abs()
    sure_BPP = ((along_BPP - 0.1) / width).sigmoid() * ((along_BPP - 0.7 * across_BPP) / width).sigmoid()
    return torch.where(towards_B2.any(dim=1)[:, None, None], sure_BPP, 1.0)


def _at(maps_BPK: Tensor, rows_B2: Tensor) -> Tensor:
    """What P peaks say of two rows: (B, 2, P)."""
    rows_BP2 = rows_B2[:, None].expand(-1, maps_BPK.shape[1], -1)
    return maps_BPK.gather(2, rows_BP2).transpose(1, 2)


def _share(chance: Tensor, floor: float) -> Tensor:
    return chance / (chance + floor) * (1 + floor)
