"""From a sentence to pictures token by token, on a tiny untrained model: paint, complete, choose, repaint."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pictura
from pictura.core import images
from pictura.core.errors import ConfigError, MetadataError, PromptError, SizeError
from pictura.data.resize import to_square
from pictura.pipeline import Painter, Picture
from pictura.runtime.onnx_clip import OnnxClip
from pictura.sample.autoregressive import TokenLaw, draw_codes
from pictura.store.metadata import read_metadata
from pictura.store.models import resolve
from tests.tiny_model import ENLARGED

PROMPT = "a red fox"
ROWS = 8
"""Of pixels that completed pictures keep; the tiny model paints 16x12 in tokens of 4x4."""


@pytest.fixture(autouse=True)
def home(dalle_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(dalle_home))


@pytest.fixture(scope="module")
def painter(dalle_home: Path) -> Painter:
    return pictura.load(dalle_home / "models" / "sharp", device="cpu")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """A picture of the size that the model paints."""
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (12, 16, 4), dtype=np.uint8))


def pixels(picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(picture.image)


def test_a_picture_depends_on_its_number_and_not_on_its_neighbours(painter: Painter) -> None:
    many = painter.paint(PROMPT, seed=5, num_images=10)
    (last,) = painter.paint(PROMPT, seed=5, num_images=1, first=9)
    np.testing.assert_array_equal(pixels(last), pixels(many[9]))
    assert [one.index for one in many] == list(range(10))
    assert len({pixels(one).tobytes() for one in many}) == 10


def test_prompt_seed_and_settings_all_matter(painter: Painter) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 6},
        {"prompt": "a blue ball"},
        {"temperature": 0.5},
        {"top_k": 2},
        {"guidance_scale": 1},
        {"size": (64, 40)},
    ]
    made = [painter.paint(**{"prompt": PROMPT, "seed": 5, "num_images": 3, **change}) for change in changes]
    assert len({b"".join(pixels(one).tobytes() for one in three) for three in made}) == len(changes)


def test_what_was_painted_is_said(painter: Painter) -> None:
    (one,) = painter.paint(PROMPT, seed=1, num_images=1, size=(64, 48), top_k=7)
    assert (one.image.size, one.image.mode) == ((64, 48), "RGBA")
    assert one.settings == {
        "solver": "autoregressive",
        "temperature": 1.0,
        "top_k": 7,
        "guidance_scale": 3.0,
        "size": [64, 48],
        "painted_size": [16, 12],
        **ENLARGED,
        "device": "cpu",
    }


def test_other_programs_read_their_own_form(painter: Painter, tmp_path: Path) -> None:
    (one,) = painter.paint(PROMPT, seed=1, num_images=1, size=(64, 48), top_k=7, temperature=0.5)
    with Image.open(one.save(tmp_path / "a.png")) as saved:
        assert saved.info["parameters"].startswith(
            "a red fox\nSampler: autoregressive, CFG scale: 3.0, Temperature: 0.5, Top-k: 7, Seed: 1, "
        )


def test_temperature_0_paints_one_picture(painter: Painter) -> None:
    one, other = painter.paint(PROMPT, seed=1, num_images=2, temperature=0)
    np.testing.assert_array_equal(pixels(one), pixels(other))


def test_a_picture_file_is_painted_again_byte_for_byte(
    painter: Painter, picture: Image.Image, tmp_path: Path
) -> None:
    size: dict[str, Any] = {"size": (90, 60)}
    made = {
        "painted": painter.paint(PROMPT, seed=9, num_images=3, temperature=0.9, top_k=20, **size)[2],
        "completed": painter.complete(picture, PROMPT, rows=ROWS, seed=9, num_images=3, **size)[1],
        "chosen": painter.paint(PROMPT, seed=9, num_images=2, candidates=11, **size)[0],
        "both": painter.complete(picture, PROMPT, rows=ROWS, seed=3, num_images=1, candidates=4)[0],
    }
    for name, one in made.items():
        first = one.save(tmp_path / f"{name}.png")
        again = pictura.repaint(first)
        assert again.metadata() == one.metadata()
        assert again.save(tmp_path / "again.png").read_bytes() == first.read_bytes(), name


def test_progress_counts_the_tokens_of_all_pictures(painter: Painter) -> None:
    seen: list[tuple[int, int]] = []
    painter.paint(PROMPT, num_images=2, on_step=lambda *step: seen.append(step))
    assert seen == [(2 * done, 24) for done in range(1, 13)]


def test_completing_keeps_the_tokens_of_the_top_rows(painter: Painter, picture: Image.Image) -> None:
    backend = painter._backend
    made = painter.complete(picture, PROMPT, rows=ROWS, seed=2, num_images=3, temperature=2)
    top = images.from_pil([picture.crop((0, 0, 16, ROWS))])
    given = backend.encode(top).flatten().tolist()
    assert len(given) == 8
    assert [one.settings["given"] for one in made] == [given] * 3
    assert len({pixels(one).tobytes() for one in made}) == 3
    free = painter.paint(PROMPT, seed=2, num_images=3, temperature=2)
    assert (pixels(free[1]) != pixels(made[1])).any()
    # What a painter draws from its own beginning is its own picture.
    law: dict[str, Any] = {"seed": 2, "num_images": 1, "first": 1, "temperature": 2}
    (again,) = painter.paint(PROMPT, given=made[1].settings["given"], **law)
    np.testing.assert_array_equal(pixels(again), pixels(made[1]))


def test_what_lies_below_the_rows_is_not_looked_at(painter: Painter, picture: Image.Image) -> None:
    other = picture.copy()
    other.paste((255, 0, 0, 255), (0, ROWS, 16, 12))
    law: dict[str, Any] = {"rows": ROWS, "seed": 2, "num_images": 1}
    one, same = (painter.complete(each, PROMPT, **law)[0] for each in (picture, other))
    np.testing.assert_array_equal(pixels(one), pixels(same))
    other.paste((255, 0, 0, 255), (0, 0, 16, ROWS))
    assert painter.complete(other, PROMPT, **law)[0].settings["given"] != one.settings["given"]


def test_a_painted_picture_is_completed_as_its_image_is(painter: Painter, picture: Image.Image) -> None:
    (painted,) = painter.paint(PROMPT, seed=2, num_images=1)
    said = {**painted.metadata(), "image": picture}
    law: dict[str, Any] = {"rows": 4, "seed": 2, "num_images": 1}
    ours = painter.complete(Picture(**said), PROMPT, **law)
    np.testing.assert_array_equal(pixels(ours[0]), pixels(painter.complete(picture, PROMPT, **law)[0]))


def test_the_best_of_the_candidates_are_kept_best_first(painter: Painter) -> None:
    law: dict[str, Any] = {"seed": 4, "size": (64, 48)}
    kept = painter.paint(PROMPT, num_images=3, candidates=20, **law)
    every = painter.paint(PROMPT, num_images=20, **law)
    clip = OnnxClip(resolve("clip-guide").path)
    backend, scores = painter._backend, []
    for one in every:
        (picture,) = images.to_pil(backend.decode(codes_of(painter, one)[None]))
        seen = images.on_background(images.from_uint8(to_square(picture, 64)[None]))
        scores.append(float(clip.embed_images(seen)[0] @ clip.embed_text([PROMPT])[0]))
    best = sorted(range(20), key=lambda i: -scores[i])[:3]
    assert [one.index for one in kept] == best
    for one in kept:
        np.testing.assert_array_equal(pixels(one), pixels(every[one.index]))
        assert one.settings["score"] == pytest.approx(scores[one.index], abs=1e-4)
        assert one.settings["candidates"] == 20
        assert one.settings["scored_by"] == f"clip-guide {clip.hash[:10]}"


def codes_of(painter: Painter, one: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The tokens of a painted picture (h, w), drawn again."""
    law = TokenLaw(guidance_scale=one.settings["guidance_scale"])
    text, no_text = (np.array(painter._tokenizer.encode(words)) for words in (one.prompt, ""))
    drawn = draw_codes(painter._backend, text, no_text, seed=one.seed, numbers=[one.index], law=law)
    return drawn.codes.reshape(painter._backend.grid)


