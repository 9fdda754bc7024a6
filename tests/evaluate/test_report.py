"""What people look at: one file that needs nothing else, shows what it must and nothing that it may not."""

import base64
import io
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pictura.core.errors import ConfigError, ModelError
from pictura.evaluate.benchmark import Benchmark
from pictura.evaluate.painting import paint_benchmark
from pictura.evaluate.record import check_recordable, line, record, with_metrics
from pictura.evaluate.reference import Reference
from pictura.evaluate.report.exhibits import disagreements, draw_evenly, first_of_tasks
from pictura.evaluate.report.handcheck import write_hand_check
from pictura.evaluate.report.page import write_report
from pictura.evaluate.results import Evaluation
from pictura.evaluate.runner import Runner, Scored, pictures_of
from pictura.evaluate.sources import read_folder
from pictura.store.models import ModelInfo, read_model
from tests.evaluate.eval_kit import benchmark, few, scorers, write_folder

ASKED = benchmark()
Reported = tuple[Evaluation, Runner, Path]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A report about two folders, one with a doubtful picture, against a reference."""
    base = tmp_path_factory.mktemp("report")
    folder = write_folder(base / "mine <b>", ASKED)
    pixels = np.full((64, 64, 3), (224, 124, 45), dtype=np.uint8)  # between red and yellow
    Image.fromarray(pixels).save(folder / "a-red-fox-1.png")
    other = write_folder(base / "other", ASKED, noise=40.0)
    sets = [read_folder(path, ASKED, images=2, seeds=1) for path in (folder, other)]
    one, two = (
        pictures_of(
            read_folder(write_folder(base / name, ASKED, noise=noise), ASKED, images=2, seeds=1), ASKED
        )
        for name, noise in (("train", 21.0), ("test", 22.0))
    )
    runner = Runner(
        ASKED, scorers(), base / "cache", reference=Reference(about="Two.", compared_with=one, real=two)
    )
    found = runner.run(sets)
    write_report(found, runner.scored, runner.scorers.judges, base)
    return found, runner, base


def page(reported: Reported) -> str:
    return (reported[2] / "report.html").read_text()


def test_the_page_needs_nothing_from_anywhere(reported: Reported) -> None:
    text = page(reported)
    assert not re.findall(r"""https?:|["'(]//|url\((?!#)|@import|<link|<script|<iframe""", text)
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', text)
    assert sources
    assert all(source.startswith(("data:image/webp;base64,", "#")) for source in sources)


def test_the_page_is_whole_html(reported: Reported) -> None:
    class Checker(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open_tags: list[str] = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in ("meta", "img", "br"):
                self.open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open_tags.pop() == tag

    checker = Checker()
    checker.feed(page(reported))
    assert checker.open_tags == []


def test_no_reference_picture_is_in_it(reported: Reported) -> None:
    _, runner, base = reported
    shown = {decoded(data) for data in re.findall(r"data:image/webp;base64,([^\"]+)", page(reported))}
    mine = {encoded(path) for one in runner.scored for path in one.source.paths}
    assert shown
    assert shown <= mine
    theirs = {encoded(path) for name in ("train", "test") for path in (base / name).iterdir()}
    assert not shown & theirs


def decoded(data: str) -> bytes:
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").tobytes()


def encoded(path: Path) -> bytes:
    buffer = io.BytesIO()
    Image.open(path).convert("RGB").save(buffer, "WEBP", quality=92)
    return Image.open(buffer).convert("RGB").tobytes()


def test_every_row_verdict_and_word_is_there(reported: Reported) -> None:
    text = page(reported)
    for name in ("mine &lt;b&gt;", "other", "shuffled captions", "blurred, radius 4", "from 16 pixels"):
        assert name in text
    assert "judge-b: right" in text
    assert "It saw: something red" in text
    assert text.count("<svg") == 3
    assert "FD-local" in text
    assert "mine <b>" not in text


def test_doubtful_pictures_are_where_the_judges_differ(reported: Reported) -> None:
    _, runner, _ = reported
    (shown,) = disagreements(runner.scored[0], runner.scorers.judges, most=16)
    assert shown.path.name == "a-red-fox-1.png"
    assert shown.verdicts == {"judge-a": True, "judge-b": False}
    assert 0.5 < shown.confidence["judge-b"] < 0.9
    assert "where the judges differ most" in page(reported)


def test_pictures_are_the_first_of_each_task_and_not_picked(reported: Reported) -> None:
    scored = reported[1].scored[0]
    chosen = first_of_tasks(scored, prompts=2)
    names = [scored.source.paths[i].name for i in chosen["colour"]]
    assert names == [f"the-red-{thing}-{n}.png" for thing in ("fox", "ball") for n in (1, 2)]


def test_a_hand_check_draws_equally_and_repeatably(reported: Reported) -> None:
    scored = reported[1].scored
    drawn = draw_evenly(scored, 20, seed=0)
    assert drawn == draw_evenly(scored, 20, seed=0) != draw_evenly(scored, 20, seed=1)
    assert len(set(drawn)) == 20
    places = [(place, scored[place].pictures.prompts[i].task) for place, i in drawn]
    assert {places.count(kind) for kind in set(places)} == {5}


def test_a_hand_check_is_a_page_sheets_and_a_list(reported: Reported, tmp_path: Path) -> None:
    _, runner, _ = reported
    path = write_hand_check(runner.scored, runner.scorers.judges, tmp_path, num=45)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "blind-01.png",
        "blind-02.png",
        "hand-check.html",
        "hand-check.json",
        "sheet-01.png",
        "sheet-02.png",
    ]
    listed = json.loads((tmp_path / "hand-check.json").read_text())
    assert [one["number"] for one in listed] == list(range(1, 46))
    assert listed[0]["verdicts"].keys() == {"judge-a", "judge-b"}
    text = path.read_text()
    assert text.count("<figure>") == 45
    assert not re.findall(r"https?:|<link|src=\"(?!data:)", text)
    sheet, blind = (np.asarray(Image.open(tmp_path / f"{n}-01.png")) for n in ("sheet", "blind"))
    assert sheet.shape == blind.shape
    assert (sheet != blind).any()


