"""From a sentence to pictures by imagination, on a tiny untrained model: paint, keep, repaint, and say so."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pictura
from pictura.core.errors import ConfigError, MetadataError, ModelError
from pictura.core.types import Array, Conditioning
from pictura.pipeline import Painter, Picture
from pictura.runtime.open import TORCH_BACKENDS
from pictura.sample.calls import drive
from pictura.sample.diffusion import shares
from pictura.sample.imagining import CANDIDATES, Imagining
from pictura.sample.probing import _enlarged, _picture, untrained_parts
from pictura.sample.request import advised, choose
from pictura.store.models import ModelInfo, resolve
from tests.tiny_model import ENLARGED

PROMPT = "a red fox"
QUICK: dict[str, Any] = {"num_steps": 3, "prior_steps": 3, "upsampler_steps": 2}
Floats = NDArray[np.float32]


@pytest.fixture(autouse=True)
def home(unclip_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(unclip_home))


@pytest.fixture(scope="module")
def painter(unclip_home: Path) -> Painter:
    return pictura.load(unclip_home / "models" / "unclip", device="cpu")


def pixels(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(picture.image)


def test_a_picture_depends_on_its_number_and_not_on_its_neighbours(painter: Painter) -> None:
    many = painter.paint(PROMPT, seed=5, num_images=5, eta=0.7, **QUICK)
    (last,) = painter.paint(PROMPT, seed=5, num_images=1, first=4, eta=0.7, **QUICK)
    np.testing.assert_array_equal(pixels(last), pixels(many[4]))
    assert [one.index for one in many] == list(range(5))
    assert len({pixels(one).tobytes() for one in many}) == 5


def test_prompt_seed_and_settings_all_matter(painter: Painter) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 6},
        {"prompt": "a blue ball"},
        {"num_steps": 4},
        {"guidance_scale": 1},
        {"prior_steps": 4},
        {"prior_guidance": 2},
        {"upsampler_steps": 1},
        {"eta": 1},
        {"decoder_solver": "ab2"},
        {"vector": "text"},
        {"vector": "none"},
        {"size": (64, 40)},
    ]
    law = {"prompt": PROMPT, "seed": 5, "num_images": 1, **QUICK}
    made = [painter.paint(**{**law, **change})[0] for change in changes]
    assert len({pixels(one).tobytes() for one in made}) == len(changes)


def test_words_reach_the_decoder_beside_the_vector(painter: Painter) -> None:
    law: dict[str, Any] = {"seed": 5, "num_images": 1, "vector": "none", **QUICK}
    one, other = (painter.paint(prompt, **law) for prompt in (PROMPT, "a blue ball"))
    assert (pixels(one[0]) != pixels(other[0])).any()


def test_ddim_is_euler_along_the_flow(painter: Painter) -> None:
    law: dict[str, Any] = {"seed": 5, "num_images": 1, **QUICK}
    one, other = (painter.paint(PROMPT, decoder_solver=name, **law)[0] for name in ("ddim", "euler"))
    assert np.abs(pixels(one).astype(int) - pixels(other)).max() <= 1


def test_torch_paints_the_same_pictures(painter: Painter) -> None:
    there = Painter(painter.model, TORCH_BACKENDS.get("unclip")(painter.model, device="cpu"))
    law: dict[str, Any] = {"seed": 5, "num_images": 2, "eta": 0.5, "prior_guidance": 1.5, **QUICK}
    for mine, theirs in zip(painter.paint(PROMPT, **law), there.paint(PROMPT, **law), strict=True):
        assert np.abs(pixels(mine).astype(int) - pixels(theirs)).max() <= 1
        assert mine.notices == theirs.notices


def test_what_was_painted_is_said(painter: Painter, tmp_path: Path) -> None:
    (one,) = painter.paint(PROMPT, seed=1, num_images=1, size=(64, 48), eta=0.5, **QUICK)
    assert (one.image.size, one.image.mode) == ((64, 48), "RGBA")
    assert one.settings == {
        "num_steps": 3,
        "guidance_scale": 2.0,
        "guidance_interval": [0.0, 1.0],
        "shift": 1.0,
        "solver": "unclip",
        "vector": "prior",
        "prior_steps": 3,
        "prior_guidance": 1.0,
        "decoder_solver": "ddim",
        "eta": 0.5,
        "upsampler_steps": 2,
        "size": [64, 48],
        "painted_size": [32, 32],
        **ENLARGED,
        "device": "cpu",
    }


def test_a_picture_file_is_painted_again_byte_for_byte(painter: Painter, tmp_path: Path) -> None:
    law: dict[str, Any] = {"seed": 9, "num_images": 2, "size": (90, 60), **QUICK}
    for one in (
        painter.paint(PROMPT, eta=0.6, prior_guidance=1.5, **law)[1],
        painter.paint(PROMPT, decoder_solver="ab2", vector="text", candidates=3, **law)[0],
    ):
        first = one.save(tmp_path / "first.png")
        again = pictura.repaint(first)
        assert again.metadata() == one.metadata()
        assert again.save(tmp_path / "again.png").read_bytes() == first.read_bytes()
    (one,) = painter.paint(PROMPT, num_images=1, **QUICK)
    del one.settings["prior_steps"]
    with pytest.raises(MetadataError, match=r"a setting is missing or wrong \('prior_steps'\)"):
        pictura.repaint(one.save(tmp_path / "broken.png"))


def test_progress_counts_the_steps_of_all_networks(painter: Painter) -> None:
    seen: list[tuple[int, int]] = []
    painter.paint(PROMPT, num_images=2, on_step=lambda *step: seen.append(step), **QUICK)
    assert seen == [(2 * done, 16) for done in range(1, 9)]
    seen.clear()
    painter.paint(PROMPT, num_images=1, vector="text", on_step=lambda *step: seen.append(step), **QUICK)
    assert seen == [(done, 5) for done in range(1, 6)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"temperature": 1.0},
            r"^The model 'unclip' paints by imagination, without tokens: leave temperature",
        ),
        ({"solver": "ab2"}, r"leave solver out\.$"),
        ({"decoder_solver": "ddmi"}, r"^No solver is named 'ddmi'\. Did you mean 'ddim'\?$"),
        ({"eta": 1.5}, r"^eta must be from 0 .* to 1 .*; got 1\.5\.$"),
        ({"eta": 0.5, "decoder_solver": "ab2"}, r"^The solver 'ab2' takes no fresh noise: leave eta out"),
        ({"vector": "priro"}, r"^vector must be prior, text, none; got 'priro'\.$"),
        ({"guidance_scale": 51}, r"^guidance_scale must be from 0 to 50"),
        ({"prior_guidance": -1}, r"^guidance_scale must be from 0 to 50"),
        ({"prior_steps": 0}, r"^num_steps must be from 1 to 1000; got 0\.$"),
    ],
)
def test_what_it_cannot_do_is_refused(painter: Painter, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        painter.paint(PROMPT, num_images=1, **given)


def test_other_painters_refuse_its_settings() -> None:
    words = r"^The model 'flow' paints by steps, without tokens: leave eta, vector out\.$"
    with pytest.raises(ConfigError, match=words):
        choose(resolve("flow"), {"eta": 0.5, "vector": "text"})


class Knows:
    """Networks whose answers are known: the clean thing, whatever they are shown."""

    device, strength, untrained = "cpu", 100.0, ()

    def __init__(self, model: ModelInfo, *, vectors: Floats | None = None) -> None:
        self.model, self.vectors = model, vectors
        self.space = tuple(np.zeros(0, dtype=np.float32) for _ in range(3))
        self.asked: list[tuple[str, bool]] = []

    def asarray(self, array: Floats) -> Floats:
        return array

    def numpy(self, array: Floats) -> Floats:
        return array

    def prior(self, z_t: Array, t: Array, text: Conditioning, keep: bool) -> Array:
        self.asked.append(("prior", keep))
        assert self.vectors is not None
        return 12 * self.vectors * (1 if keep else 0.5)


def test_of_two_vectors_the_one_nearer_to_the_text_is_kept(painter: Painter) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3, CANDIDATES, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    sentence = vectors[[0, 1, 2], [1, 0, 1]].sum(axis=0, keepdims=True)
    sentence /= np.linalg.norm(sentence)
    backend: Any = Knows(painter.model, vectors=vectors.reshape(-1, 256))
    settings = {**advised(painter.model), "size": [32, 32], "prior_guidance": 3.0}
    way = Imagining(painter.model, backend, seed=1, numbers=range(3), settings=settings)
    text = Conditioning(tokens=np.zeros((1, 1, 192)), mask=np.ones((1, 1), dtype=bool), sentence=sentence)
    z = drive(way.imagine(text), backend)
    best = (vectors @ sentence[0]).argmax(axis=1)
    assert set(best) == {0, 1}
    np.testing.assert_allclose(z, vectors[np.arange(3), best], atol=1e-6)  # guided, but of length 1
    assert backend.asked == [("prior", True), ("prior", False)] * 16


def test_an_untrained_model_says_which_parts_know_nothing(painter: Painter) -> None:
    (one,) = painter.paint(PROMPT, num_images=1, **QUICK)
    assert one.notices == (
        "THE MODEL 'unclip' SEEMS UNTRAINED: its prior, decoder and upsampler cannot tell things from noise, "
        "and what it paints is noise.",
    )
    assert "notices" not in one.metadata()


class Sees:
    """Networks that see through some of the noise, or, where `blind`, say always the same."""

    def __init__(self, painter: Painter, blind: str = "") -> None:
        self._backend, self._blind = painter.backend, blind
        self.encode_text, self.asarray, self.numpy = (
            getattr(self._backend, name) for name in ("encode_text", "asarray", "numpy")
        )
        rng = np.random.default_rng(1)
        directions, _ = np.linalg.qr(rng.standard_normal((256, 256)))
        variances = np.where(np.arange(256) < 32, 0.005, 0.0)
        mean = 0.6 * directions[-1]
        self.space: Any = [part.astype(np.float32) for part in (mean, directions, variances)]

    def prior(self, z_t: Floats, t: Floats, *_: object) -> Array:
        if self._blind == "prior":
            return 12 * self.space[0][None]  # nearer than what it is shown, but always the same
        a, mean, inside = shares("cosine", float(t[0]))[0], self.space[0], self.space[1][:32]
        away = z_t / a - 12 * mean  # what lies outside the 32 directions can only be noise
        return 12 * mean + (away @ inside.T) @ inside

    def decoder(self, x_t: Floats, t: Floats, *_: object) -> Array:
        return np.zeros_like(x_t) if self._blind == "decoder" else self._mostly(x_t, t)

    def upsampler(self, x_t: Floats, t: Floats, low: Floats) -> Array:
        wide = np.stack([_enlarged(plane, x_t.shape[-1]) for plane in low[0]])[None]
        return wide if self._blind == "upsampler" else self._mostly(x_t, t)

    def _mostly(self, x_t: Floats, t: Floats) -> Array:
        """The picture, with half of the noise on it."""
        a, _ = shares("cosine", float(t[0]))
        return (_picture(4, x_t.shape[-1]) + x_t / np.float32(a)) / 2


@pytest.mark.parametrize("blind", ["", "prior", "decoder", "upsampler"])
def test_what_learnt_is_told_from_what_did_not(painter: Painter, blind: str) -> None:
    backend: Any = Sees(painter, blind)
    found = untrained_parts(painter.model, backend, backend.space)
    assert found == ((blind,) if blind else ())


def test_without_its_clip_it_is_not_opened(
    painter: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pictura.store.models.EMBEDDED", tmp_path)
    words = r"^The model 'unclip' listens to the CLIP 'clip-plain' with hash \w{10}, which is not here\. Put"
    with pytest.raises(ModelError, match=words):
        pictura.load(painter.model.path, device="cpu")


def test_it_paints_without_torch(unclip_home: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import pictura; from pictura.imagination import Imagination\n"
        "painter = pictura.load('unclip')\n"
        "one, = painter.paint('a red fox', num_images=1, num_steps=2, prior_steps=2)\n"
        "Imagination(painter).round_trip(one, num_steps=2)\n"
        "assert sys.modules['torch'] is None\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
