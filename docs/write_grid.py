"""Paint the 64 prompts of a recipe with an installed model, one picture each, seed 0, nothing picked.

python docs/write_grid.py [recipes/flow.toml] [docs/families/flow-64.png] [model]
"""

import sys
import tomllib
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import pictura

ROOT = Path(__file__).resolve().parents[1]
SIDE, CAPTION, COLUMNS = 128, 26, 8


def main(recipe: Path, out: Path, model: str) -> None:
    prompts = tomllib.loads(recipe.read_text(encoding="utf-8"))["log"]["prompts"]
    painter = pictura.load(model)
    rows = -(-len(prompts) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * (SIDE + CAPTION)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for i, prompt in enumerate(prompts):
        x, y = i % COLUMNS * SIDE, i // COLUMNS * (SIDE + CAPTION)
        picture = painter.paint(prompt, num_images=1, seed=0, size=(SIDE, SIDE))[0].image
        sheet.paste(picture, (x, y), picture if picture.mode == "RGBA" else None)
        words, lines = prompt.split(), [""]
        for word in words:
            if draw.textlength(f"{lines[-1]} {word}", font) > SIDE:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}".strip()
        draw.multiline_text(
            (x + SIDE / 2, y + SIDE), "\n".join(lines), "black", font, anchor="ma", align="center", spacing=1
        )
    sheet.save(out, optimize=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        Path(given[0]) if given else ROOT / "recipes" / "flow.toml",
        Path(given[1]) if len(given) > 1 else ROOT / "docs" / "families" / "flow-64.png",
        given[2] if len(given) > 2 else "default",
    )
