"""Pictures made of pictures, on a tiny untrained model: vary, interpolate, edit, reconstruct, components."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pictura
from pictura.core import images
from pictura.core.errors import ConfigError, DataError, MetadataError, ModelError, PromptError, SizeError
from pictura.imagination import Imagination
from pictura.imagination.eyes import Eyes, opened, psnr, shrunk
from pictura.imagination.work import Workshop, mixed
from pictura.pipeline import Picture
from pictura.runtime.onnx_clip import OnnxClip
from pictura.sample.diffusion import shares
from pictura.store.models import resolve

QUICK: dict[str, Any] = {"num_steps": 2, "upsampler_steps": 1, "seed": 5, "size": (32, 32)}
Floats = NDArray[np.float32]


@pytest.fixture(autouse=True)
def home(unclip_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(unclip_home))


@pytest.fixture(scope="module")
def imagination(unclip_home: Path) -> Imagination:
    return Imagination(pictura.load(unclip_home / "models" / "unclip", device="cpu"))


def drawing(colour: tuple[int, ...] = (220, 60, 30, 255), size: tuple[int, int] = (32, 32)) -> Image.Image:
    """A square of one colour, on transparent."""
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    picture.paste(colour, (size[0] // 4, size[1] // 4, 3 * size[0] // 4, 3 * size[1] // 4))
    return picture


def pixels(pictures: list[Picture]) -> list[bytes]:
    return [np.asarray(one.image).tobytes() for one in pictures]


class Truth:
    """Networks of a world in which a picture is its vector's colour, with a little of its own: exact answers.

    Numbers of small pictures are normal, around the first number of the vector, with deviation `STD`.
    """

    STD = 0.2

    def __init__(self, backend: Any) -> None:
        self.asarray, self.numpy, self.decode, self.encode_text = (
            backend.asarray,
            backend.numpy,
            backend.decode,
            backend.encode_text,
        )
        self.space, self.untrained, self.device = backend.space, (), "cpu"

    def decoder(self, x_t: Floats, t: Floats, z: Floats, *_: object) -> Floats:
        a, s = shares("cosine", float(t[0]))
        mean = z[:, :1, None, None]
        gain = a * self.STD**2 / (a**2 * self.STD**2 + s**2)
        return (mean + gain * (x_t - a * mean)).astype(np.float32)

    def upsampler(self, x_t: Floats, t: Floats, low: Floats) -> Floats:
        return np.kron(low, np.ones((4, 4), dtype=np.float32))


@pytest.fixture
def true(imagination: Imagination, monkeypatch: pytest.MonkeyPatch) -> Imagination:
    painter = imagination._shop._painter
    monkeypatch.setattr(painter, "_backend", Truth(painter.backend))
    return Imagination(painter)


def test_without_fresh_noise_a_picture_comes_back(true: Imagination) -> None:
    near = Image.fromarray(np.random.default_rng(0).integers(110, 150, (32, 32, 4), dtype=np.uint8))
    trip = true.round_trip(near, num_steps=32, seed=1, guidance_scale=1.0)
    assert trip.psnr_small > 38
    assert trip.again.settings["made_by"] == {"command": "reconstruct", "of": ["the picture"]}
    assert trip.original.size == (32, 32)
    (same,) = true.vary(near, num_images=1, eta=0, num_steps=32, seed=2, guidance_scale=1.0)
    assert pixels([same]) == pixels([trip.again])
    # From its vector alone it has the colour, not the details.
    assert psnr(*(images.from_pil([one]) for one in (trip.imagined.image, trip.again.image))) < 30


def test_a_strip_goes_from_one_picture_to_the_other(true: Imagination) -> None:
    ends = [drawing(), drawing((40, 90, 220, 255))]
    strip = true.interpolate(*ends, num_images=4, **QUICK)
    alone = [true.vary(one, num_images=1, eta=0, **QUICK)[0] for one in ends]
    for one, end in zip((strip[0], strip[-1]), alone, strict=True):
        far = np.abs(np.asarray(one.image).astype(int) - np.asarray(end.image))
        assert far.max() <= 1
    assert [one.index for one in strip] == [0, 1, 2, 3]
    assert len(set(pixels(strip))) == 4


def test_variations_are_their_own_and_do_not_depend_on_each_other(imagination: Imagination) -> None:
    many = imagination.vary(drawing(), num_images=3, eta=0.7, **QUICK)
    assert len(set(pixels(many))) == 3
    (last,) = imagination.vary(drawing(), num_images=1, first=2, eta=0.7, **QUICK)
    assert pixels([last]) == pixels(many[2:])
    assert many[0].settings["eta"] == 0.7
    assert "prior_steps" not in many[0].settings


def test_with_the_same_noise_only_the_vector_changes(imagination: Imagination) -> None:
    ends = [drawing(), drawing((40, 90, 220, 255))]
    strip = imagination.interpolate(*ends, num_images=3, same_noise=True, **QUICK)
    whole = imagination.components(ends[0], [256], **QUICK)
    assert np.abs(np.asarray(strip[0].image).astype(int) - np.asarray(whole[0].image)).max() <= 2
    assert strip[1].settings["made_by"] == {
        "command": "interpolate",
        "of": ["the picture", "the picture"],
        "shares": [0.0, 0.5, 1.0],
        "same_noise": True,
    }


def test_an_edit_goes_along_the_difference_of_two_texts(
    imagination: Imagination, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Floats] = []
    working = Workshop.working

    def watched(self: Workshop, job: Any, vectors: Floats, noise_of: Any) -> Any:
        seen.append(vectors)
        return working(self, job, vectors, noise_of)

    monkeypatch.setattr(Workshop, "working", watched)
    strip = imagination.edit(
        drawing(), "a blue ball", from_text="a red ball", theta=0.5, num_images=3, **QUICK
    )
    clip = OnnxClip(resolve("clip-plain").path)
    vector = Eyes(resolve("unclip")).take(drawing()).vector
    new, old = clip.embed_text(["a blue ball", "a red ball"])
    towards = (new - old) / np.linalg.norm(new - old)
    np.testing.assert_allclose(seen[0], mixed(vector, towards[None], [0, 0.25, 0.5]), atol=1e-5)
    np.testing.assert_allclose(seen[0][0], vector[0], atol=1e-6)
    assert [one.prompt for one in strip] == ["a blue ball"] * 3
    assert strip[0].settings["made_by"]["thetas"] == [0, 0.25, 0.5]
    (one,) = imagination.edit(drawing(), "a blue ball", theta=0.3, **QUICK)
    assert one.settings["made_by"] == {
        "command": "edit",
        "of": ["the picture"],
        "from_text": "",
        "thetas": [0.3],
    }


def test_all_components_are_the_vector_itself(imagination: Imagination) -> None:
    made = imagination.components(drawing(), **QUICK)
    assert made[0].settings["made_by"]["components"] == [2, 5, 10, 20, 40, 256]
    assert len(set(pixels(made))) > 3
    strip = imagination.interpolate(
        drawing(), drawing((9, 9, 9, 255)), num_images=2, same_noise=True, **QUICK
    )
    far = np.abs(np.asarray(made[-1].image).astype(int) - np.asarray(strip[0].image))
    assert far.max() <= 2


def test_a_picture_is_seen_on_light_grey_and_brought_to_size(unclip_home: Path, tmp_path: Path) -> None:
    eyes, clip = Eyes(resolve("unclip")), OnnxClip(resolve("clip-plain").path)
    source = eyes.take(drawing(size=(64, 64)))
    grey = images.on_background(images.from_pil([drawing(size=(64, 64))]))
    np.testing.assert_allclose(source.vector, clip.embed_images(grey), atol=1e-3)
    assert source.notices == ("the picture has 64x64 pixels; it was scaled to 32x32.",)
    assert eyes.take(drawing()).notices == ()
    np.testing.assert_allclose(eyes.take(drawing()).large, images.from_pil([drawing()]), atol=1e-6)
    wide = Image.new("RGB", (80, 40), "red")
    wide.save(tmp_path / "wide.jpg")
    told = "wide.jpg has 80x40 pixels; it was cropped to its middle square and scaled to 32x32."
    assert eyes.take(tmp_path / "wide.jpg").notices == (told,)
    assert eyes.take(drawing(size=(80, 40))).notices[0].endswith("padded to a square and scaled to 32x32.")
    small = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(shrunk(small, 2), [[[[2.5, 4.5], [10.5, 12.5]]]])


def test_what_had_to_be_done_to_a_picture_is_said(imagination: Imagination, tmp_path: Path) -> None:
    drawing(size=(50, 40)).save(tmp_path / "a.webp", lossless=True)
    (one,) = imagination.vary(tmp_path / "a.webp", num_images=1, **QUICK)
    assert one.settings["made_by"]["of"] == ["a.webp"]
    assert one.notices[0].startswith("THE MODEL 'unclip' SEEMS UNTRAINED")
    assert one.notices[1:] == ("a.webp has 50x40 pixels; it was padded to a square and scaled to 32x32.",)


def test_painted_pictures_and_open_ones_are_taken_too(imagination: Imagination) -> None:
    (one,) = imagination.vary(drawing(), num_images=1, **QUICK)
    assert opened(one) == ("the painted picture", one.image)
    assert opened(Image.new("L", (9, 9)))[1].mode == "RGBA"
    with pytest.raises(ConfigError, match=r"^A picture is a file's path, an image of PIL or .*; got int\.$"):
        opened(3)  # type: ignore[arg-type]


def test_what_is_no_picture_or_too_small_is_refused(imagination: Imagination, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.png: expected a PNG, JPEG, WebP, .* 10 bytes of something else"):
        imagination.vary(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        imagination.round_trip(tmp_path / "none.png")
    words = r"^the picture has 40x7 pixels; the model 'unclip' takes pictures of at least 8 a side\. Take"
    with pytest.raises(SizeError, match=words):
        imagination.components(drawing(size=(40, 7)))


@pytest.mark.parametrize(
    ("action", "given", "error", "words"),
    [
        ("vary", {"num_images": 65}, ConfigError, r"^num_images must be from 1 to 64; got 65\.$"),
        ("vary", {"eta": 1.2}, ConfigError, r"^eta must be from 0"),
        ("vary", {"size": (8, 8)}, SizeError, r"^Picture sides must be from 16"),
        ("vary", {"temperature": 1}, ConfigError, r"^`pictura vary` has no setting 'temperature'\. Known:"),
        ("vary", {"decoder_solver": "ab2"}, ConfigError, r"^The solver 'ab2' takes no fresh noise"),
        ("edit", {"text": " "}, PromptError, r"^The prompt is empty"),
        ("edit", {"text": "a", "theta": 1.1}, ConfigError, r"^theta must be from 0 .* to 1 .*; got 1\.1\.$"),
        ("edit", {"text": "a", "from_text": "a"}, ConfigError, r"^The two texts of an edit must differ"),
        ("edit", {"text": "a", "num_images": 0}, ConfigError, r"^A strip has 1 to 64 pictures; got 0\.$"),
        ("interpolate", {"num_images": 1}, ConfigError, r"^A strip has 2 to 64 pictures; got 1\.$"),
        ("components", {"counts": [300]}, ConfigError, r"^The number of components must be from 1 to 256"),
    ],
)
def test_what_cannot_be_done_is_refused(
    imagination: Imagination, action: str, given: dict[str, Any], error: type[Exception], words: str
) -> None:
    sources = [drawing()] * (2 if action == "interpolate" else 1)
    with pytest.raises(error, match=words):
        getattr(imagination, action)(*sources, **given)


def test_such_a_picture_cannot_be_painted_again(imagination: Imagination, tmp_path: Path) -> None:
    (one,) = imagination.vary(drawing(), num_images=1, **QUICK)
    words = (
        r"was not painted from a sentence alone, but by `pictura vary` of the picture\. Run .* --seed 5\.$"
    )
    with pytest.raises(MetadataError, match=words):
        pictura.repaint(one.save(tmp_path / "a.png"))
    one.settings["made_by"]["of"] = 7
    with pytest.raises(MetadataError, match=r"of another picture\."):
        pictura.repaint(one.save(tmp_path / "b.png"))


def test_others_have_no_eyes() -> None:
    words = (
        r"^The model 'flow' of the family flow paints from sentences alone\. Take one of the family unclip"
    )
    with pytest.raises(ConfigError, match=words):
        Eyes(resolve("flow"))
    with pytest.raises(ModelError, match=r"^'clip-guide' is a clip part and does not paint"):
        Eyes(resolve("clip-guide"))


def test_the_ratio_of_signal_and_noise_is_known() -> None:
    black, grey = np.zeros((1, 3, 4, 4), dtype=np.float32), np.full((1, 3, 4, 4), 0.1, dtype=np.float32)
    assert psnr(black, grey) == pytest.approx(20)
    assert psnr(black, black) == math.inf
    clear = np.zeros((1, 4, 4, 4), dtype=np.float32)
    assert psnr(clear, np.full((1, 3, 4, 4), 0.8, dtype=np.float32)) > 100  # both are seen on light grey
