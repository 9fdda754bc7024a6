"""The birds of CUB-200-2011 with the ten captions each of Reed et al. in, records out.

Source  Wah et al. 2011, Caltech-UCSD Birds-200-2011; Reed et al. 2016, Learning Deep Representations of
        Fine-Grained Visual Descriptions (arXiv:1605.05395): captions `text_c10/<class>/<image>.txt`, ten
        lines each, and lists of classes (`trainclasses.txt` 100, `valclasses.txt` 50, `testclasses.txt` 50).
        With `bounding_boxes.txt` each picture is cut to one and a half times the longer side of its bird, as
        the code of StackGAN and AttnGAN does.
        Differs: without those lists, a quarter of the classes is the test split, by hash.
"""

from collections.abc import Iterator
from pathlib import Path

from pictura.core.errors import DataError
from pictura.data.layouts.folder import read_text
from pictura.data.records import Record, Source, as_captions
from pictura.data.splits import class_disjoint

_LISTS = {"testclasses.txt": "test", "valclasses.txt": "validation", "trainclasses.txt": "train"}
_MARGIN = 0.75
"""Half of the window's side, in longer sides of the bird."""
_TEXT_FOLDERS = ("text_c10", "cvpr2016_cub/text_c10", "text/text_c10", "text")


def find(path: Path) -> Source | None:
    """The set, if `path` is the folder CUB_200_2011 or the one above it; else None.

    Raises:
        DataError: the captions are not there, or an index file is damaged.
    """
    root = next((p for p in (path, path / "CUB_200_2011") if _is_cub(p)), None)
    if root is None:
        return None
    text = next(
        (base / name for base in (root, root.parent) for name in _TEXT_FOLDERS if (base / name).is_dir()),
        None,
    )
    if text is None:
        raise DataError(
            f"{root}: the bird pictures are here but not their captions. Put the folder 'text_c10' of "
            "Reed et al. (ten lines for each image) into it or beside it."
        )
    numbered = [_image(line, root / "images.txt") for line in _lines(root / "images.txt")]
    images = [image for _, image in numbered]
    windows = _windows(root / "bounding_boxes.txt", numbered)
    split, how = _split_by_class(sorted({Path(image).parts[0] for image in images}), text.parent, root)

    def records() -> Iterator[Record]:
        for image in images:
            name = Path(image).parts[0]
            captions = (text / image).with_suffix(".txt")
            yield Record(
                id=Path(image).with_suffix("").as_posix(),
                image=root / "images" / image,
                captions=as_captions(read_text(captions).splitlines() if captions.is_file() else []),
                fields={
                    "class": name,
                    "name": name.partition(".")[2].replace("_", " ").lower(),
                    "split": split[name],
                },
                window=windows.get(image),
            )

    cut = ", cut to the birds" if windows else ""
    return Source(path, f"CUB-200-2011, class-disjoint split {how}{cut}", len(images), records)


def _is_cub(path: Path) -> bool:
    return (
        all((path / name).is_file() for name in ("images.txt", "classes.txt")) and (path / "images").is_dir()
    )


def _image(line: str, file: Path) -> tuple[str, str]:
    """Number and path of a picture."""
    number, _, image = line.partition(" ")
    if not number.isdigit() or len(Path(image).parts) != 2:
        raise DataError(
            f"{file}: expected lines such as '1 001.Albatross/Albatross_1.jpg'; got {line[:60]!r}."
        )
    return number, image


def _windows(file: Path, numbered: list[tuple[str, str]]) -> dict[str, tuple[int, int, int, int]]:
    """The part of each picture that is taken; empty without the file."""
    if not file.is_file():
        return {}
    boxes: dict[str, tuple[int, int, int, int]] = {}
    for line in _lines(file):
        number, *rest = line.split()
        try:
            left, top, width, height = map(float, rest)
        except ValueError as error:
            raise DataError(
                f"{file}: expected lines such as '1 60.0 27.0 325.0 304.0'; got {line[:60]!r}."
            ) from error
        half = int(_MARGIN * max(width, height))
        x, y = int(left + width / 2), int(top + height / 2)
        boxes[number] = (x - half, y - half, x + half, y + half)
    missing = [image for number, image in numbered if number not in boxes]
    if missing:
        raise DataError(f"{file}: {len(missing)} pictures have no box, the first is {missing[0]}.")
    return {image: boxes[number] for number, image in numbered}


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]


def _split_by_class(classes: list[str], *folders: Path) -> tuple[dict[str, str], str]:
    """Class to split, and how it was found."""
    base = next((f for f in folders if (f / "testclasses.txt").is_file()), None)
    if base is None:
        return class_disjoint(classes, shares=(0.75, 0.0, 0.25)), "by hash (no testclasses.txt was found)"
    split = dict.fromkeys(classes, "train")
    for file, name in _LISTS.items():
        if (base / file).is_file():
            split.update(dict.fromkeys((c for c in _lines(base / file) if c in split), name))
    return split, "of Reed et al."
