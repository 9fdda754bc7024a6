"""From a sentence to pictures, on a tiny untrained model: what must hold whatever the weights are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pictura
from pictura.core.errors import (
    ConfigError,
    DeviceError,
    MetadataError,
    MissingExtraError,
    ModelError,
    ModelNotFoundError,
    PromptError,
    SizeError,
)
from pictura.core.types import Conditioning
from pictura.pipeline import Painter, Picture
from pictura.runtime.onnx_backend import Floats, OnnxBackend
from pictura.sample.sizes import nearest_grid
from tests.tiny_model import ENLARGED

PROMPT = "a red fox"


@pytest.fixture(autouse=True)
def home(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))


@pytest.fixture(scope="module")
def painter(tiny_home: Path) -> Painter:
    return pictura.load(tiny_home / "models" / "tiny", device="cpu")


def pixels(picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(picture.image)


def test_a_picture_depends_on_its_number_and_not_on_its_neighbours(painter: Painter) -> None:
    four = painter.paint(PROMPT, seed=5, num_images=4)
    two = painter.paint(PROMPT, seed=5, num_images=2)
    for one, other in zip(two, four, strict=False):
        np.testing.assert_array_equal(pixels(one), pixels(other))
    assert [picture.index for picture in four] == [0, 1, 2, 3]
    assert len({pixels(picture).tobytes() for picture in four}) == 4


def test_a_seed_goes_on_where_its_first_pictures_ended(painter: Painter) -> None:
    four = painter.paint(PROMPT, seed=5, num_images=4)
    (last,) = painter.paint(PROMPT, seed=5, num_images=1, first=3)
    np.testing.assert_array_equal(pixels(last), pixels(four[3]))
    assert last.index == 3


def test_prompt_seed_and_settings_all_matter(painter: Painter) -> None:
    changes: list[dict[str, object]] = [
        {},
        {"seed": 6},
        {"prompt": "a blue ball"},
        {"num_steps": 5},
        {"guidance_scale": 1.0},
        {"solver": "euler"},
        {"size": (256, 200)},
    ]
    made = [
        pixels(painter.paint(**{"prompt": PROMPT, "seed": 5, "num_images": 1, **change})[0]).tobytes()  # type: ignore[arg-type]
        for change in changes
    ]
    assert len(set(made)) == len(changes)


def test_guidance_off_paints_without_the_empty_prompt(painter: Painter) -> None:
    calls: list[float] = []

    class Counting(OnnxBackend):
        def velocity(self, x_t: Floats, t: Floats, cond: Conditioning) -> Floats:
            calls.append(float(t[0]))
            return super().velocity(x_t, t, cond)

    counted = Painter(painter.model, Counting(painter.model, num_threads=1))
    counted.paint(PROMPT, num_steps=4, guidance_scale=1)
    assert calls == [1, 0.75, 0.5, 0.25]
    counted.paint(PROMPT, num_steps=4, guidance_scale=2)
    assert calls[4:] == [1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25]


def test_what_was_painted_and_scaled_is_said(painter: Painter) -> None:
    picture = painter.paint(PROMPT, seed=1, num_images=1, size=(100, 60))[0]
    assert picture.image.size == (100, 60)
    assert picture.image.mode == "RGBA"
    assert picture.metadata() == {
        "prompt": PROMPT,
        "seed": 1,
        "index": 0,
        "settings": {
            "num_steps": 3,
            "guidance_scale": 2.0,
            "guidance_interval": [0.2, 0.9],
            "solver": "ab2",
            "shift": 1.0,
            "size": [100, 60],
            "painted_size": [40, 24],
            **ENLARGED,
            "device": "cpu",
        },
        "model": "tiny",
        "model_hash": painter.model.hash,
        "version": pictura.__version__,
    }
    native = painter.paint(PROMPT, seed=1, num_images=1, size=(32, 32))[0]
    assert native.settings["scaling"] == "none"
    assert painter.paint(PROMPT, num_images=1)[0].image.size == (256, 256)


def test_alpha_is_kept_to_the_file(painter: Painter, tmp_path: Path) -> None:
    picture = painter.paint(PROMPT, seed=1, num_images=1)[0]
    alpha = pixels(picture)[..., 3]
    assert 0 < alpha.mean() < 255
    with Image.open(picture.save(tmp_path / "a.png")) as saved:
        np.testing.assert_array_equal(np.asarray(saved), pixels(picture))


def test_a_picture_file_is_painted_again_byte_for_byte(painter: Painter, tmp_path: Path) -> None:
    picture = painter.paint(PROMPT, seed=9, num_images=3, size=(90, 60), solver="dpmpp_2m")[2]
    first = picture.save(tmp_path / "first.png")
    again = pictura.repaint(first)
    assert again.metadata() == picture.metadata()
    assert again.save(tmp_path / "again.png").read_bytes() == first.read_bytes()


def test_repainting_needs_the_metadata_and_the_same_model(
    painter: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = painter.paint(PROMPT, num_images=1)[0]
    picture.image.save(tmp_path / "plain.png")
    with pytest.raises(MetadataError, match=r"plain\.png does not say how it was painted"):
        pictura.repaint(tmp_path / "plain.png")
    for name, value in (("shift", None), ("size", [64, "x"]), ("num_steps", float("inf"))):
        wrong = {**picture.metadata(), "settings": {**picture.settings, name: value}}
        Picture(image=picture.image, **wrong).save(tmp_path / "wrong.png")
        with pytest.raises(MetadataError, match=r"wrong\.png .*: a setting is missing or wrong \("):
            pictura.repaint(tmp_path / "wrong.png")
    picture.save(tmp_path / "a.png")
    monkeypatch.setenv("PICTURA_HOME", str(tmp_path))
    with pytest.raises(
        ModelError, match=r"was painted by the model 'tiny' with hash \w{10}, which is not here"
    ):
        pictura.repaint(tmp_path / "a.png")


def test_progress_counts_the_steps_of_all_pictures(painter: Painter) -> None:
    seen: list[tuple[int, int]] = []
    painter.paint(PROMPT, num_images=2, num_steps=3, on_step=lambda *step: seen.append(step))
    assert seen == [(2, 6), (4, 6), (6, 6)]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("", r"^The prompt is empty\. Say what to paint, such as 'a red fox'\.$"),
        (" \n", r"^The prompt is empty"),
        ("x" * 10**6, r"^The prompt has 1000000 characters; at most 2000 are allowed\.$"),
    ],
)
def test_prompts_that_cannot_be_painted_are_refused(painter: Painter, prompt: str, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        painter.paint(prompt)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((15, 20), r"^Picture sides must be from 16 to 1024 pixels; got 15x20\.$"),
        ((1025, 1000), r"^Picture sides must be from 16 to 1024 pixels; got 1025x1000\.$"),
        ((101, 50), r"^Pictures may be at most 2:1 wide or tall; got 101x50\.$"),
    ],
)
def test_sizes_that_cannot_be_painted_are_refused(
    painter: Painter, size: tuple[int, int], words: str
) -> None:
    with pytest.raises(SizeError, match=words):
        painter.paint(PROMPT, size=size)


def test_settings_out_of_range_are_refused(painter: Painter) -> None:
    with pytest.raises(ConfigError, match=r"^num_images must be from 1 to 64; got 0\.$"):
        painter.paint(PROMPT, num_images=0)
    with pytest.raises(ConfigError, match=r"^num_steps must be from 1 to 1000; got 0\.$"):
        painter.paint(PROMPT, num_steps=0)
    with pytest.raises(ConfigError, match=r"^No solver is named 'heun'\."):
        painter.paint(PROMPT, solver="heun")
    with pytest.raises(ConfigError, match=r"^The seed must be a whole number from 0"):
        painter.paint(PROMPT, seed=-1)
    with pytest.raises(DeviceError, match=r"^The device must be auto, cpu or cuda; got 'gpu'\.$"):
        pictura.load("tiny", device="gpu")
    with pytest.raises(ModelNotFoundError, match=r"^No model is named 'tinny'\. Did you mean 'tiny'\?$"):
        pictura.load("tinny")


def test_cuda_without_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        MissingExtraError, match=r"^Painting on CUDA needs torch: pip install 'pictura\[train\]'$"
    ):
        pictura.load("tiny", device="cuda")
    assert pictura.load("tiny").device == "cpu"


@pytest.mark.gpu
@pytest.mark.parametrize("compile_", [False, True])
def test_on_cuda_a_picture_does_not_depend_on_its_neighbours(compile_: bool) -> None:
    on_cuda = pictura.load("tiny", device="cuda", compile=compile_)
    many, few = (on_cuda.paint(PROMPT, seed=5, num_images=num) for num in (6, 1))
    np.testing.assert_array_equal(pixels(many[0]), pixels(few[0]))


def test_unknown_words_and_cut_prompts_are_noticed(painter: Painter) -> None:
    assert painter.notices("A red fox, on 3 blue balls") == ["'balls' is read as 'ball'."]
    assert painter.notices("A red fox, on 3 blue balls", as_written=True) == [
        "The model has never seen the word 'balls'. Near it: ball."
    ]
    assert painter.notices("zebra") == ["The model has never seen the word 'zebra'."]
    (cut,) = painter.notices("a red fox " * 20)
    assert cut.endswith("tokens; the model reads the first 16 of them.")


def test_the_grid_nearest_in_shape_then_in_size_is_painted() -> None:
    grids = [(8, 8), (8, 12), (12, 8), (16, 16)]
    assert nearest_grid(grids, 64, 64, 8) == (8, 8)
    assert nearest_grid(grids, 256, 256, 8) == (16, 16)
    assert nearest_grid(grids, 640, 400, 8) == (8, 12)
    assert nearest_grid(grids, 400, 640, 8) == (12, 8)


@pytest.mark.parametrize(("num", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (4, 2, 2), (5, 3, 2)])
def test_a_grid_shows_every_picture_on_white(painter: Painter, num: int, columns: int, rows: int) -> None:
    pictures = painter.paint(PROMPT, seed=1, num_images=num, num_steps=1, size=(64, 32))
    sheet = np.asarray(pictura.grid(pictures))
    assert sheet.shape == (rows * 34 + 2, columns * 66 + 2, 3)
    assert (sheet[:2] == 255).all()
    last = pictures[-1].image
    shown = Image.alpha_composite(Image.new("RGBA", last.size, "white"), last).convert("RGB")
    x, y = 2 + (num - 1) % columns * 66, 2 + (num - 1) // columns * 34
    np.testing.assert_array_equal(sheet[y : y + 32, x : x + 64], np.asarray(shown))


PAINT_WITHOUT_TORCH = """
import sys
for name in ("torch", "onnx", "onnxscript", "pyarrow"):
    sys.modules[name] = None  # as if it were not installed
