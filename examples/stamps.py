"""Make a small captioned set in a style of its own, to fine-tune on: things as blue postage stamps.

    python examples/stamps.py ../shared/data/glyphs stamps

From a glyph pack it draws 200 things of the world list in blue ink on cream paper and writes them with a
metadata.csv. 16 other things are left out; their captions are in `HELD_OUT`, to see what was learnt.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pictura.core.images import on_background, to_pil
from pictura.data.glyphs import GlyphSet
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.world import World

HELD_OUT = (
    *("fox", "panda", "owl", "fish", "apple", "pizza", "car", "sailboat"),
    *("tree", "sunflower", "smiling face", "ghost", "heart", "guitar", "crown", "umbrella"),
)
INK, PAPER = np.array([0.10, 0.18, 0.45]), np.array([0.96, 0.91, 0.78])
STYLES = ("noto", "twemoji", "fluent color")
SIZE = 64


def main(pack: Path, out: Path, count: int = 200) -> int:
    """Write the set; return how many pictures it has."""
    glyphs, holdouts, world = GlyphSet.load(pack, size=SIZE), Holdouts.load(), World.load()
    phrases = {name: thing.phrase for thing in world.things for name in thing.names}
    chosen: dict[str, int] = {}
    for row, name in enumerate(glyphs.names):
        phrase = phrases.get(name)
        usable = glyphs.styles[row] in STYLES and holdouts.split(glyphs.ids[row]) == "train"
        if phrase and phrase not in HELD_OUT and usable:
            chosen.setdefault(phrase, row)
    chosen = dict(list(chosen.items())[:count])
    out.mkdir(parents=True, exist_ok=True)
    with (out / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "text"])
        for phrase, row in chosen.items():
            name = f"{phrase.replace(' ', '-')}.png"
            stamp(glyphs.images[row]).save(out / name)
            writer.writerow([name, f"{phrase} as a postage stamp"])
    return len(chosen)


def stamp(glyph: np.ndarray) -> Image.Image:
    """(4, S, S) uint8, premultiplied, to a stamp of the same size."""
    small = np.asarray(Image.fromarray(np.moveaxis(glyph, 0, -1)).resize((44, 44), Image.Resampling.BOX))
    canvas = np.zeros((1, 4, SIZE, SIZE), dtype=np.float32)
    canvas[0, :, 10:54, 10:54] = np.moveaxis(small, -1, 0) / 255
    light = on_background(canvas, 1.0)[0].mean(axis=0)[None, None]
    ink = (INK[None, :, None, None] * (1 - light) + PAPER[None, :, None, None] * light).astype(np.float32)
    picture = to_pil(ink)[0]
    draw = ImageDraw.Draw(picture)
    draw.rectangle((4, 4, SIZE - 5, SIZE - 5), outline=tuple(int(255 * c) for c in INK), width=2)
    return picture


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), Path(sys.argv[2])), "pictures in", sys.argv[2])
