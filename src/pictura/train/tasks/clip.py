"""What a CLIP learns: which caption belongs to which picture, also where only one word is wrong.

With `model.trunk` both towers learn beside that to give a code of who has which colour and stands where.
In training, pictures are treated as badly as judges', so that painted ones are read too.

Letters B pictures, N captions (the B true ones first), T text tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.core.images import on_background
from pictura.core.types import Batch, BatchSource
from pictura.data.scenes.contrast import Contrast, holds, key_of
from pictura.data.scenes.source import Scene
from pictura.data.vocabulary.world import World
from pictura.encode.clip.config import SIZE, ClipConfig, get_preset
from pictura.encode.clip.model import Clip, DetectorTower, contrastive_loss
from pictura.encode.judges.judge import DetectorJudge, judge_of
from pictura.encode.tokenizer import Tokenizer
from pictura.store.models import resolve
from pictura.train.materials import Materials
from pictura.train.recipe import Recipe, from_table
from pictura.train.start import Start, part, require, tokenizer_of
from pictura.train.tasks.damage import spoil, turn
from pictura.train.tasks.scene_codes import SceneCodes

GROUPS = 4
CODE_WEIGHT = 1.5
"""Of codes beside the contrast; without them a contrast is learnt that knows no binding."""


class ClipStep(nn.Module):
    """Both towers with their loss: the module that a training step runs."""

    def __init__(self, clip: Clip, code_size: int = 0) -> None:
        """Take the towers, and make what reads codes of `code_size` numbers in their vectors."""
        super().__init__()
        self.clip = clip
        if code_size:
            self.readouts = nn.ModuleList(nn.Linear(clip.config.dim, code_size) for _ in range(2))

    def forward(
        self, images: Tensor, token_ids: Tensor, mask: Tensor, rival_BN: Tensor, *codes: Tensor
    ) -> Tensor:
        """Loss of a batch.

        Args:
            images: (B, 3, 64, 64) on light grey.
            token_ids: (N, T): B true captions, then those that belong to no picture.
            mask: (N, T), true where a token is.
            rival_BN: see `contrastive_loss`.
            codes: none, or what pictures show and what captions say, each as `SceneCodes` gives it.

        Returns:
            (B,) one loss per picture.
        """
        image_BD = self.clip.embed_images(images)
        text_ND = _by_length(self.clip, token_ids, mask)
        loss_B = contrastive_loss(image_BD, text_ND, self.clip.scale(), rival_BN)
        if codes:
            shown, is_shown, said, is_said = codes
            missed = self._missed(image_BD, shown, is_shown)
            missed = missed + self._missed(text_ND[: len(images)], said, is_said)
            loss_B = loss_B + CODE_WEIGHT * missed
        return loss_B

    def _missed(self, vectors_BD: Tensor, codes_2BM: Tensor, known_2B: Tensor) -> Tensor:
        """Mean square error of each kind of code where there is one, summed."""
        long_BD = vectors_BD * vectors_BD.shape[1] ** 0.5
        read_2BM = torch.stack([readout(long_BD) for readout in self.readouts]).float()
        error_2B = (read_2BM - codes_2BM).square().mean(dim=2) * known_2B
        return (error_2B.sum(dim=1) / known_2B.sum(dim=1).clamp_min(1)).sum()


def _by_length(clip: Clip, token_ids: Tensor, mask: Tensor) -> Tensor:
    """Read captions in groups of about equal length: half of the tokens of a batch are padding otherwise."""
    length_N = mask.sum(dim=1)
    order_N = length_N.argsort(stable=True)
    parts = []
    for rows in order_N.chunk(GROUPS):
        longest = int(length_N[rows[-1]])
        parts.append(clip.embed_text(token_ids[rows, :longest], mask[rows, :longest]))
    return torch.cat(parts)[order_N.argsort()]


class ClipTask:
    """Turns batches into the inputs of `ClipStep`."""

    factor = 1

    def __init__(
        self,
        module: ClipStep,
        tokenizer: Tokenizer,
        *,
        contrast: Contrast,
        device: torch.device,
        codes: SceneCodes | None = None,
        learnt_from: Sequence[str] = (),
    ) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.contrast, self.codes = contrast, codes
        self.device = device
        self.learnt_from = tuple(learnt_from)

    def inputs(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Pictures, captions, a wrong caption for each scene that is known, and which captions compete."""
        images = on_background(torch.as_tensor(batch.images).to(self.device))
        if self.module.training:
            images = spoil(turn(images, torch.zeros(len(images), 1, 2), rng)[0], rng)
        captions = [*batch.captions, *self._wrong(batch, rng)]
        ids, mask = self.tokenizer.batch(captions)
        rival_BN = rivals(captions, batch.scenes, len(batch.captions))
        rest = [torch.from_numpy(array) for array in (ids, mask, rival_BN)]
        if self.codes is not None and self.module.training:
            rest += [*self.codes(batch.scenes, said=False), *self.codes(batch.scenes, said=True)]
        return (images, *(tensor.to(self.device) for tensor in rest))

    def _wrong(self, batch: Batch, rng: np.random.Generator) -> list[str]:
        """One for each scene; where nothing can be changed, the true caption, which then does not compete."""
        found = ((scene, self.contrast.wrong(scene, rng)) for scene in batch.scenes)
        return [scene.caption if wrong is None else wrong[0] for scene, wrong in found]

    def preview(self, recipe: Recipe, materials: Materials, count: int) -> Tensor | None:
        """There is nothing to look at."""
        return None

    def finish(self, train: BatchSource, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Nothing is left to do."""

    def frozen(self) -> dict[str, Tensor]:
        """Nothing is used that is not trained."""
        return {}

    def resume(self, tokenizer: Tokenizer, frozen: Mapping[str, Tensor], where: Path) -> None:
        """Read captions with the tokenizer that was learnt with."""
        self.tokenizer = tokenizer

    def config(self) -> dict[str, Any]:
        """What the networks are and whence they come, for checkpoints."""
        return {
            "clip": asdict(self.module.clip.config),
            "max_tokens": self.tokenizer.max_tokens,
            "data": list(self.learnt_from),
        }


def rivals(
    captions: Sequence[str], scenes: Sequence[Scene], size: int, classes: Sequence[str] = ()
) -> NDArray[np.bool_]:
    """Which captions are surely wrong for which pictures.

    Args:
        captions: N; the first `size` are true, the others belong to nobody.
        scenes: of the pictures; empty where nobody knows them: then only the same words agree.
        size: B.
        classes: of the pictures, where what is said of one may hold of all of its class; "" is no class.

    Returns:
        (B, N) false for the same words, within a class, and for what may hold of another scene by chance.
    """
    text_N = np.array(captions, dtype=object)
    rival_BN = text_N[:size, None] != text_N[None, :]
    class_B = np.array(classes, dtype=object)
    if len(class_B):
        rival_BN[:, :size] &= (class_B[:, None] != class_B[None, :]) | (class_B == "")[None, :]
    by_key: dict[Any, list[int]] = {}
    for i, scene in enumerate(scenes):
        by_key.setdefault(key_of(scene), []).append(i)
    for group in by_key.values():
        for shown in group:
            for said in group:
                if holds(scenes[said], scenes[shown]):
                    rival_BN[shown, said] = False
    return rival_BN.astype(np.bool_)


def build(
    recipe: Recipe, root: Path, start: Start | None, materials: Materials, device: torch.device
) -> tuple[ClipTask, tuple[str, ...]]:
    """Make both towers, from noise or from `start`, and list the words that they may know.

    Raises:
        ConfigError: the pictures are of a size that no tower reads, there is no such preset, or a detector is
            named that its towers cannot begin with.
        ModelNotFoundError: there is no such detector.
    """
    if recipe.data.size != SIZE:
        raise ConfigError(f"A CLIP reads pictures of {SIZE} pixels; data.size is {recipe.data.size}.")
    model, words = recipe.model, materials.captions.words()
    if start:
        require(start, "clip", recipe)
        tokenizer = tokenizer_of(start, start.config.get("max_tokens", model.max_tokens))
        clip = Clip(from_table(ClipConfig, start.config["clip"], "clip"))
        clip.load_state_dict(part(start.weights, "clip") or start.weights)  # of a run, or of a model folder
        words = list(dict.fromkeys([*start.words, *words]))
    else:
        tokenizer = materials.captions.tokenizer(vocab_size=model.vocab_size, max_tokens=model.max_tokens)
        clip = Clip(get_preset(model.preset, tokenizer.vocab_size))
    codes = _begin_with_detector(clip, recipe, root, fresh=start is None) if model.trunk else None
    task = ClipTask(
        ClipStep(clip, codes.size if codes else 0).to(device),
        tokenizer,
        contrast=Contrast(World.load()),
        device=device,
        codes=codes,
        learnt_from=start.config.get("data", ()) if start else (),
    )
    return task, tuple(words)


def _begin_with_detector(clip: Clip, recipe: Recipe, root: Path, *, fresh: bool) -> SceneCodes:
    """Give a new picture tower the convolutions of `model.trunk`; the codes that both towers are to give."""
    where = recipe.model.trunk
    judge = judge_of(resolve(str(root / where) if (root / where).exists() else where))
    if recipe.data.kind != "scenes" or not isinstance(judge, DetectorJudge):
        raise ConfigError(
            f"model.trunk is {where!r}: it must be a judge that finds things, such as 'judge-a', and "
            "data.kind 'scenes', where it is known what each picture shows."
        )
    if not isinstance(clip.image_tower, DetectorTower):
        raise ConfigError(
            f"model.trunk is {where!r}, but the picture tower is a {clip.config.tower!r}. Set model.preset "
            "to 'detector', or leave model.trunk out."
        )
    theirs = (judge.network.config.widths, judge.network.config.blocks)
    if theirs != (ours := (clip.config.widths, clip.config.depths[:2])):
        raise ConfigError(
            f"model.trunk is {where!r}, whose convolutions have widths and blocks {theirs}; the preset "
            f"{recipe.model.preset!r} has {ours}."
        )
    if fresh:
        clip.image_tower.trunk.load_state_dict(judge.network.trunk.state_dict())
    return SceneCodes(judge)
