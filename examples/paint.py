"""Paint four pictures of a sentence and their grid: python examples/paint.py "a red apple" pictures/"""

import sys
from pathlib import Path

import pictura


def main(prompt: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    painter = pictura.load("default")
    pictures = painter.paint(prompt, num_images=4, seed=1)
    for picture in pictures:
        path = picture.save(folder / f"{picture.index + 1}.png")
        print(path, picture.settings)
    pictura.grid(pictures).save(folder / "grid.png")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
