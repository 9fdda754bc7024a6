"""How `pictura imagine` names files, reads sizes, and leaves nothing half-written."""

from pathlib import Path

import pytest

from pictura.cli.imagine import free_stem, output_folder, parse_size, slug
from pictura.core.errors import SizeError


@pytest.mark.parametrize(
    ("text", "size"), [("256", (256, 256)), ("320x240", (320, 240)), (" 16X32 ", (16, 32))]
)
def test_a_size_is_width_by_height_or_one_side(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "-5", "12x", "3.5", "1x2x3", "9999999"])
def test_another_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SizeError, match=f"such as 320x240 or 256; got {text!r}"):
        parse_size(text)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A red fox, on blue!", "a-red-fox-on-blue"),
        ("../../etc/passwd", "etc-passwd"),
        ("ἀλώπηξ", "picture"),
        ("x" * 100, "x" * 48),
        ("word " * 30, "-".join(["word"] * 9)),
    ],
)
def test_a_prompt_becomes_a_short_plain_file_name(prompt: str, name: str) -> None:
    assert slug(prompt) == name


def test_a_second_run_does_not_take_the_names_of_the_first(tmp_path: Path) -> None:
    assert free_stem(tmp_path, "fox-1") == "fox-1"
    (tmp_path / "fox-1-1.png").touch()
    assert free_stem(tmp_path, "fox-1") == "fox-1-run2"
    (tmp_path / "fox-1-run2-grid.webp").touch()
    assert free_stem(tmp_path, "fox-1") == "fox-1-run3"
    assert free_stem(tmp_path, "fox") == "fox"
    assert free_stem(tmp_path / "none", "fox-1") == "fox-1"


def test_files_reach_the_output_folder_together(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    with output_folder(out) as folder:
        (folder / "1.png").write_bytes(b"1")
        assert [path.name for path in out.iterdir()] == [folder.name]
    assert [path.name for path in out.iterdir()] == ["1.png"]


def write_then_fail(folder: Path) -> None:
    (folder / "1.png").write_bytes(b"1")
    raise RuntimeError


def test_after_an_error_there_is_neither_file_nor_folder(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for out in (tmp_path / "a" / "b", tmp_path / "kept"):
        with pytest.raises(RuntimeError), output_folder(out) as folder:
            write_then_fail(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]
