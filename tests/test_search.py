"""A sentence or a picture finds pictures, with the CLIP that comes with Pictura and pictures drawn here."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import pictura
from pictura import search
from pictura.core.errors import ConfigError, DataError, ModelError, PromptError
from pictura.search import Searcher

RED, BLUE, GREEN, GREY = (221, 46, 68), (45, 90, 220), (40, 160, 60), (204, 204, 204)
SHAPES = {
    "a red circle": ("ellipse", RED),
    "a blue square": ("rectangle", BLUE),
    "a green square": ("rectangle", GREEN),
}
FILES = dict(zip(SHAPES, ("1.png", "deep/er/2.webp", "3.jpg"), strict=True))


def draw(caption: str, *, size: int = 96, ground: tuple[int, ...] = GREY) -> Image.Image:
    """A shape in the middle of a picture."""
    kind, colour = SHAPES[caption]
    picture = Image.new("RGB" if len(ground) == 3 else "RGBA", (size, size), ground)
    getattr(ImageDraw.Draw(picture), kind)((size // 5, size // 5, size * 4 // 5, size * 4 // 5), colour)
    return picture


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PICTURA_HOME that holds nothing."""
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures in three formats, one of them deep down, none with a caption."""
    place = tmp_path / "pictures"
    for caption, name in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        draw(caption).save(place / name, quality=95)
    return place


def listing(place: Path) -> list[tuple[str, int]]:
    """Every name below a folder, with its time."""
    return sorted((str(path), path.stat().st_mtime_ns) for path in (place, *place.rglob("*")))


def count_seen(searcher: Searcher, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures the CLIP is shown at each of its calls, filled as it goes."""
    seen: list[int] = []
    embed = searcher.clip.embed_images

    def counted(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return embed(images)

    monkeypatch.setattr(searcher.clip, "embed_images", counted)
    return seen


@pytest.mark.parametrize("caption", SHAPES)
def test_a_sentence_finds_its_picture(folder: Path, caption: str) -> None:
    before = listing(folder)
    searcher = pictura.Searcher(folder)
    found = searcher.pictures_of(caption)
    assert found[0].path == str(folder / FILES[caption])
    assert len(found) == searcher.num_searched == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(-1 <= one.score <= 1 for one in found)
    assert listing(folder) == before  # nothing is written beside the pictures


def test_only_so_many_are_given_as_are_wanted(folder: Path) -> None:
    searcher = Searcher(folder)
    every = searcher.pictures_of("a red circle", top=3)
    assert searcher.pictures_of("a red circle", top=2) == every[:2]
    with pytest.raises(ConfigError, match=r"^top must be at least 1; got 0\.$"):
        searcher.pictures_of("a red circle", top=0)


def test_a_picture_finds_those_like_it(folder: Path, tmp_path: Path) -> None:
    draw("a blue square", size=80).save(tmp_path / "mine.png")
    first, second, third = Searcher(folder).pictures_like(tmp_path / "mine.png")
    assert Path(first.path).name == "2.webp"
    assert first.score > 0.95
    assert Path(second.path).name == "3.jpg"  # a square too, of another colour
    assert third.score < second.score


def test_a_picture_finds_its_caption(folder: Path, tmp_path: Path) -> None:
    for caption, name in FILES.items():
        (folder / name).with_suffix(".txt").write_text(f"{caption}\n")
    draw("a green square").save(folder / "4.png")
    (folder / "4.txt").write_text("a green square\nsomething else that is green\n")
    searcher = Searcher(folder)
    best, *rest = searcher.captions_for(folder / FILES["a green square"])
    assert best.caption == "a green square"
    assert best.paths == (str(folder / "3.jpg"), str(folder / "4.png"))
    assert len(rest) == 3 == searcher.num_searched - 1
    assert searcher.pictures_of("a red circle", top=1)[0].captions == ("a red circle",)


def test_captions_of_a_folder_without_any_are_refused_with_what_to_do(folder: Path) -> None:
    with pytest.raises(DataError, match=r"none of the 3 pictures has a caption .* into a \.txt beside each"):
        Searcher(folder).captions_for(folder / "1.png")


def test_transparency_is_seen_on_light_grey(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    draw("a red circle").save(tmp_path / "two" / "opaque.png")
    draw("a red circle", ground=(0, 255, 0, 0)).save(tmp_path / "two" / "clear.png")
    one, other = Searcher(tmp_path / "two").pictures_of("a blue square")
    assert one.score == pytest.approx(other.score, abs=0.01)


def test_the_next_search_looks_at_what_is_new_or_changed_alone(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Searcher(folder)
    seen = count_seen(first, monkeypatch)
    found = first.pictures_of("a red circle")
    assert seen == [3]
    again = Searcher(folder)
    seen = count_seen(again, monkeypatch)
    assert again.pictures_of("a red circle") == found  # the scores too, to the last digit
    assert seen == []
    draw("a red circle", size=64).save(folder / "1.png")
    draw("a blue square", size=64).save(folder / "4.png")
    (folder / "3.jpg").unlink()
    changed = Searcher(folder)
    seen = count_seen(changed, monkeypatch)
    assert {Path(one.path).name for one in changed.pictures_of("a red circle")} == {
        "1.png",
        "2.webp",
        "4.png",
    }
    assert seen == [2]
    (file,) = (home / "cache" / "search").iterdir()
    assert file.stat().st_size < 3 * 600 + 300  # what is gone is forgotten


def test_another_clip_does_not_read_what_this_one_saw(folder: Path, home: Path, tmp_path: Path) -> None:
    Searcher(folder).pictures_of("a red circle")
    other = shutil.copytree(Path(str(search.__file__)).parent / "models" / "clip-guide", tmp_path / "other")
    manifest = (other / "model.json").read_text()
    (other / "model.json").write_text(
        manifest.replace('"max_tokens": 48,\n "recipe"', '"max_tokens": 47,\n "recipe"')
    )
    Searcher(folder, model=other).pictures_of("a red circle")
    assert len(list((home / "cache" / "search").iterdir())) == 2


def test_a_search_that_is_broken_off_keeps_what_it_saw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_AT_ONCE", 1)

    def stop(done: int, total: int) -> None:
        assert total == 3
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Searcher(folder, progress=stop).pictures_of("a red circle")
    again = Searcher(folder)
    seen = count_seen(again, monkeypatch)
    again.pictures_of("a red circle")
    assert seen == [1]


def test_a_damaged_index_is_made_anew(folder: Path, home: Path) -> None:
    found = Searcher(folder).pictures_of("a red circle")
    (file,) = (home / "cache" / "search").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert Searcher(folder).pictures_of("a red circle") == found
    assert file.stat().st_size > 100


def test_an_index_that_cannot_be_kept_is_told_and_the_search_goes_on(folder: Path, home: Path) -> None:
    home.write_text("a file is in the way")
    searcher = Searcher(folder)
    assert searcher.pictures_of("a red circle")[0].path.endswith("1.png")
    (note,) = searcher.notes
    assert note.startswith("What was seen is not kept, so the next search will take as long. Cannot write ")


def test_pictures_that_cannot_be_read_are_named_and_left_out(folder: Path) -> None:
    (folder / "bad.png").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "1.png").read_bytes()[:200])
    (folder / ".hidden.png").write_text("no picture")
    (folder / "metadata.csv").write_text(
        "file_name,text\n1.png,a red circle\ngone.png,a fox\ngone.png,a cat\n"
    )
    searcher = Searcher(folder)
    assert len(searcher.pictures_of("a red circle")) == searcher.num_searched == 3
    assert [Path(sentence.partition(":")[0]).name for sentence in searcher.skipped] == [
        "gone.png",
        "bad.png",
        "cut.png",
    ]
    assert "No such file" in searcher.skipped[0]
    for name in FILES.values():
        (folder / name).write_text("no picture")
    with pytest.raises(DataError, match=r"none of the 7 pictures can be read\. .*gone\.png"):
        Searcher(folder).pictures_of("a red circle")


def test_what_cannot_be_searched_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"nowhere: there is no such file or folder\. Give a folder of"):
        Searcher(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"empty: the folder holds no picture; looked for \.bmp, .* Put pic"):
        Searcher(tmp_path / "empty")
    with pytest.raises(ModelError, match=r"should hold a CLIP with graphs; it holds 'judge'"):
        Searcher(folder, model="judge-a")
    searcher = Searcher(folder)
    with pytest.raises(PromptError, match=r"^The sentence to search for is empty\. Say what is shown"):
        searcher.pictures_of(" ")
    with pytest.raises(PromptError, match=r"^The sentence holds bytes that are no text"):
        searcher.pictures_of(os.fsdecode(b"caf\xe9"))
    with pytest.raises(DataError, match=r"none\.png: the image cannot be read \(No such file"):
        searcher.pictures_like(tmp_path / "none.png")
    with pytest.raises(DataError, match=r"^There is no picture to lay out\."):
        searcher.sheet([])


def test_the_end_of_a_long_sentence_is_not_read_and_that_is_told(folder: Path) -> None:
    searcher = Searcher(folder)
    searcher.pictures_of("a red circle " * 30)
    assert searcher.notes == ["The sentence has 91 tokens; clip-guide reads the first 48 of them."]


def test_what_was_found_is_laid_out_the_best_first(folder: Path) -> None:
    searcher = Searcher(folder)
    found = searcher.pictures_of("a blue square", top=2)
    made = searcher.sheet(found)
    assert made.size == (2 * (128 + 4) + 4, 128 + 22 + 2 * 4)
    left, right = made.getpixel((4 + 64, 4 + 64)), made.getpixel((8 + 128 + 64, 4 + 64))
    assert np.abs(np.array(left) - BLUE).max() < 12
    assert np.abs(np.array(right) - BLUE).max() > 60
