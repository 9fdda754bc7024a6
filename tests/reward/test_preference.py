"""A preference learnt from files of pairs: found again, cautious, and kept to what people saw."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from pictura.core import images as core_images
from pictura.core.errors import ConfigError, DataError, ModelError
from pictura.core.types import Prompt
from pictura.reward.features import NAMES, hand_features
from pictura.reward.ratings import Learnt, Pair, learn_preference, load_picture, read_pairs, taste_from
from pictura.reward.registry import make_reward
from tests.reward.kit import paintings

PROMPTS = [f"a {word}" for word in ("cat", "dog", "fox", "lion", "panda", "elephant", "rabbit", "frog")]
A_FOX = Prompt(text="a fox")


def write_pairs(folder: Path, better: Callable[[Tensor], Tensor], worse: Callable[[Tensor], Tensor]) -> Path:
    """Pairs of pictures of one sentence, three of each of eight sentences; every other one blurs both."""
    lines = []
    for row, (text, picture) in enumerate(zip(PROMPTS, paintings()[:8], strict=True)):
        for part in range(3):
            names = {"better": f"{row}-{part}-b.png", "worse": f"{row}-{part}-w.png"}
            shown = picture.roll(4 * part, dims=2)
            for name, change in ((names["better"], better), (names["worse"], worse)):
                core_images.to_pil(change(shown)[None].numpy())[0].save(folder / name)
            lines.append(json.dumps({"prompt": text, **names}))
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def dimmed(picture: Tensor) -> Tensor:
    return picture * 0.75


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A taste for bright pictures."""
    place = tmp_path_factory.mktemp("taste")
    pairs = read_pairs(write_pairs(place, lambda picture: picture, dimmed))
    learnt = learn_preference(pairs, place / "bright", name="bright", dims=8)
    assert learnt.metrics["accuracy"] > 0.9
    assert (learnt.metrics["pairs"], learnt.metrics["prompts"]) == (24, 8)
    return place / "bright"


def test_a_taste_is_found_again_in_pictures_that_nobody_rated(folder: Path) -> None:
    reward = make_reward({"name": "preference", "model": str(folder)})
    pictures = paintings()[20:28]
    bright, dim = (reward(shown, [A_FOX] * 8) for shown in (pictures, pictures * 0.75))
    assert (bright.total >= dim.total).all()  # both may lie below all that people saw
    assert (bright.total > dim.total).sum() >= 6
    assert bright.std is not None
    assert (bright.std > 0).all()
    assert (bright.parts["mean"] >= bright.total).all()
    assert reward.differentiable


def test_the_bound_never_leaves_the_range_of_what_people_saw(folder: Path) -> None:
    low, high = make_reward({"name": "preference", "model": str(folder)}).value_range
    assert low < 0 < high
    noise = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    strange = torch.cat([torch.ones(1, 3, 64, 64), torch.zeros(1, 3, 64, 64), noise, 40 * paintings()[:4]])
    for doubt in (0.0, 1.0, 100.0):
        reward = make_reward({"name": "preference", "model": str(folder), "doubt": doubt})
        scores = reward(strange, [A_FOX] * len(strange))
        assert ((scores.total >= low - 1e-4) & (scores.total <= high + 1e-4)).all()
        assert scores.parts["mean"].max() > high  # without the cut there would be something to gain
    assert scores.total.tolist() == pytest.approx([low] * len(strange))


def test_the_more_doubt_the_lower(folder: Path) -> None:
    pictures = paintings()[:8]
    totals = [
        make_reward({"name": "preference", "model": str(folder), "doubt": doubt})(pictures, [A_FOX] * 8).total
        for doubt in (0.0, 0.5, 1.0)
    ]
    assert (totals[0] >= totals[1]).all()
    assert (totals[1] >= totals[2]).all()


def test_the_gradient_brightens(folder: Path) -> None:
    reward = make_reward({"name": "preference", "model": str(folder), "doubt": 0.0})
    image = (paintings()[:1] * 0.9).requires_grad_()
    (slope,) = torch.autograd.grad(reward(image, [A_FOX]).total.sum(), image)
    assert slope.isfinite().all()
    assert float(slope.sum()) > 0


def test_a_taste_that_nobody_shares_is_not_learnt_from(tmp_path: Path) -> None:
    path = write_pairs(tmp_path, lambda picture: picture, dimmed)
    pairs = read_pairs(path)
    coins = (torch.rand(len(pairs), generator=torch.Generator().manual_seed(4)) < 0.5).tolist()
    tossed = [Pair(p.prompt, p.worse, p.better) if c else p for p, c in zip(pairs, coins, strict=True)]
    learn_preference(tossed, tmp_path / "coins", name="coins", dims=4)
    with pytest.raises(
        ConfigError, match=r"'coins' tells \d+% of left-out pairs right, and min_accuracy asks for 90%"
    ):
        make_reward({"name": "preference", "model": str(tmp_path / "coins"), "min_accuracy": 0.9})


def test_another_clip_and_another_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no preference"):
        make_reward({"name": "preference", "model": "judge-a"})
    manifest = json.loads((folder / "model.json").read_text())
    manifest["preference"]["clip_hash"] = "0" * 64
    (tmp_path / "model.json").write_text(json.dumps(manifest))
    (tmp_path / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"'bright' was learnt on another 'clip-plain'. Learn it again"):
        make_reward({"name": "preference", "model": str(tmp_path)})
    with pytest.raises(ConfigError, match="doubt must be at least 0; got -1"):
        make_reward({"name": "preference", "model": "x", "doubt": -1})


