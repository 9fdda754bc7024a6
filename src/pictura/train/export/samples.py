"""One sheet of pictures that shows what models paint: a picture of each prompt, seed 0, nothing picked."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pictura.pipeline import Painter, load
from pictura.store.metadata import on_white

SEED = 0
SIDE, CAPTION_HEIGHT, COLUMNS = 128, 30, 8


def sample_sheet(models: Sequence[Path | Painter], prompts: Sequence[str]) -> Image.Image:
    """Paint the first picture of seed 0 for every prompt, on white, each above its prompt.

    Args:
        models: model folders, or loaded models; pictures of further ones stand below those of the first.
        prompts: at least one.
    """
    painters = [model if isinstance(model, Painter) else load(model, device="cpu") for model in models]
    rows, height = -(-len(prompts) // COLUMNS), len(painters) * SIDE + CAPTION_HEIGHT
    sheet = Image.new("RGB", (min(len(prompts), COLUMNS) * SIDE, rows * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for i, prompt in enumerate(prompts):
        x, y = i % COLUMNS * SIDE, i // COLUMNS * height
        for painter in painters:
            (picture,) = painter.paint(prompt, num_images=1, seed=SEED, size=(SIDE, SIDE))
            sheet.paste(on_white(picture.image), (x, y))
            y += SIDE
        place, text = (x + SIDE / 2, y), _wrapped(prompt, draw, font)
        draw.multiline_text(place, text, "black", font, anchor="ma", align="center", spacing=1)
    return sheet


def _wrapped(text: str, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Break a prompt into lines as wide as its picture; two at most."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font) > SIDE:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join([lines[0], lines[1] + " …"] if len(lines) > 2 else lines)
