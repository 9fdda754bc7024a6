"""Files to pictures, pictures to features: what is read, made worse, hashed and refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from pictura.core.errors import ConfigError, DataError
from pictura.encode.autoencoder import Autoencoder, AutoencoderConfig
from pictura.evaluate.feature_nets import (
    PooledLatents,
    RandomConvs,
    TorchNet,
    features_of,
    load_net,
    local_name,
    random_net,
    weights_hash,
)
from pictura.evaluate.pictures import (
    Pictures,
    blur,
    check_pictures,
    load_pictures,
    load_references,
    low_resolution,
)


def noise(n: int, side: int = 64, seed: int = 0) -> Pictures:
    return np.random.default_rng(seed).random((n, 3, side, side), dtype=np.float32)


def write(path: Path, size: tuple[int, int], colour: tuple[int, ...] = (255, 0, 0)) -> Path:
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(path)
    return path


def test_pictures_of_one_size_are_scaled_and_laid_on_light_grey(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "red.png", (128, 128)),
        write(tmp_path / "clear.png", (128, 128), (0, 0, 255, 0)),
        write(tmp_path / "half.png", (128, 128), (0, 255, 0, 128)),
    ]
    loaded = load_pictures(paths)
    assert loaded.shape == (3, 3, 64, 64)
    assert loaded.dtype == np.float32
    half = 0.8 * (1 - 128 / 255)
    for image, colour in zip(loaded, [(1, 0, 0), (0.8,) * 3, (half, half + 128 / 255, half)], strict=True):
        assert image.mean(axis=(1, 2)) == pytest.approx(colour, abs=1e-4)


def test_a_picture_of_the_right_size_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(load_pictures([tmp_path / "a.png"])[0], pixels.transpose(2, 0, 1) / np.float32(255))


def test_mixed_missing_and_oblong_pictures_are_refused(tmp_path: Path) -> None:
    small, large = write(tmp_path / "s.png", (64, 64)), write(tmp_path / "l.png", (96, 96))
    with pytest.raises(
        DataError, match=r"l\.png has 96x96 pixels, .*s\.png has 64x64\. Score pictures of one"
    ):
        load_pictures([small, large])
    with pytest.raises(DataError, match=r"o\.png has 64x32 pixels, but scorers read squares"):
        load_pictures([write(tmp_path / "o.png", (64, 32))])
    with pytest.raises(DataError, match=r"There is no picture to score\. Give a folder that holds some\."):
        load_pictures([])
    with pytest.raises(DataError, match=r"gone\.png: the image cannot be read"):
        load_pictures([tmp_path / "gone.png"])
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.png: expected a PNG"):
        load_pictures([tmp_path / "text.png"])


def test_references_may_have_any_shape(tmp_path: Path) -> None:
    wide = write(tmp_path / "wide.png", (80, 40), (255, 0, 0, 254))  # padded, as in training
    loaded = load_references([wide, write(tmp_path / "small.png", (32, 32))])
    assert loaded.shape == (2, 3, 64, 64)
    assert loaded[0, :, 0, 0] == pytest.approx([0.8] * 3, abs=0.01)
    assert loaded[0, :, 32, 32] == pytest.approx([1, 0, 0], abs=0.01)


def test_blur_spreads_a_dot_to_its_deviation_and_loses_no_light() -> None:
    dot = np.zeros((1, 3, 41, 61), dtype=np.float32)
    dot[:, :, 20, 30] = 1
    soft = blur(dot, 2.0)
    assert soft.sum() == pytest.approx(3, rel=1e-4)
    rows, columns = soft[0, 0].sum(axis=1), soft[0, 0].sum(axis=0)
    assert np.sqrt(rows @ (np.arange(41) - 20) ** 2) == pytest.approx(2.0, rel=0.02)
    assert np.sqrt(columns @ (np.arange(61) - 30) ** 2) == pytest.approx(2.0, rel=0.02)


def test_blur_and_low_resolution_leave_a_plain_picture_alone_and_keep_shape_and_range() -> None:
    plain, grain = np.full((2, 3, 64, 32), 0.7, dtype=np.float32), noise(2)
    ways: list[Callable[[Pictures], Pictures]] = [lambda x: blur(x, 3), lambda x: low_resolution(x, 4)]
    for worse in ways:
        assert worse(plain) == pytest.approx(plain, abs=1e-5)
        out = worse(grain)
        assert out.dtype == np.float32
        check_pictures(out, "worse")
        assert out.std() < 0.5 * grain.std()
    assert np.array_equal(blur(grain, 0), grain)
    assert low_resolution(grain, 1) == pytest.approx(grain)


def test_impossible_ways_of_making_pictures_worse_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"radius must be a number of pixels from 0; got -1"):
        blur(noise(1), -1)
    with pytest.raises(ConfigError, match=r"factor must divide both sides, 64 and 64; got 3\."):
        low_resolution(noise(1), 3)


def test_what_is_no_batch_of_pictures_is_refused() -> None:
    with pytest.raises(DataError, match=r"must be float of shape \(N, 3, H, W\); got uint8 of shape"):
        check_pictures((noise(1) * 255).astype(np.uint8), "generated")
    with pytest.raises(DataError, match=r"got float32 of shape \(3, 64, 64\)"):
        check_pictures(noise(1)[0], "generated")
    with pytest.raises(DataError, match=r"There are no generated pictures\."):
        check_pictures(noise(0), "generated")
    bad = noise(3)
    bad[1, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match=r"must lie in \[0, 1\]; picture 1 holds NaN or other values"):
        check_pictures(bad, "generated")


def test_the_random_net_is_the_same_everywhere_and_always() -> None:
    net = random_net()
    assert net.hash == "80379e1a7870"  # another value breaks every comparison with old numbers
    assert net.hash == random_net().hash
    assert net.dim == 256
    assert local_name("FD", net) == "FD-local[80379e1a7870]"


def test_features_do_not_depend_on_the_batch_and_tell_pictures_apart() -> None:
    net, images = random_net(), noise(5)
    whole = features_of(net, images)
    assert whole.shape == (5, 256)
    assert features_of(net, images, batch=2) == pytest.approx(whole, abs=1e-5)
    assert whole.std(axis=0).min() > 0
    assert np.abs(features_of(net, blur(images, 2)) - whole).mean() > 0.01


def tiny_autoencoder(change: str = "") -> Autoencoder:
    """Random weights of a fixed seed, one of them changed."""
    torch.manual_seed(0)
    net = Autoencoder(AutoencoderConfig(latent_channels=4, encoder_widths=(8, 8), decoder_widths=(8, 8)))
    for name, weight in net.named_parameters():
        nn.init.normal_(weight, std=0.1)
        weight.data.view(-1)[0] += name == change
    return net


def test_pooled_latents_are_means_over_two_by_two_places_of_the_opaque_picture() -> None:
    images = noise(3, side=16)
    rgba = torch.cat([torch.from_numpy(images), torch.ones(3, 1, 16, 16)], dim=1)
    latent = tiny_autoencoder().encode(rgba)
    net = TorchNet(PooledLatents(tiny_autoencoder()), name="tiny", dim=16)
    expected = latent.reshape(3, 4, 2, 2, 2, 2).mean(dim=(3, 5)).flatten(1).detach().numpy()
    assert features_of(net, images) == pytest.approx(expected, abs=1e-5)


def test_the_hash_is_of_the_weights_that_matter() -> None:
    plain = weights_hash(PooledLatents(tiny_autoencoder()))
    assert len(plain) == 12
    assert weights_hash(PooledLatents(tiny_autoencoder("decoder.0.weight"))) == plain
    assert weights_hash(PooledLatents(tiny_autoencoder("encoder.0.weight"))) != plain


def test_the_autoencoder_net_of_the_embedded_default_gives_512_features() -> None:
    net = load_net("autoencoder")
    assert net.name == "autoencoder"
    assert features_of(net, noise(2)).shape == (2, 512)


class Broken:
    """A net that fails from picture 3 on."""

    name, hash, dim = "broken", "0123456789ab", 2

    def __init__(self, value: float = np.nan, width: int = 2) -> None:
        self.value, self.width, self.seen = value, width, 0

    def __call__(self, images: Pictures) -> NDArray[np.float32]:
        rows = np.zeros((len(images), self.width), dtype=np.float32)
        for row in rows:
            row[-1] = self.value if self.seen >= 3 else 0
            self.seen += 1
        return rows


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused_with_net_and_picture(value: float) -> None:
    with pytest.raises(
        DataError, match=r"Feature net broken\[0123456789ab\] gives NaN or infinity for picture 3 of 5\."
    ):
        features_of(Broken(value), noise(5, side=8), batch=2)


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"broken\[0123456789ab\] should give width 2; it gave shape \(2, 3\)"
    ):
        features_of(Broken(width=3), noise(2, side=8))


def test_an_unknown_net_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"No feature network is named 'randon'\. Did you mean 'random'\?"):
        load_net("randon")
    assert isinstance(load_net("random"), TorchNet)


def test_random_filters_keep_the_scale_of_what_passes_and_do_not_see_flat_areas() -> None:
    for weight in RandomConvs().parameters():
        assert weight.var().item() == pytest.approx(15 / 16 * 2 / weight[0].numel(), rel=0.1)
        assert weight.sum(dim=(2, 3)).abs().max() < 1e-5


def test_the_random_net_minds_a_blur_more_than_darkness() -> None:
    net, grain = random_net(), blur(noise(20), 1)
    plain, soft, darker = (features_of(net, x) for x in (grain, blur(grain, 1), grain * np.float32(0.9)))
    assert np.abs(soft - plain).mean() > 2 * np.abs(darker - plain).mean()
