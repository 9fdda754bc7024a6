"""Pictures of a folder find their prompts, whoever made them; what lacks or does not fit is refused."""

import json
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from pictura.core.errors import ConfigError, DataError
from pictura.evaluate.benchmark import Benchmark, Prompt, load_benchmark
from pictura.evaluate.sources import read_folder
from tests.evaluate.eval_kit import benchmark, write_folder

FOX = Benchmark(name="x", prompts=(Prompt(id="1", task="t", text="A red fox, left of a dog."),), total=1)


def save(path: Path, *, size: int = 8, **chunks: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    info = PngImagePlugin.PngInfo()
    for key, text in chunks.items():
        info.add_itxt(key, text)
    Image.new("RGB", (size, size), "red").save(path, pnginfo=info if path.suffix == ".png" else None)


def found(folder: Path, images: int = 1) -> list[str]:
    return [path.name for path in read_folder(folder, FOX, images=images, seeds=1).paths]


@pytest.mark.parametrize(
    "name",
    [
        "a red fox left of a dog-1.png",
        "a_red_fox_left_of_a_dog_0001.png",
        "A-red-fox,-left-of-a-dog.jpg",
        "deep/a-red-fox-left-of-a-dog-1234567890-4.webp",
    ],
)
def test_the_file_name_may_be_the_prompt(tmp_path: Path, name: str) -> None:
    save(tmp_path / name)
    assert found(tmp_path) == [Path(name).name]


def test_a_prompt_that_ends_in_a_number_keeps_it(tmp_path: Path) -> None:
    asked = Benchmark(name="x", prompts=(Prompt(id="1", task="t", text="the number 7"),), total=1)
    save(tmp_path / "the-number-7.png")
    save(tmp_path / "the-number-7-1.png")
    assert len(read_folder(tmp_path, asked, images=2, seeds=1).paths) == 2


def test_other_programs_and_ours_say_the_prompt_inside(tmp_path: Path) -> None:
    text = "A red fox, left of a dog."
    save(tmp_path / "00001.png", parameters=f"{text}\nNegative prompt: bad\nSteps: 20, Seed: 1")
    save(tmp_path / "00002.png", pictura=json.dumps({"prompt": text}))
    save(tmp_path / "00003.png", parameters=f"{text}\nSteps: 20")
    save(tmp_path / "00004.png", parameters="something else\nSteps: 20")
    assert found(tmp_path, 3) == ["00001.png", "00002.png", "00003.png"]


@pytest.mark.parametrize("key", ["prompt", "text", "caption"])
def test_metadata_beside_the_pictures_comes_first(tmp_path: Path, key: str) -> None:
    save(tmp_path / "x.png", parameters="something else")
    row = {"file_name": "x.png", key: "a red fox left of a dog"}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    assert found(tmp_path) == ["x.png"]


def test_of_too_many_the_first_by_number_are_taken(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        save(tmp_path / f"a-red-fox-left-of-a-dog-{number}.png")
    source = read_folder(tmp_path, FOX, images=2, seeds=1)
    assert [path.stem[-2:] for path in source.paths] == ["-1", "-2"]
    assert source.left_over == 1


def test_missing_prompts_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    asked = benchmark()
    write_folder(tmp_path, asked, images=2)
    for path in tmp_path.glob("the-*-ball-2.png"):
        path.unlink()
    words = (
        r"4 of 24 prompts lack pictures; the first is 'the red ball' with 1 of 2\. .*'the-red-ball-1\.png'"
    )
    with pytest.raises(DataError, match=words):
        read_folder(tmp_path, asked, images=2, seeds=1)


def test_an_empty_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no picture in it"):
        read_folder(tmp_path, FOX, images=1, seeds=1)
    with pytest.raises(DataError, match="there is no such folder"):
        read_folder(tmp_path / "gone", FOX, images=1, seeds=1)


def test_mixed_sizes_are_refused(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        save(tmp_path / f"a-red-fox-left-of-a-dog-{number}.png", size=16 if number == 2 else 8)
    with pytest.raises(DataError, match=r"2 are 8x8 and 1 are 16x16, such as a-red-fox-left-of-a-dog-2"):
        found(tmp_path, 3)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a-red-fox-left-of-a-dog-1.png").write_text("no picture")
    with pytest.raises(DataError, match=r"fox-left-of-a-dog-1\.png: the picture cannot be read"):
        found(tmp_path)


def test_damaged_metadata_names_its_line(tmp_path: Path) -> None:
    save(tmp_path / "x.png")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "x.png", "prompt": "a"}\n{"file_name": "y.png"}\n'
    )
    with pytest.raises(DataError, match=r"metadata\.jsonl, line 2: expected an object with file_name"):
        found(tmp_path)


def test_captions_come_from_a_text_file_without_repeats(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("a red fox\n\n a  blue ball\na red fox\n")
    asked = load_benchmark(f"captions:{tmp_path / 'c.txt'}")
    assert [prompt.text for prompt in asked.prompts] == ["a red fox", "a blue ball"]
    assert (asked.name, asked.judged, asked.whole) == ("captions", False, True)


def test_captions_come_from_a_captioned_set(tmp_path: Path) -> None:
    for name in ("x", "y"):
        save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(f"caption {name}\nsecond of {name}")
    asked = load_benchmark(f"captions:{tmp_path}")
    assert [prompt.text for prompt in asked.prompts] == ["caption x", "caption y"]


@pytest.mark.parametrize(
    ("on", "words"), [("glyphbnch", "Did you mean 'glyphbench'"), ("captions:", "captions:PATH")]
)
def test_an_unknown_benchmark_is_refused(on: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_benchmark(on)


def test_too_few_captions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("a red fox\n")
    with pytest.raises(DataError, match="at least 2 different captions; 1 came"):
        load_benchmark(f"captions:{tmp_path / 'c.txt'}")


def test_a_limit_keeps_the_first_of_the_captions(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("\n".join(f"caption {i}" for i in range(9)))
    asked = load_benchmark(f"captions:{tmp_path / 'c.txt'}", limit=3)
    assert [prompt.text for prompt in asked.prompts] == ["caption 0", "caption 1", "caption 2"]
    assert not asked.whole
    with pytest.raises(ConfigError, match="at least 2, two prompts of each task; got 1"):
        load_benchmark(f"captions:{tmp_path / 'c.txt'}", limit=1)
