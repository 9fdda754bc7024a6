"""A world small enough to be judged from the pixels: one shape of one colour in one corner, 32 pixels a side.

A sentence names shape, colour and corner. What is checked is exact: which colour stands where. The shape is
free, so that there is something besides the reward that learning can spoil.

Letters B pictures, K kinds of pixel (the ground, then the colours), Q corners, S side.
Units   pictures float32 in [0, 1], RGB on Pictura's light grey (0.8).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pictura.core.types import Prompt
from pictura.reward.types import Scores

SIDE = 32
SHAPES = ("circle", "square", "triangle")
COLOURS = {
    "red": (0.86, 0.09, 0.12),
    "green": (0.13, 0.62, 0.20),
    "blue": (0.10, 0.35, 0.90),
    "yellow": (0.98, 0.84, 0.10),
    "purple": (0.50, 0.17, 0.72),
}
CORNERS = {
    "top left": (0, 0),
    "top right": (0, 1),
    "bottom left": (1, 0),
    "bottom right": (1, 1),
}
GROUND = (0.8, 0.8, 0.8)
SHARPNESS = 40.0
"""How surely a pixel is of the nearest kind: softmax of minus this times the squared distance."""
LEAST, MOST = 30.0, 260.0
"""Pixels that a shape may cover; drawn ones cover 36 to 169."""
SHARE = 0.8
"""Of the covered pixels that must be right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a sentence asks for."""

    shape: str
    colour: str
    corner: str

    @property
    def text(self) -> str:
        """The sentence."""
        return f"a {self.colour} {self.shape} at the {self.corner}"


WISHES = tuple(
    Wish(shape=shape, colour=colour, corner=corner)
    for shape, colour, corner in product(SHAPES, COLOURS, CORNERS)
)
HELD_OUT = tuple(wish for i, wish in enumerate(WISHES) if (i // 20 + 2 * (i // 4 % 5) + i % 4) % 5 == 0)
"""A fifth of them, which neither the base nor the learners ever read; each colour and corner is in others."""
LEARNT = tuple(wish for wish in WISHES if wish not in HELD_OUT)
_BY_TEXT = {wish.text: wish for wish in WISHES}


def draw(wishes: Sequence[Wish], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw pictures of what is asked for, at random sizes and places in its corner: (B, 3, S, S)."""
    size = len(wishes)
    radius = rng.uniform(4.5, 6.5, size)[:, None, None]
    corner = np.array([CORNERS[wish.corner] for wish in wishes], dtype=np.float64)
    centre = 8 + 16 * corner + rng.uniform(-1.2, 1.2, (size, 2))
    places = np.arange(SIDE) + 0.5
    dy = places[None, :, None] - centre[:, 0, None, None]
    dx = places[None, None, :] - centre[:, 1, None, None]
    inside = {
        "circle": radius - np.hypot(dx, dy),
        "square": radius - np.maximum(np.abs(dx), np.abs(dy)),
        "triangle": np.minimum(radius - dy, (dy + radius) / 2 + 0 * dx - np.abs(dx)),
    }
    cover = np.stack([inside[wish.shape][i] for i, wish in enumerate(wishes)]).clip(-0.5, 0.5)[:, None] + 0.5
    tint = np.array([COLOURS[wish.colour] for wish in wishes]) + rng.uniform(-0.04, 0.04, (size, 3))
    ground = np.array(GROUND)[None, :, None, None]
    return (ground + cover * (tint[:, :, None, None] - ground)).clip(0, 1).astype(np.float32)


def _targets(prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
    """Numbers of the colour and of the corner that each prompt asks for, both (B,)."""
    wishes = [_BY_TEXT[prompt.text] for prompt in prompts]
    colours, corners = list(COLOURS), list(CORNERS)
    return (
        torch.tensor([colours.index(wish.colour) for wish in wishes]),
        torch.tensor([corners.index(wish.corner) for wish in wishes]),
    )


def _distances(images: Tensor) -> Tensor:
    """Squared distance of every pixel to every kind: (B, K, S, S)."""
    kinds_K3 = torch.tensor([GROUND, *COLOURS.values()], device=images.device)
    return (images[:, None] - kinds_K3[None, :, :, None, None]).square().sum(dim=2)


def _by_corner(kind: Tensor) -> Tensor:
    """Pixels of every kind but the ground in every corner: (B, K, S, S) to (B, K - 1, Q)."""
    half = SIDE // 2
    return kind[:, 1:].unflatten(3, (2, half)).unflatten(2, (2, half)).sum(dim=(3, 5)).flatten(2)


class ColourAndCorner:
    """Share of what is painted that has the right colour in the right corner, smooth in the pixels."""

    name = "colour_and_corner"
    differentiable = True
    value_range = (0.0, 1.0)

    def __call__(self, images: Tensor, prompts: Sequence[Prompt]) -> Scores:
        """Score (B, 3, S, S) pictures; the parts say how much of it colour and corner are."""
        found = _by_corner((-SHARPNESS * _distances(images)).softmax(dim=1))
        colour, corner = _targets(prompts)
        rows = torch.arange(len(found))
        covered = found.sum(dim=(1, 2)).clamp_min(LEAST)
        total = found[rows, colour, corner] / covered
        parts = {
            "colour": found[rows, colour].sum(dim=1) / covered,
            "corner": found[rows, :, corner].sum(dim=1) / covered,
        }
        return Scores(total=total, valid=torch.isfinite(total), parts=parts)


@torch.no_grad()
def right(images: Tensor, prompts: Sequence[Prompt]) -> Tensor:
    """The exact verdict, (B,) bool: every pixel is of the nearest kind, and enough covered ones are right."""
    nearest = torch.nn.functional.one_hot(_distances(images).argmin(dim=1), len(COLOURS) + 1)
    found = _by_corner(nearest.permute(0, 3, 1, 2).float())
    colour, corner = _targets(prompts)
    covered = found.sum(dim=(1, 2))
    good = found[torch.arange(len(found)), colour, corner]
    return (covered >= LEAST) & (covered <= MOST) & (good >= SHARE * covered)


@torch.no_grad()
def diversity(images: Tensor, group_size: int) -> float:
    """Mean distance of two pictures of one prompt: root of the mean squared difference of their numbers."""
    groups = images.flatten(1).unflatten(0, (-1, group_size))
    apart = torch.cdist(groups, groups) / groups.shape[2] ** 0.5
    return float(apart.sum() / (len(groups) * group_size * (group_size - 1)))


def prompts_of(wishes: Sequence[Wish]) -> tuple[Prompt, ...]:
    """The sentences as prompts."""
    return tuple(Prompt(text=wish.text, kind=wish.colour) for wish in wishes)
