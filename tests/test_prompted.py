"""Painting what the prompt language asks for: each parameter changes what it should and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pictura
from pictura.core import images
from pictura.core.errors import ConfigError, MetadataError, PromptError
from pictura.families.flow.backend import TorchBackend
from pictura.pipeline import Painter, Picture, repaint
from pictura.prompt import ParsedPrompt, parse
from pictura.sample.calls import Call, Calls, Progress, answer
from pictura.store.metadata import a1111_parameters, read_metadata
from pictura.store.models import read_model
from tests.tiny_model import make_learnt

BENT = "a red fox::2 a ball --no apple --chaos 60 --weird 900 --tile --stop 70 --quality 2 --ar 3:2"


@pytest.fixture(scope="module")
def painter(tiny_home: Path) -> Painter:
    return pictura.load(tiny_home / "models" / "tiny", device="cpu", num_threads=1)


@pytest.fixture(autouse=True)
def _home(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICTURA_HOME", str(tiny_home))


def one(text: str) -> ParsedPrompt:
    (found,) = parse(text)
    return found


def paint(painter: Painter, text: str | ParsedPrompt, **more: Any) -> list[Picture]:
    prompt = one(text) if isinstance(text, str) else text
    seed = {} if prompt.parameters.seed is not None else {"seed": 7}
    return painter.paint(prompt, **{"num_images": 2, **seed, **more})


def bits(pictures: list[Picture]) -> NDArray[np.int64]:
    return np.stack([np.asarray(picture.image) for picture in pictures]).astype(np.int64)


def calls_of(painter: Painter, text: str) -> list[int]:
    """How many velocities each step asks for."""
    way, found = painter.making(one(text), num_images=1, seed=7), []
    wish: Any = next(way)
    while True:
        calls = wish.calls if isinstance(wish, Calls) else (wish,) if isinstance(wish, Call) else ()
        found += [len(calls)] if calls and calls[0].method == "velocity" else []
        replies = [getattr(painter.backend, call.method)(*call.args) for call in calls]
        try:
            wish = way.send(replies if isinstance(wish, Calls) else replies[0] if replies else None)
        except StopIteration:
            return found


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a red fox", "a red fox --chaos 0"),
        ("a red fox", "a red fox --weird 0"),
        ("a red fox", "a red fox --stop 100"),
        ("a red fox", "a red fox --quality 1"),
        ("a red fox", "a red fox --ar 1:1"),
        ("a red fox", "a red fox --stylize 100"),
        ("a red fox", "a red fox::5"),
        ("a red fox", "a red fox --seed 7"),
        ("a red fox", "a red fox --model tiny"),
        ("a fox::2 a ball", "a fox::100 a ball::50"),
        ("a fox --no red", "a fox:: red::-.5"),
        ("a fox --no red, ball", "a fox::2 red::-.5 ball::-.5"),
    ],
)
def test_what_means_the_same_is_the_same_to_the_last_bit(painter: Painter, text: str, same: str) -> None:
    np.testing.assert_array_equal(bits(paint(painter, text)), bits(paint(painter, same)))


def test_plain_words_are_painted_as_a_plain_string_metadata_too(painter: Painter) -> None:
    plain = painter.paint("a red fox", num_images=2, seed=7)
    parsed = paint(painter, "a red fox")
    np.testing.assert_array_equal(bits(plain), bits(parsed))
    assert [p.metadata() for p in plain] == [p.metadata() for p in parsed]
    literal = painter.paint(
        "a red fox --chaos 50", num_images=1, seed=7
    )  # a string is never read as language
    assert literal[0].prompt == "a red fox --chaos 50"


@pytest.mark.parametrize(
    "text",
    [
        "--chaos 60",
        "--weird 900",
        "--tile",
        "--stop 40",
        "--quality 2",
        "--no ball",
        ":: a ball",
        ":: a ball::2",
    ],
)
def test_each_parameter_changes_the_picture(painter: Painter, text: str) -> None:
    plain, bent = (
        bits(paint(painter, "a red fox" + more)) for more in ("", text if text[0] == ":" else f" {text}")
    )
    assert (plain != bent).any(axis=(1, 2, 3)).all()
    assert plain.shape == bent.shape


@pytest.mark.parametrize("text", ["--chaos 60", "--tile", BENT.partition(" --")[2]])
def test_a_picture_depends_on_its_own_number_alone(painter: Painter, text: str) -> None:
    prompt = "a red fox " + (text if text.startswith("--") else f"--{text}")
    four, third = paint(painter, prompt, num_images=4), paint(painter, prompt, num_images=1, first=2)
    np.testing.assert_array_equal(bits(four)[2:3], bits(third))


def test_stopping_shows_the_picture_as_it_is_seen_from_there(painter: Painter) -> None:
    size = (8 * painter.model.factor,) * 2
    way = painter.making("a fox", num_images=1, seed=7, num_steps=6, size=size)
    seen: list[Any] = []
    wish: Any = next(way)
    while len(seen) < 3:
        if isinstance(wish, Progress):
            assert wish.preview
            seen.append(answer(painter.backend, wish.preview))
        calls = wish.calls if isinstance(wish, Calls) else (wish,) if isinstance(wish, Call) else ()
        replies = [answer(painter.backend, call) for call in calls]
        wish = way.send(replies if isinstance(wish, Calls) else replies[0] if replies else None)
    stopped = painter.paint("a fox", num_images=1, seed=7, num_steps=6, size=size, stop=50)
    np.testing.assert_array_equal(np.asarray(images.to_pil(seen[-1])[0]), np.asarray(stopped[0].image))


def test_more_chaos_takes_pictures_further_from_the_plain_ones(painter: Painter) -> None:
    plain = bits(paint(painter, "a red fox"))
    apart = [np.abs(bits(paint(painter, f"a red fox --chaos {c}")) - plain).mean() for c in (1, 30, 100)]
    assert 0 < apart[0] < apart[1] < apart[2]


def test_weights_move_from_one_part_to_the_other(painter: Painter) -> None:
    fox, ball = (bits(paint(painter, text)) for text in ("a red fox", "a blue ball"))
    apart = []
    for weight in (100, 2, 0.01):
        mixed = bits(paint(painter, f"a red fox::{weight} a blue ball"))
        apart.append((np.abs(mixed - fox).mean(), np.abs(mixed - ball).mean()))
    assert apart[0][0] < apart[1][0] < apart[2][0]
    assert apart[0][1] > apart[1][1] > apart[2][1]


@pytest.mark.parametrize(
    ("text", "calls"),
    [  # three steps at t = 1, 2/3, 1/3; guidance is on from .2 to .9
        ("a fox", [1, 2, 2]),
        ("a fox:: a ball", [2, 3, 3]),
        ("a fox --no ball", [1, 3, 3]),
        ("a fox --weird 5", [1, 3, 3]),
        ("a fox --chaos 5", [1, 2, 2]),
        ("a fox --stop 60", [1, 2]),
        ("a fox --quality 2", [1, 2, 2, 2, 2, 1]),
        ("a fox --quality .25", [1]),
    ],
)
def test_a_parameter_costs_the_calls_that_it_must(painter: Painter, text: str, calls: list[int]) -> None:
    assert calls_of(painter, text) == calls


def test_ar_is_painted_in_the_nearest_learnt_shape_and_says_what_it_stretches(painter: Painter) -> None:
    (wide,) = paint(painter, "a fox --ar 5:3", num_images=1)  # which it learnt: 10 x 6 latent pixels
    assert wide.image.size == (330, 198)
    assert (wide.settings["painted_size"], wide.notices) == ([40, 24], ())
    (tall,) = paint(painter, "a fox --ar 1:2", num_images=1)
    assert tall.settings["painted_size"] == [24, 40]
    assert tall.notices == (
        "Painted at 24x40, the nearest shape that the model learnt, and stretched to 181x362.",
    )


def test_a_draft_is_small_with_few_steps_and_of_the_same_noise(painter: Painter) -> None:
    (draft,) = paint(painter, "a fox --draft", num_images=1, solver="euler")
    assert draft.image.size == (128, 128)
    assert draft.settings["num_steps"] == 3


def test_words_cut_or_unknown_are_told_part_by_part(painter: Painter) -> None:
    notices = painter.notices(one("a red fox:: a zebra --no xylophone"))
    assert [notice.split("'")[1] for notice in notices] == ["zebra", "xylophone"]


def test_a_picture_says_what_was_typed_and_paints_itself_again(painter: Painter, tmp_path: Path) -> None:
    text = "{a fox, " + BENT.replace(",", "\\,") + "}"
    (_, prompt) = parse(text)
    picture = paint(painter, prompt, num_images=3)[2]
    path = picture.save(tmp_path / "one.png")
    again = repaint(path)
    assert again.save(tmp_path / "two.png").read_bytes() == path.read_bytes()
    said = read_metadata(path)
    assert said["prompt"] == "a red fox, a ball"
    assert said["settings"]["typed"] == text
    resolved = one(said["settings"]["resolved"])
    assert resolved == prompt
    lines = a1111_parameters(said).splitlines()
    assert lines[:2] == ["a red fox, a ball", "Negative prompt: apple"]
    assert "Chaos: 60, Weird: 900, Stop: 70, Tiling: True, Seed: 7, Image: 3" in lines[2]
    assert "Prompt-MJ: " in lines[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [("chaos", 200), ("weird", -3), ("stop", 0), ("parts", [["a", 7.0]]), ("parts", [["", 1.0]])],
)
def test_metadata_that_anybody_wrote_are_checked_again(
    painter: Painter, tmp_path: Path, name: str, value: Any
) -> None:
    (picture,) = paint(painter, "a fox", num_images=1)
    picture.settings[name] = value
    with pytest.raises((ConfigError, MetadataError, PromptError)):
        repaint(picture.save(tmp_path / "one.png"))


def test_settings_may_be_chosen_without_the_language(painter: Painter) -> None:
    by_words = paint(painter, BENT)
    settings = {"parts": one(BENT).shares(), "chaos": 60, "weird": 900, "tile": True, "stop": 70}
    by_names = painter.paint("x", num_images=2, seed=7, num_steps=6, size=(315, 210), **settings)  # type: ignore[arg-type]
    np.testing.assert_array_equal(bits(by_words), bits(by_names))
    with pytest.raises(ConfigError, match="chaos must be a whole number from 0 to 100; got 500"):
        painter.paint("a fox", chaos=500)
    with pytest.raises(ConfigError, match="--seed in the prompt and seed beside it"):
        painter.paint(one("a fox --seed 3"), seed=4)


def test_stylize_needs_the_model_loaded_at_its_strength(tiny_home: Path, tmp_path: Path) -> None:
    learnt = make_learnt(read_model(tiny_home / "models" / "tiny"), tmp_path / "learnt")
    half = pictura.load(learnt.path, device="cpu", strength=50, num_threads=1)
    (picture,) = paint(half, "a fox --stylize 50", num_images=1)
    np.testing.assert_array_equal(bits([picture]), bits(half.paint("a fox", num_images=1, seed=7)))
    assert picture.settings["strength"] == 50
    with pytest.raises(ConfigError, match=r"ask for strength 110, but the model was loaded at 50"):
        paint(half, "a fox --stylize 190")


def test_torch_paints_what_onnx_runtime_paints(painter: Painter) -> None:
    torch_painter = Painter(painter.model, TorchBackend(painter.model, device="cpu"))
    np.testing.assert_allclose(bits(paint(torch_painter, BENT)), bits(paint(painter, BENT)), atol=2)


def test_a_tile_meets_itself_at_its_edges() -> None:
    painter = pictura.load("flow", device="cpu", num_threads=1)

    def seam(text: str) -> float:
        """How pixels differ across the edges, against how they do where two latent pixels meet inside."""
        pictures = painter.paint(one(text), num_images=2, seed=1)
        assert pictures[0].settings["painted_size"] == [64, 64]
        x = bits(pictures)[..., :3].astype(float)
        across = np.abs(x[:, 0] - x[:, -1]).mean() + np.abs(x[:, :, 0] - x[:, :, -1]).mean()
        down, right = np.abs(np.diff(x, axis=1)), np.abs(np.diff(x, axis=2))
        return float(across / (down[:, 31::32].mean() + right[:, :, 31::32].mean()))

    text = "a pattern of green leaves"
    assert seam(f"{text} --tile") < 1.2
    assert seam(text) > 3
