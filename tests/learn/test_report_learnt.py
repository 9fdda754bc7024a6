"""The report of a run of learning: one file that needs nothing else, with all that was logged in it."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pictura.core.errors import TrainingError
from pictura.learn.history import History
from pictura.learn.report import write_report
from pictura.learn.report.curves import running_mean, thinned
from pictura.store.models import ModelInfo, read_model
from pictura.train.preview import tile, untile
from tests.learn.learnt_kit import FINDING, make_run, metrics


@pytest.fixture(scope="module")
def base(tiny_home: Path) -> ModelInfo:
    return read_model(tiny_home / "models" / "tiny")


@pytest.fixture(scope="module")
def run(base: ModelInfo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "better", base)


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    page = write_report(run)
    assert page == run / "report.html"
    return page.read_text(encoding="utf-8")


def test_a_history_is_what_was_logged(run: Path) -> None:
    history = History.read(run)
    assert (history.step, history.best, history.seconds) == (8, 6, 3600)
    assert list(history.series["reward"]) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert history.at("held_out/strict", 5) == pytest.approx(0.58)
    assert history.at("reward", 0) is None
    assert "reward/kind/two" not in history.series  # was never a number
    assert history.names("reward/kind/") == ("reward/kind/single",)
    assert history.findings == (FINDING,)
    assert list(history.grids) == [0, 4, 8]


def test_the_later_of_two_lines_counts_and_the_undone_do_not(base: ModelInfo, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", base)
    with (run / "metrics.jsonl").open("a") as file:  # killed after update 9 and gone on from 8; told 7 twice
        file.write(
            json.dumps({**metrics(9), "reward": 9.0}) + "\n" + json.dumps({**metrics(7), "loss": 7.0}) + "\n"
        )
    with (run / "guards.jsonl").open("a") as file:
        file.write(json.dumps({**FINDING, "step": 9}) + "\n" + json.dumps(FINDING) + "\n")
    history = History.read(run)
    assert max(history.series["reward"]) == 8
    assert history.series["loss"][7] == 7
    assert history.findings == (FINDING,)


def test_the_page_needs_nothing_from_anywhere(text: str) -> None:
    assert not re.findall(r"""https?:|["'(]//|url\((?!#)|@import|<link|<script [^>]*src|<iframe""", text)
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', text)
    assert sources
    assert all(source.startswith(("data:image/webp;base64,", "#")) for source in sources)


def test_the_page_is_whole_html(text: str) -> None:
    class Checker(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open_tags: list[str] = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in ("meta", "img", "br", "input"):
                self.open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open_tags.pop() == tag

    checker = Checker()
    checker.feed(text)
    assert checker.open_tags == []


def test_it_opens_with_the_scores_and_the_end(text: str) -> None:
    heroes = re.findall(r'<div class="hero"[^>]*>([^<]*)<b>([^<]*)</b><small>([^<]*)<', text)
    assert heroes == [
        ("reward", "0.55", "0.15 at the start"),
        ("held out: right, by judge A", "0.62", "0.5 at the start"),
        ("held out: likeness, by clip-guide", "0.26", "0.2 at the start"),
        ("held out: diversity that is left", "0.88", "1 at the start"),
    ]
    assert "It is at update 8 of 500; the same command goes on." in text
    assert "Held-out prompts liked update 6 best" in text


def test_a_guard_that_stopped_it_is_named_first(base: ModelInfo, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", base, best=0, stopped="diversity: the pictures differ 20%")
    page = write_report(run).read_text()
    assert "A guard stopped it: diversity: the pictures differ 20%." in page
    assert "no update did better than the start" in page


def test_every_row_of_curves_is_there_and_what_was_not_logged_is_left_out(text: str, tmp_path: Path) -> None:
    drawn = re.findall(r'aria-label="([^"]*)"', text)
    assert drawn == [
        "Reward and held-out scores",
        "What the reward is made of",
        "Diversity",
        "Distance",
        "Steps",
        "How pictures look",
        "Time",
    ]


def test_every_guard_says_what_it_saw(text: str) -> None:
    rows = dict(re.findall(r"<tr class=\"\"><td>([^<]*)</td><td><code>[^<]*</code></td>(.*)</tr>", text))
    assert set(rows) == {
        "first ratio",
        "gradient",
        "groups without spread",
        "distance from the reference",
        "invalid rewards",
        "held-out score",
        "diversity",
        "entropy",
    }
    assert rows["gradient"] == '<td>10</td><td>9</td><td class="best">1</td>'
    assert rows["diversity"] == "<td>0.6</td><td>0.84</td><td>0</td>"  # the smallest, not the largest
    assert rows["first ratio"] == "<td>0.0001</td><td>–</td><td>0</td>"
    assert "<li>Update 4, gradient: skip, for its norm was &lt;9&gt;</li>" in text


def test_pictures_stand_before_and_after_under_their_prompts(run: Path, text: str) -> None:
    assert "at the start, and after update 4." in text  # the last grid up to the best, update 6
    assert '<div class="pair"><figcaption>a blue ball &lt;left&gt; of a green apple</figcaption>' in text
    assert text.count(', before"') >= 8
    shown = re.findall(
        r'alt="a blue ball[^"]*, (before|after)"[^>]* src="data:image/webp;base64,([^"]*)"', text
    )
    colours = [
        (word, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))[16, 16]) for word, data in shown
    ]
    for place, (word, colour) in enumerate(colours):
        number = 4 + place % 4  # pictures 4 to 7 of the grid
        assert word == ("before" if place < 4 else "after")
        np.testing.assert_allclose(colour, (0 if place < 4 else 80, 30 * number, 90), atol=6)
    assert len(colours) == 8
    assert len(re.findall(r'data-update="(\d+)"', text)) == 3


def test_every_number_and_setting_is_in_it(text: str) -> None:
    for name in metrics(1):
        assert name == "step" or name == "reward/kind/two" or f"<td>{name}</td>" in text
    assert "&quot;learning_rate&quot;: 0.0003" in text
    assert "<td>4.1e+03</td>" in text  # 8 x 512 network calls


def test_a_sheet_comes_apart_into_what_it_was_made_of() -> None:
    for number in (1, 5, 8, 64):
        images = torch.rand(number, 3, 6, 10)
        apart = untile(tile(images), number)
        assert len(apart) == number
        for image, part in zip(images, apart, strict=True):
            np.testing.assert_allclose(np.asarray(part) / 255, image.permute(1, 2, 0), atol=0.003)


def test_long_series_are_thinned_by_means_and_smoothed_evenly() -> None:
    series = {step: float(step % 2) for step in range(1, 3001)}
    steps, values = thinned(series)
    assert (len(steps), steps[0], steps[-1]) == (300, 5.5, 2995.5)
    assert values == pytest.approx(0.5)
    line = np.arange(100.0)
    assert running_mean(line)[1:-1] == pytest.approx(line[1:-1])
    assert list(running_mean(np.arange(5.0))) == [0, 1, 2, 3, 4]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"holds no checkpoint of `pictura learn`\. Name the folder of such"
    ):
        write_report(tmp_path)


def test_a_run_that_has_just_begun_has_a_page_too(base: ModelInfo, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", base)
    for name in ("metrics.jsonl", "guards.jsonl"):
        (run / name).unlink()
    for path in (run / "samples").iterdir():
        path.unlink()
    assert "What the guards saw" in write_report(run).read_text()
    Image.new("RGB", (8, 8)).save(run / "samples" / "update-00000000.png")
    write_report(run)
