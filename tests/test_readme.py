"""Every command and snippet of the README is run, and every link of the documentation leads somewhere."""

import csv
import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from docs.write_cli import help_text, names
from pictura.runtime.open import TORCH_BACKENDS
from pictura.store.metadata import read_metadata
from pictura.store.models import EMBEDDED, MANIFEST

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced code of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader works: with forty captioned pictures and the README's recipe."""
    place = tmp_path_factory.mktemp("reader")
    (place / "my-pictures").mkdir()
    with (place / "my-pictures" / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", "text"])
        for number, colour in enumerate(["red", "green", "blue", "yellow"] * 10):
            Image.new("RGB", (40 + number, 48), colour).save(place / "my-pictures" / f"{number}.png")
            rows.writerow([f"{number}.png", f"a {colour} square"])
    (place / "mine.toml").write_text(blocks("toml")[0])
    return place


@pytest.fixture(scope="module")
def environment(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The embedded model is `default`; a checkout without it takes the tiny one in its place."""
    home = tmp_path_factory.mktemp("readers-home")
    if not (EMBEDDED / "flow" / MANIFEST).is_file():
        (home / "models").mkdir()
        (home / "models" / "flow").symlink_to(tiny_home / "models" / "tiny")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PICTURA_HOME": str(home), "PATH": path, "OMP_NUM_THREADS": "1"}


def run(command: list[str] | str, folder: Path, environment: dict[str, str]) -> str:
    result = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def test_the_first_command_installs_and_paints(folder: Path, environment: dict[str, str]) -> None:
    install, _, paint = COMMANDS[0].partition(" && ")
    assert install == "pip install ."  # run by test_install.py
    run(paint, folder, environment)
    names = {path.stem.rpartition("-")[2] for path in (folder / "pictures").iterdir()}
    assert names == {"1", "2", "3", "4", "grid"}


def test_the_second_command_is_what_ci_runs() -> None:
    assert COMMANDS[1] == "make test"
    assert "\nPICTURA_REQUIRE_ALL=1 make test\n" in (ROOT / ".ci" / "run").read_text()
    run(["make", "--dry-run", "test"], ROOT, dict(os.environ))


def test_three_commands_make_a_model_of_ones_own(folder: Path, environment: dict[str, str]) -> None:
    train, export, paint = COMMANDS[2:5]
    assert "--max-minutes 3" in train
    run(train.replace("--max-minutes 3", "--max-minutes 0.05"), folder, environment)
    run(export, folder, environment)
    assert (Path(environment["PICTURA_HOME"]) / "models" / "mine" / MANIFEST).is_file()
    run(paint, folder, environment)
    assert len(list((folder / "pictures").glob("a-red-apple-*.png"))) == 5


SMALL_STEPS = """
[prompts]
per_update = 2
group_size = 4

[training]
num_updates = 2

[held_out]
prompts = 4
seeds = 2
"""


def test_three_commands_learn_from_a_reward(folder: Path, environment: dict[str, str]) -> None:
    (folder / "judged.toml").write_text(blocks("toml")[1] + SMALL_STEPS)
    learn, paint, half = COMMANDS[5:8]
    said = run(f"{learn} --threads 1", folder, environment)
    assert "All updates are done." in said
    assert (folder / "runs" / "judged" / "report.html").is_file()
    # In two updates nothing may have got better, and then nothing is exported unless one insists.
    run("pictura export runs/judged --name judged --last", folder, environment)
    run(f"{paint} --n 1", folder, environment)
    run(f"{half} --n 1", folder, environment)
    pictures = (folder / "pictures").glob("two-red-apples-*.png")
    assert sorted(read_metadata(path)["settings"]["strength"] for path in pictures) == [50, 100]


def test_a_painter_that_attends_explains(folder: Path, environment: dict[str, str]) -> None:
    run(COMMANDS[8], folder, environment)
    assert len(list((folder / "pictures").glob("a-green-tree-*-explain.png"))) == 1


def test_the_best_of_many_are_kept_and_gone_on_from(folder: Path, environment: dict[str, str]) -> None:
    many, complete = COMMANDS[9:11]
    run(many, folder, environment)
    assert len(list((folder / "pandas").glob("a-panda-*.png"))) == 5
    run(complete, folder, environment)
    assert len(list((folder / "completed").glob("a-panda-*.png"))) == 5


def test_pictures_are_found_by_a_sentence(folder: Path, environment: dict[str, str]) -> None:
    assert "a-green-tree" in run(COMMANDS[11], folder, environment)


def test_a_model_is_measured(folder: Path, environment: dict[str, str]) -> None:
    measure = COMMANDS[12]
    said = run(measure.replace("--limit 60", "--limit 12 --images 2"), folder, environment)
    assert re.match(r"flow +glyphbench +[01]\.\d+ ", said)
    assert (folder / "evaluations" / "report.html").is_file()


def test_braces_try_words_in_turn(folder: Path, environment: dict[str, str]) -> None:
    run(COMMANDS[13], folder, environment)
    assert len(list((folder / "apples").glob("*-[1-4].png"))) == 8


def test_the_studio_listens_until_it_is_told_to_stop(folder: Path, environment: dict[str, str]) -> None:
    assert COMMANDS[14] == "pictura studio"
    command = [sys.executable, "-m", "pictura.cli", "studio", "--port", "0", "--no-browser", "--workers", "0"]
    studio = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert studio.stdout
    try:
        assert re.search(r"listens on http://127\.0\.0\.1:\d+", studio.stdout.readline())
        studio.send_signal(signal.SIGINT)
        assert "The studio has stopped" in studio.communicate(timeout=30)[0]
        assert studio.returncode == 0
    finally:
        studio.kill()


def test_a_picture_is_imagined_varied_and_edited(folder: Path, environment: dict[str, str]) -> None:
    imagine, vary, change = COMMANDS[15:]
    run(imagine, folder, environment)
    run(f"{vary} --steps 2", folder, environment)
    assert len(list((folder / "varied").glob("*-[1-4].png"))) == 4
    run(f"{change} --steps 2", folder, environment)
    assert len(list((folder / "edited").iterdir())) >= 1


def test_the_python_snippet_paints(folder: Path, environment: dict[str, str]) -> None:
    (snippet,) = blocks("python")
    said = run([sys.executable, "-c", snippet], folder, environment).splitlines()
    assert said == [f"a red apple 1 {index} (256, 256)" for index in range(4)]
    assert (folder / "apples.png").is_file()


def test_the_example_paints(folder: Path, environment: dict[str, str]) -> None:
    run([sys.executable, str(ROOT / "examples" / "paint.py"), "a red apple", "example"], folder, environment)
    assert len(list((folder / "example").iterdir())) == 5


def test_every_link_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_every_option_stands_on_the_page_of_commands() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in names():
        section = page.partition(f"## pictura {name}\n")[2].partition("\n## ")[0]
        missing = set(re.findall(r"--[a-z][a-z-]*", help_text(name))) - set(
            re.findall(r"--[a-z][a-z-]*", section)
        )
        assert not missing, f"`make docs` would add {missing} to pictura {name}"


def test_every_source_of_the_glyphs_is_credited(shared_data: Path) -> None:
    notice = " ".join((ROOT / "NOTICE").read_text(encoding="utf-8").split())
    pack = (shared_data / "glyphs" / "README.md").read_text(encoding="utf-8")
    rows = [
        line.strip("| ").split(" | ") for line in pack.splitlines() if re.match(r"\| [\w-]+/[\w-]+ `", line)
    ]
    assert len(rows) == 15
    for repository, _, _, licence, credit in rows:
        name, commit = repository.replace("`", "").split()
        assert f"{name} {commit}" in notice
        assert re.findall(r"CC-BY-\d\.\d|MIT|Apache-2\.0|BSD-2-Clause|CC0-1\.0", licence)[0] in notice
        if credit != "as above":
            assert credit.replace(" (not required)", "") in notice
    authors = re.search(r"^game-icons authors: (.*)\. The author of", pack, re.MULTILINE)
    assert authors is not None
    assert authors[1] in notice


def test_every_family_has_its_page_with_every_preset() -> None:
    for name in TORCH_BACKENDS:
        presets = importlib.import_module(f"pictura.families.{name}.presets").PRESETS
        page = (ROOT / "docs" / "families" / f"{name}.md").read_text(encoding="utf-8")
        assert [preset for preset in presets if f"`{preset}`" not in page] == []