def test_every_family_paints_candidates(tiny_home: Path, gan_home: Path) -> None:
    for folder in (tiny_home / "models" / "tiny", gan_home / "models" / "stackgan"):
        other = pictura.load(folder, device="cpu")
        every = other.paint(PROMPT, num_images=5, seed=1)
        (kept,) = other.paint(PROMPT, num_images=1, seed=1, candidates=5)
        np.testing.assert_array_equal(pixels(kept), pixels(every[kept.index]))
        assert kept.settings["candidates"] == 5


def test_an_untrained_model_says_so_and_others_do_not(painter: Painter) -> None:
    size: dict[str, Any] = {"num_images": 2, "size": (64, 48)}  # of the shape that it paints
    (one, _) = pictura.load("untrained", device="cpu").paint(PROMPT, temperature=0.1, **size)
    assert one.notices == (
        "THE MODEL 'untrained' SEEMS UNTRAINED: its guesses of the next token are no better than chance, "
        "and what it paints is noise.",
    )
    assert painter.paint(PROMPT, temperature=5, **size)[0].notices == ()
    assert "notices" not in one.metadata()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"num_steps": 4},
            r"^The model 'sharp' paints token by token, without steps: leave num_steps \(--st",
        ),
        ({"solver": "ab2"}, r"leave solver out\.$"),
        (
            {"temperature": 0.001},
            r"^temperature must be 0 \(the likeliest token\) or from 0\.01 to 10; got 0",
        ),
        ({"top_k": 33}, r"^top_k must be from 0 \(all\) to 32"),
        ({"guidance_scale": 51}, r"^guidance_scale must be from 0 to 50"),
        ({"candidates": 3}, r"^candidates must be from 4, the number of pictures to keep, to 128; got 3\.$"),
        ({"candidates": 129}, r"to 128; got 129\.$"),
        ({"given": [0] * 12}, r"at most 11 of 12 may be given; got 12\.$"),
    ],
)
def test_settings_that_cannot_be_are_refused(painter: Painter, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        painter.paint(PROMPT, **given)


def test_a_prompt_longer_than_the_model_reads_is_refused(painter: Painter) -> None:
    long = "a red fox " * 9
    count = painter._tokenizer.count(long)
    words = rf"^The prompt has {count} tokens; the model 'sharp' reads at most 12\. Shorten it\.$"
    with pytest.raises(PromptError, match=words):
        painter.paint(long)
    assert not any("tokens" in notice for notice in painter.notices(long))


@pytest.mark.parametrize(
    ("size", "rows", "error", "words"),
    [
        (
            (64, 48),
            8,
            SizeError,
            r"^The model 'sharp' completes pictures of 16x12 pixels; got 64x48\. Scale it to 16x12, or paint",
        ),
        (
            (16, 12),
            6,
            ConfigError,
            r"^rows must be a multiple of 4, the side of a token in pixels, from 4 to 8; got 6\.$",
        ),
        ((16, 12), 12, ConfigError, r"from 4 to 8; got 12\.$"),
        ((16, 12), 0, ConfigError, r"from 4 to 8; got 0\.$"),
        ((16, 12), -4, ConfigError, r"from 4 to 8; got -4\.$"),
    ],
)
def test_pictures_that_cannot_be_completed_are_refused(
    painter: Painter, size: tuple[int, int], rows: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        painter.complete(Image.new("RGBA", size), PROMPT, rows=rows)


def test_other_families_have_no_tokens(tiny_home: Path, picture: Image.Image) -> None:
    flow = pictura.load(tiny_home / "models" / "tiny", device="cpu")
    words = (
        r"^The model 'tiny' paints by steps, without tokens: leave temperature \(--temperature\), top_k \("
    )
    with pytest.raises(ConfigError, match=words):
        flow.paint(PROMPT, temperature=1, top_k=0)
    with pytest.raises(ConfigError, match=r"without tokens: leave given \(--complete\) out\.$"):
        flow.complete(picture, PROMPT, rows=4)


def test_a_file_that_says_what_cannot_be_is_refused(painter: Painter, tmp_path: Path) -> None:
    (one,) = painter.paint(PROMPT, num_images=1)

    def refused(error: type[Exception], words: str, **settings: object) -> None:
        wrong = {**one.metadata(), "settings": {**one.settings, **settings}}
        Picture(image=one.image, **wrong).save(tmp_path / "wrong.webp", format="webp")
        with pytest.raises(error, match=words):
            pictura.repaint(tmp_path / "wrong.webp")

    refused(MetadataError, r"a setting is missing or wrong \(", temperature=None)
    refused(MetadataError, r"a setting is missing or wrong \(", given=["x"])
    refused(MetadataError, r"a setting is missing or wrong \(", top_k=math.inf)
    refused(ConfigError, r"^Given tokens must be whole numbers from 0 to 31; got 99\.$", given=[99])
    steps = {"num_steps": 4, "guidance_interval": [0, 1], "shift": 1}
    refused(ConfigError, r"paints token by token, without steps: leave solver out\.$", solver="ab2", **steps)


PAINT_WITHOUT_TORCH = """
import sys
for name in ("torch", "onnx", "onnxscript", "pyarrow"):
    sys.modules[name] = None  # as if it were not installed
import pictura
painter = pictura.load("sharp")
(picture,) = painter.paint("a red fox", seed=1, num_images=1, candidates=3)
picture.save(sys.argv[1])
from PIL import Image
painter.complete(Image.new("RGBA", (16, 12)), "a red fox", rows=8, num_images=1)
assert not [name for name in sys.modules if name.startswith(("torch.", "pictura.families", "pictura.nn"))]
"""


def test_painting_completing_and_choosing_need_no_torch(painter: Painter, tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", PAINT_WITHOUT_TORCH, str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")
    here = painter.paint(PROMPT, seed=1, num_images=1, candidates=3)[0].save(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == here.read_bytes()
    assert read_metadata(here)["settings"]["candidates"] == 3
