"""What a run painted of fixed prompts and seeds: its sample grids in, HTML out."""

from html import escape

from PIL import Image

from pictura.core import html
from pictura.learn.history import History
from pictura.train.preview import untile

_COMPARED, _FRAMES = 16, 12


def before_and_after(history: History, chosen: int) -> str:
    """The same prompts and seeds at the start and after the update `chosen`, those of one prompt together."""
    after = max((step for step in history.grids if step <= chosen), default=0)
    if not after or 0 not in history.grids or not history.prompts:
        return ""
    number = len(history.prompts) * history.num_seeds
    sides = []
    for step in (0, after):
        with Image.open(history.grids[step]) as sheet:
            sides.append(untile(sheet.convert("RGB"), number))
    blocks = []
    for i, prompt in enumerate(history.prompts[:_COMPARED]):
        mine = slice(i * history.num_seeds, (i + 1) * history.num_seeds)
        rows = "".join(
            f'<div class="side"><small>{word}</small>'
            + "".join(html.figure(image, f"{prompt}, {word}") for image in side[mine])
            + "</div>"
            for word, side in zip(("before", "after"), sides, strict=True)
        )
        blocks.append(f'<div class="pair"><figcaption>{escape(prompt)}</figcaption>{rows}</div>')
    return (
        "<h2>Before and after</h2><p class='soft'>The same prompts and seeds, nothing picked: at the start, "
        f"and after update {after}.</p><div class='pairs'>{''.join(blocks)}</div>"
    )


def film(history: History) -> str:
    """Whole grids, one at a time, by a slider."""
    steps = sorted(history.grids)
    if len(steps) < 2:
        return ""
    chosen = sorted({steps[i * (len(steps) - 1) // (_FRAMES - 1)] for i in range(_FRAMES)})
    frames = []
    for step in chosen:
        with Image.open(history.grids[step]) as sheet:
            url = html.data_url(sheet.convert("RGB"))
        frames.append(f'<img src="{url}" alt="pictures after update {step}" data-update="{step}">')
    asked = " · ".join(escape(prompt) for prompt in history.prompts)
    return (
        "<h2>How its pictures changed</h2><div class='film'><label>after update <output></output> "
        f"<input type='range' min='0' max='{len(chosen) - 1}' value='{len(chosen) - 1}'></label>"
        f"<div>{''.join(frames)}</div></div><p class='soft'>{asked}</p>"
    )