import pictura
assert not {"numpy", "PIL", "onnxruntime"} & set(sys.modules), "importing pictura must cost nothing"
pictura.load("tiny").paint("a red fox", seed=1, num_images=1)[0].save(sys.argv[1])
assert not [name for name in sys.modules if name.startswith("torch.")]
"""


def test_painting_needs_no_torch(painter: Painter, tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", PAINT_WITHOUT_TORCH, str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")
    here = painter.paint(PROMPT, seed=1, num_images=1)[0].save(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == here.read_bytes()


def test_an_unknown_word_is_painted_as_the_nearest_that_is_known(painter: Painter, tmp_path: Path) -> None:
    (read,) = painter.paint("a crimson vixen", seed=1, num_images=1)
    (meant,) = painter.paint("a red fox", seed=1, num_images=1)
    (written,) = painter.paint("a crimson vixen", seed=1, num_images=1, read_as=())
    np.testing.assert_array_equal(pixels(read), pixels(meant))
    assert (pixels(written) != pixels(meant)).any()
    assert read.prompt == "a crimson vixen"
    assert read.settings["read_as"] == [["crimson", "red"], ["vixen", "fox"]]
    assert "read_as" not in written.settings
    for name, picture in (("read", read), ("written", written)):
        again = pictura.repaint(picture.save(tmp_path / f"{name}.png"))
        np.testing.assert_array_equal(pixels(again), pixels(picture))
        assert again.settings == picture.settings


def test_what_words_are_read_as_can_be_chosen(painter: Painter) -> None:
    (chosen,) = painter.paint("a zebra", seed=1, num_images=1, read_as=[("zebra", "green apple")])
    (meant,) = painter.paint("a green apple", seed=1, num_images=1)
    np.testing.assert_array_equal(pixels(chosen), pixels(meant))


def test_each_part_of_a_prompt_is_read(painter: Painter) -> None:
    parts = [["a vixen", 2.0], ["crimson", -1.0]]
    (read,) = painter.paint("a vixen", seed=1, num_images=1, parts=parts)
    (meant,) = painter.paint("a fox", seed=1, num_images=1, parts=[["a fox", 2.0], ["red", -1.0]])
    np.testing.assert_array_equal(pixels(read), pixels(meant))