def test_a_hand_check_needs_judges(tmp_path: Path) -> None:
    asked = Benchmark(name="captions", prompts=tuple(replace(p, claim=None) for p in ASKED.prompts), total=24)
    source = read_folder(write_folder(tmp_path / "x", asked), asked, images=2, seeds=1)
    runner = Runner(asked, scorers(), tmp_path / "cache")
    found = runner.run([source])
    write_report(found, runner.scored, runner.scorers.judges, tmp_path)  # a page all the same
    with pytest.raises(ConfigError, match="needs verdicts of judges"):
        write_hand_check(runner.scored, runner.scorers.judges, tmp_path, num=9)


@pytest.fixture
def recorded(tiny_home: Path, tmp_path: Path) -> tuple[Evaluation, ModelInfo, Scored]:
    """A copy of the tiny model, and its evaluation."""
    shutil.copytree(tiny_home / "models" / "tiny", tmp_path / "tiny")
    model = read_model(tmp_path / "tiny")
    asked = few(2)
    source = paint_benchmark(model, asked, tmp_path / "p", images=1, seeds=1, device="cpu", processes=1)
    runner = Runner(asked, scorers(), tmp_path / "cache")
    return runner.run([source]), model, runner.scored[0]


def test_recorded_scores_come_back_and_every_hash_holds(
    recorded: tuple[Evaluation, ModelInfo, Scored],
) -> None:
    found, model, _ = recorded
    now = record(found, found.rows[0], model)
    now.verify()
    assert now.hash == model.hash
    said = now.metrics["glyphbench"]
    headline = found.rows[0].judges[-1]
    assert said["overall"] == round(headline.overall.value, 4)
    assert said["interval"] == [round(headline.overall.low, 4), round(headline.overall.high, 4)]
    assert (said["judge"], said["judge_hash"]) == ("judge-b", headline.hash)
    assert (said["num_images"], said["num_seeds"], said["date"]) == (1, 1, found.date[:10])
    card = (model.path / "README.md").read_text()
    assert f"GlyphBench **{headline.overall.value:.3f}**" in card
    assert "None yet." not in card
    before = card.index("## Painting"), card.index("## Metrics"), card.index("## Recipe")
    assert list(before) == sorted(before)


def test_recording_again_replaces_the_section(recorded: tuple[Evaluation, ModelInfo, Scored]) -> None:
    found, model, _ = recorded
    record(found, found.rows[0], model)
    first = (model.path / "README.md").read_text()
    record(found, found.rows[0], model)
    assert (model.path / "README.md").read_text() == first
    assert first.count("## Metrics") == 1


def test_another_model_in_the_folder_is_not_given_the_scores(
    recorded: tuple[Evaluation, ModelInfo, Scored],
) -> None:
    found, model, _ = recorded
    row = replace(found.rows[0], model_hash="0" * 64)
    with pytest.raises(ModelError, match="holds another model than the one that was scored"):
        record(found, row, model)


def test_a_card_without_metrics_gets_them() -> None:
    scores = {"overall": 0.5, "interval": [0.4, 0.6], "tasks": {"single": 0.5}, "judge": "judge-b"}
    scores |= {
        "judge_hash": "abc",
        "num_prompts": 2,
        "num_images": 1,
        "num_seeds": 1,
        "date": "d",
        "commit": None,
    }
    assert with_metrics("# x\n\nWords.\n", scores).startswith(
        "# x\n\nWords.\n\n## Metrics\n\nGlyphBench **0.500**"
    )


@pytest.mark.parametrize(
    ("asked", "folders", "words"),
    [
        (replace(ASKED, name="captions"), False, "writes scores of glyphbench; got captions"),
        (replace(ASKED, total=553), False, "needs all 553 prompts; got 24"),
        (ASKED, True, "pictures of --pictures have none"),
    ],
)
def test_what_does_not_belong_on_a_card_is_refused(asked: Benchmark, folders: bool, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_recordable(asked, folders=folders)


def test_one_line_for_scripts(reported: Reported) -> None:
    found = reported[0]
    row = found.rows[1]
    overall = row.judges[-1].overall
    words = line(row, "glyphbench").split("  ")
    assert words[0] == "other"
    assert words[1] == f"glyphbench {overall.value:.3f} [{overall.low:.3f}, {overall.high:.3f}]"
    assert words[2].startswith("single ")