def planted(num_pairs: int, *, noise: bool) -> tuple[Learnt, Tensor, Tensor]:
    """A taste learnt from raw features that hang on planted weights; fresh features and their true scores."""
    generator = torch.Generator().manual_seed(0)
    num_raw = 2 * 8 + len(NAMES)
    weights = torch.zeros(num_raw, dtype=torch.float64)
    weights[-len(NAMES) :] = torch.randn(len(NAMES), generator=generator, dtype=torch.float64)
    raw = torch.randn(2, num_pairs, num_raw, generator=generator, dtype=torch.float64)
    odds = ((raw[0] - raw[1]) @ weights).sigmoid()
    wins = torch.rand(num_pairs, generator=generator) < odds if noise else odds > 0.5
    better = torch.where(wins[:, None], raw[0], raw[1])
    worse = torch.where(wins[:, None], raw[1], raw[0])
    pairs = [Pair(f"prompt {i % 50}", Path(), Path()) for i in range(num_pairs)]
    fresh = torch.randn(2000, num_raw, generator=generator, dtype=torch.float64)
    return taste_from(better, worse, pairs, dims=16), fresh, fresh @ weights


def test_planted_weights_are_found_from_300_pairs_among_25_features() -> None:
    learnt, fresh, truth = planted(300, noise=True)
    mean, _ = learnt.taste.score(fresh)
    ranks = torch.stack([mean.argsort().argsort(), truth.argsort().argsort()]).double()
    assert torch.corrcoef(ranks)[0, 1] > 0.9
    assert (
        learnt.metrics["calibration_error"] < 0.1
    )  # of 300 left-out pairs; exact odds are in test_bradley_terry
    assert 0.7 < learnt.metrics["accuracy"] < 0.95


def test_pairs_that_are_none_are_refused_with_their_line(tmp_path: Path) -> None:
    core_images.to_pil(paintings()[:1].numpy())[0].save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"no picture")
    path = tmp_path / "pairs.jsonl"
    good = '{"prompt": "a", "better": "1.png", "worse": "1.png", "tie": true}\n'
    path.write_text(good)
    assert read_pairs(path) == [Pair("a", tmp_path / "1.png", tmp_path / "1.png", tie=True)]
    for line, words in (
        ("{", "line 2 is no JSON"),
        ('{"prompt": "a", "better": "1.png"}', "line 2 must hold the texts prompt, better and worse"),
        ('{"prompt": "a", "better": "1.png", "worse": 3}', "line 2 must hold the texts"),
        ('{"prompt": "a", "better": "1.png", "worse": "1.png", "ti": true}', "line 2 must hold the texts"),
        ('{"prompt": "a", "better": "1.png", "worse": "3.png"}', "line 2: there is no picture '3.png'"),
    ):
        path.write_text(good + line + "\n")
        with pytest.raises(DataError) as error:
            read_pairs(path)
        assert words in str(error.value)
    path.write_text("\n")
    with pytest.raises(DataError, match="are empty"):
        read_pairs(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_pairs(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"2\.png cannot be read"):
        load_picture(tmp_path / "2.png")
    with pytest.raises(DataError, match="pairs of at least 5 prompts; got 1"):
        learn_preference([Pair("a", tmp_path / "1.png", tmp_path / "1.png")], tmp_path / "x", name="x")


def test_pictures_are_seen_on_light_grey_at_64_pixels(tmp_path: Path) -> None:
    Image.new("RGBA", (128, 128), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    seen = load_picture(tmp_path / "clear.png")
    assert seen.shape == (3, 64, 64)
    assert seen.numpy() == pytest.approx(0.8, abs=0.01)


def test_hand_features_measure_what_they_say() -> None:
    def of(picture: Tensor) -> dict[str, float]:
        return dict(zip(NAMES, hand_features(picture[None])[0].tolist(), strict=True))

    plain = of(torch.full((3, 64, 64), 0.8))
    assert plain["brightness"] == pytest.approx(0.8)
    assert max(abs(v) for k, v in plain.items() if k != "brightness") < 0.03
    red = torch.full((3, 64, 64), 0.8)
    red[1:, :32] = 0.0
    assert of(red)["saturation"] == pytest.approx(0.4, abs=1e-6)
    assert of(red)["coverage"] == pytest.approx(0.5, abs=0.02)
    assert of(red)["colourfulness"] > 0.3
    generator = torch.Generator().manual_seed(1)
    sharp = torch.rand(3, 32, 32, generator=generator).repeat_interleave(2, 1).repeat_interleave(2, 2)
    blurred = torch.nn.functional.avg_pool2d(sharp[None], 5, stride=1, padding=2, count_include_pad=False)[0]
    for name in ("sharpness", "edges", "texture"):
        assert of(sharp)[name] > 1.1 * of(blurred)[name]
    cells = (
        torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
        .repeat_interleave(8, 1)
        .repeat_interleave(8, 2)
    )
    assert of(cells)["seams"] > 3
    assert of(cells.roll((3, 3), dims=(1, 2)))["seams"] < 0


def test_hand_features_have_a_gradient_even_of_a_plain_picture() -> None:
    images = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    hand_features(images).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
