"""A prompt in; how much each of its words matters to a CLIP, and shorter prompts that say nearly the same.

A word matters as much as the prompt's vector turns when it is left out. Shorter prompts lose, one after
another, the word whose loss turns the vector least.

Letters N texts, D width of the CLIP's vectors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pictura.actions.describing import Floats, clip_at
from pictura.core.errors import PromptError
from pictura.runtime.onnx_clip import OnnxClip
from pictura.runtime.rerank import GUIDE
from pictura.sample.request import check_prompt
from pictura.store.models import resolve

NUM_PROMPTS = 5


class Word(NamedTuple):
    """A word of a prompt."""

    word: str
    weight: float
    """1 is the one that matters most, 0 one that the CLIP does not read or miss."""


class Shortened(NamedTuple):
    """What `shorten` found."""

    words: list[Word]
    """In their order."""
    prompts: list[str]
    """The longest first; fewer than five where there are not so many."""


def shorten(prompt: str, *, num: int = NUM_PROMPTS, model: str = GUIDE) -> Shortened:
    """Weigh the words of a prompt and leave the lightest out.

    Args:
        prompt: plain words.
        num: how many shorter prompts, at most.
        model: a CLIP with graphs.

    Raises:
        PromptError: the prompt is empty, or a single word.
        ModelNotFoundError: there is no such CLIP.
        ModelError: it is damaged.
    """
    check_prompt(prompt)
    words = prompt.split()
    if len(words) < 2:
        raise PromptError("The prompt is a single word already; there is nothing to leave out.")
    clip = clip_at(resolve(model).path)
    read = _num_read(clip, words)
    whole = clip.embed_text([" ".join(words[:read])])[0]
    turns = _turns(clip, words[:read], whole)
    most = max(float(turns.max()), 1e-6)
    weights = [max(0.0, float(turn)) / most for turn in turns] + [0.0] * (len(words) - read)
    kept = list(range(read))
    shorter = [words[:read]] if read < len(words) else []
    while len(kept) > 1:
        if len(kept) < read:
            turns = _turns(clip, [words[i] for i in kept], whole)
        del kept[int(turns.argmin())]
        shorter.append([words[i] for i in kept])
    prompts = [" ".join(shorter[i]) for i in _spread(len(shorter), num)]
    return Shortened(
        [Word(*pair) for pair in zip(words, (round(w, 3) for w in weights), strict=True)], prompts
    )


def _turns(clip: OnnxClip, words: Sequence[str], whole: Floats) -> Floats:
    """(N,) how far the vector is from the whole prompt's, 0 to 2, when each word is left out."""
    without = [" ".join([*words[:i], *words[i + 1 :]]) for i in range(len(words))]
    turns: Floats = 1 - clip.embed_text(without) @ whole
    return turns


def _num_read(clip: OnnxClip, words: Sequence[str]) -> int:
    """How many words the CLIP reads whole before its tokens are used up, at least 1."""
    low, high = 1, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if clip.count_tokens(" ".join(words[:middle])) <= clip.max_tokens:
            low = middle
        else:
            high = middle - 1
    return low


def _spread(count: int, num: int) -> list[int]:
    """At most `num` places among `count`, even, from the first on."""
    if count <= num:
        return list(range(count))
    return sorted({round(i) for i in np.linspace(0, count - 1, num)})
