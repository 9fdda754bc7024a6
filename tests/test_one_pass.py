"""From a sentence to pictures in one pass, on tiny untrained adversarial painters."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pictura
from pictura.core.errors import ConfigError, PromptError
from pictura.pipeline import Painter, Picture
from pictura.store import models
from pictura.store.models import read_model
from tests.tiny_model import ENLARGED

PROMPT = "a red fox"


@pytest.fixture(autouse=True)
def home(gan_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(gan_home))


@pytest.fixture(scope="module")
def painter(gan_home: Path) -> Painter:
    return pictura.load(gan_home / "models" / "attngan", device="cpu")


def pixels(picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(picture.image)


def test_a_picture_depends_on_its_number_and_not_on_its_neighbours(painter: Painter) -> None:
    four = painter.paint(PROMPT, seed=5, num_images=4)
    (third,) = painter.paint(PROMPT, seed=5, num_images=1, first=2)
    np.testing.assert_array_equal(pixels(third), pixels(four[2]))
    assert [picture.index for picture in four] == [0, 1, 2, 3]
    assert len({pixels(picture).tobytes() for picture in four}) == 4


def test_prompt_and_seed_matter(painter: Painter) -> None:
    made = [
        painter.paint(words, seed=seed, num_images=1)[0] for words in (PROMPT, "a ball") for seed in (1, 2)
    ]
    assert len({pixels(picture).tobytes() for picture in made}) == 4


def test_what_was_painted_is_said(painter: Painter) -> None:
    (picture,) = painter.paint(PROMPT, seed=1, num_images=1, size=(40, 32))
    assert picture.image.size == (40, 32)
    assert picture.image.mode == "RGBA"
    assert picture.settings == {
        "num_steps": 1,
        "guidance_scale": 1.0,
        "guidance_interval": [0.0, 1.0],
        "solver": "one_pass",
        "shift": 1.0,
        "size": [40, 32],
        "painted_size": [16, 16],
        **ENLARGED,
        "device": "cpu",
    }


@pytest.mark.parametrize("name", ["attngan", "stackgan"])
def test_a_picture_file_is_painted_again_byte_for_byte(name: str, tmp_path: Path) -> None:
    picture = pictura.load(name, device="cpu").paint(PROMPT, seed=9, num_images=3, size=(90, 60))[2]
    first = picture.save(tmp_path / "first.png")
    again = pictura.repaint(first)
    assert again.metadata() == picture.metadata()
    assert again.save(tmp_path / "again.png").read_bytes() == first.read_bytes()


def test_progress_counts_pictures(painter: Painter) -> None:
    seen: list[tuple[int, int]] = []
    painter.paint(PROMPT, num_images=3, on_step=lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_steps": 4}, r"leave num_steps \(--steps\) out\.$"),
        ({"guidance_scale": 2.0}, r"leave guidance_scale \(--guidance\) out\.$"),
        (
            {"num_steps": 1, "guidance_scale": 1.0, "solver": "ab2"},
            r"^The model 'attngan' paints in one pass, without steps and guidance: "
            r"leave num_steps \(--steps\), guidance_scale \(--guidance\), solver out\.$",
        ),
    ],
)
def test_steps_and_guidance_are_refused(painter: Painter, given: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        painter.paint(PROMPT, **given)  # type: ignore[arg-type]


def test_a_file_with_the_solver_of_another_model_is_refused(painter: Painter, tmp_path: Path) -> None:
    (picture,) = painter.paint(PROMPT, num_images=1)
    wrong = {**picture.metadata(), "settings": {**picture.settings, "solver": "ab2"}}
    Picture(image=picture.image, **wrong).save(tmp_path / "wrong.png")
    with pytest.raises(ConfigError, match=r"'attngan' paints in one pass, .*: leave solver out\.$"):
        pictura.repaint(tmp_path / "wrong.png")


def test_a_model_of_steps_has_no_such_solver(tiny_home: Path) -> None:
    flow = pictura.load(tiny_home / "models" / "tiny", device="cpu")
    with pytest.raises(ConfigError, match=r"^No solver is named 'one_pass'\."):
        flow.paint(PROMPT, solver="one_pass")


def test_prompts_that_cannot_be_painted_are_refused(painter: Painter) -> None:
    with pytest.raises(PromptError, match=r"^The prompt is empty"):
        painter.paint(" ")


def test_words_are_explained_over_the_picture(painter: Painter) -> None:
    (picture,) = painter.paint("A red xylophone, on white", seed=3, num_images=1, size=(64, 64), read_as=())
    sheet = np.asarray(painter.explain(picture))
    cell, gap = 64 + 11, 2  # a picture and its line of words; 1/32 of the longer side, 75
    assert sheet.shape == (cell + 2 * gap, 6 * (64 + gap) + gap, 3)  # the picture and five words
    shown = Image.alpha_composite(Image.new("RGBA", (64, 64), "white"), picture.image).convert("RGB")
    np.testing.assert_array_equal(sheet[gap : gap + 64, gap : gap + 64], np.asarray(shown))


def test_attention_of_a_words_tokens_is_summed(painter: Painter) -> None:
    """All words and the beginning together are everything that a place looks at."""
    places = painter._tokenizer.places("a red xylophone")
    assert [word for word, _ in places] == ["a", "red", "xylophone"]
    assert len(places[2][1]) > 1
    attention = painter._backend.encode_text(painter.read("a red xylophone")).tokens[0]
    assert sorted(sum((tokens for _, tokens in places), [0])) == list(range(len(attention)))


def test_a_model_that_does_not_attend_names_those_that_do(
    painter: Painter, tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (picture,) = painter.paint(PROMPT, num_images=1)
    with pytest.raises(
        ConfigError, match=r"^The model 'stackgan' does not say where it looks .* These do: attngan\.$"
    ):
        pictura.load("stackgan").explain(picture)
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    monkeypatch.setattr(models, "EMBEDDED", tmp_path)
    flow = pictura.load(tiny_home / "models" / "tiny")
    with pytest.raises(ConfigError, match=r"^The model 'tiny' .* of the family attngan do; none is here\.$"):
        flow.explain(picture)


def test_a_model_explains_only_its_own_pictures(painter: Painter) -> None:
    (other,) = pictura.load("stackgan", device="cpu").paint(PROMPT, num_images=1)
    with pytest.raises(ConfigError, match=r"'attngan' explains its own pictures; this one is by 'stackgan'"):
        painter.explain(other)


PAINT_WITHOUT_TORCH = """
import sys
for name in ("torch", "onnx", "onnxscript", "pyarrow"):
    sys.modules[name] = None  # as if it were not installed
import pictura
painter = pictura.load("attngan")
(picture,) = painter.paint("a red fox", seed=1, num_images=1)
picture.save(sys.argv[1])
painter.explain(picture)
assert not [name for name in sys.modules if name.startswith(("torch.", "pictura.families", "pictura.nn"))]
"""


def test_painting_and_explaining_need_no_torch(painter: Painter, tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", PAINT_WITHOUT_TORCH, str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")
    here = painter.paint(PROMPT, seed=1, num_images=1)[0].save(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == here.read_bytes()


def test_models_say_their_family_and_how_they_paint(gan_home: Path) -> None:
    model = read_model(gan_home / "models" / "stackgan")
    assert (model.family, model.one_pass, model.attends) == ("stackgan", True, False)
    assert read_model(gan_home / "models" / "attngan").attends
