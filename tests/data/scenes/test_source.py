import itertools
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pictura.core.english import article
from pictura.core.errors import ConfigError, DataError
from pictura.data.glyphs import GlyphSet
from pictura.data.scenes.arrange import Place
from pictura.data.scenes.compose import Composer, Part, Plan
from pictura.data.scenes.source import Scene, SceneMix, SceneSource
from pictura.data.vocabulary.captions import noun, plural
from pictura.data.vocabulary.colours import BACKGROUNDS, COLOURS, middle_luminance
from pictura.data.vocabulary.holdouts import Holdouts
from pictura.data.vocabulary.reading import Reader
from pictura.data.vocabulary.world import Thing, World
from tests.data.scene_kit import open_holdouts, real_words, tiny_pack, tiny_world

NONE = dict.fromkeys(SceneMix.__slots__, 0.0)
KINDS = tuple(NONE)


def only(kind: str) -> SceneMix:
    return SceneMix(**{**NONE, kind: 1.0})


def source(
    mix: SceneMix | None = None, *, size: tuple[int, int] = (24, 24), seed: int = 1, xp: ModuleType = np
) -> SceneSource:
    return SceneSource(
        tiny_pack(), world=tiny_world(), holdouts=open_holdouts(), size=size, seed=seed, mix=mix, xp=xp
    )


def painted(made: SceneSource, count: int) -> list[tuple[Scene, NDArray[np.float32]]]:
    scenes = made.scenes(0, count)
    return list(zip(scenes, np.asarray(made.paint(scenes)), strict=True))


def test_a_batch_depends_on_seed_and_position_alone() -> None:
    made = source(SceneMix())
    made.batch(0, 5)
    again = source(SceneMix())
    first, second = made.batch(3, 8), again.batch(3, 8)
    assert first.captions == second.captions
    np.testing.assert_array_equal(first.images, second.images)
    assert again.batch(3, 4).captions == first.captions[:4]
    assert made.batch(4, 8).captions != first.captions
    assert source(SceneMix(), seed=2).batch(3, 8).captions != first.captions


@pytest.mark.parametrize("size", [(24, 24), (16, 40), (48, 20)])
def test_pictures_have_the_asked_shape_and_are_premultiplied(size: tuple[int, int]) -> None:
    images = np.asarray(source(SceneMix(), size=size).batch(0, 40).images)
    assert images.shape == (40, 4, *size)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images[:, :3] <= images[:, 3:] + 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(32, 32), (24, 56), (56, 24)])
def test_boxes_are_where_things_are_painted(kind: str, size: tuple[int, int]) -> None:
    for scene, image in painted(source(only(kind), size=size), 30):
        if scene.background is not None:
            continue
        expected = np.zeros(size, dtype=bool)
        for x0, y0, x1, y1 in (o.box for o in scene.objects):
            rows, columns = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
            inside_y = (rows > y0 * size[0]) & (rows < y1 * size[0])
            inside_x = (columns > x0 * size[1]) & (columns < x1 * size[1])
            expected |= inside_y[:, None] & inside_x[None, :]
        assert (expected != (image[3] > 0.5)).mean() < 0.03, scene


@pytest.mark.parametrize("kind", ["two", "position", "binding", "count"])
def test_several_things_lie_inside_the_canvas_apart_and_large(kind: str) -> None:
    for scene in source(only(kind), size=(32, 32)).scenes(0, 200):
        boxes = [o.box for o in scene.objects]
        assert all(min(b) > -0.06 and max(b) < 1.06 for b in boxes)
        for a, b in itertools.combinations(boxes, 2):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert all(max(b[2] - b[0], b[3] - b[1]) > 0.3 for b in boxes)


def test_the_relation_is_how_they_stand() -> None:
    for scene in source(only("position"), size=(32, 32)).scenes(0, 100):
        a, b = (o.box for o in scene.objects)
        apart = {
            "left of": a[2] <= b[0],
            "right of": b[2] <= a[0],
            "above": a[3] <= b[1],
            "below": b[3] <= a[1],
        }
        assert apart[scene.relation or ""], scene


def test_things_are_painted_in_the_colour_and_at_the_place_that_is_said() -> None:
    for scene, image in painted(source(only("binding"), size=(32, 32)), 60):
        for thing in scene.objects:
            x0, y0, x1, y1 = (n * 32 for n in thing.box)
            seen = image[:3, int((y0 + y1) / 2), int((x0 + x1) / 2)]
            if thing.tinted:
                np.testing.assert_allclose(seen, COLOURS[thing.colour or ""], atol=0.02)


def test_a_colour_of_the_pack_is_said_without_recolouring() -> None:
    own = [o for s in source(only("colour")).scenes(0, 300) for o in s.objects if not o.tinted]
    assert own
    assert {(o.thing, o.colour) for o in own} == {("apple", "red")}


@pytest.mark.parametrize("kind", ["background", "colour_background"])
def test_the_background_is_plain_and_stands_apart(kind: str) -> None:
    for scene, image in painted(source(only(kind), size=(20, 40)), 30):
        assert scene.background is not None
        assert f"{scene.background} background" in scene.caption
        np.testing.assert_allclose(image[:, 10, 0], (*BACKGROUNDS[scene.background], 1), atol=1e-6)
        assert (image[3] > 0.999).all()
        assert scene.objects[0].colour != scene.background


def test_grey_things_never_stand_on_grey() -> None:
    scenes = source(only("background")).scenes(0, 400)
    assert len({s.background for s in scenes}) > 15
    assert "grey" not in {s.background for s in scenes}


def test_the_background_is_transparent_when_the_caption_names_none() -> None:
    for scene, image in painted(source(SceneMix()), 100):
        named = any(f"{word} background" in scene.caption for word in BACKGROUNDS)
        assert named == (scene.background is not None) == bool(image[3].min() == 1)


def test_half_of_the_default_mix_is_one_thing_as_it_is() -> None:
    kinds = Counter(s.kind for s in source(SceneMix()).scenes(0, 2000))
    assert kinds["single"] / 2000 == pytest.approx(0.5, abs=0.04)
    assert set(kinds) == set(KINDS)


def test_counts_go_from_one_to_four() -> None:
    scenes = source(only("count")).scenes(0, 100)
    assert {s.count for s in scenes} == {1, 2, 3, 4}
    assert all(len(s.objects) == s.count and s.objects[0].thing != "scissors" for s in scenes)


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "strict"])
def test_every_array_library_paints_the_same(xp: ModuleType) -> None:
    expected, other = source(SceneMix()).batch(0, 40), source(SceneMix(), xp=xp).batch(0, 40)
    assert other.captions == expected.captions
    np.testing.assert_allclose(np.asarray(other.images), expected.images, atol=1e-5)


@pytest.mark.gpu
def test_a_gpu_paints_the_same() -> None:
    settings: dict[str, Any] = {
        "world": tiny_world(),
        "holdouts": open_holdouts(),
        "size": (24, 24),
        "seed": 1,
    }
    on_gpu = SceneSource(tiny_pack(), xp=torch, device="cuda", **settings).batch(0, 40)
    assert on_gpu.images.device.type == "cuda"
    np.testing.assert_allclose(on_gpu.images.cpu().numpy(), source().batch(0, 40).images, atol=1e-4)


def paint(glyph: NDArray[np.uint8], place: Place, size: tuple[int, int]) -> NDArray[np.float32]:
    composer = Composer(glyph[None], middle_luminance(glyph[None]), size=size, xp=array_namespace())
    return np.asarray(composer([Plan((Part(0, place),))]))[0]


def array_namespace() -> ModuleType:
    import array_api_compat.numpy

    return array_api_compat.numpy


def noise(size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (4, size, size), dtype=np.uint8)


def test_a_glyph_at_its_own_size_and_place_is_copied() -> None:
    glyph = noise(8)
    np.testing.assert_allclose(paint(glyph, Place(0, 0, 8, False), (8, 8)), glyph / 255, atol=1e-6)
    shifted = paint(glyph, Place(2, 1, 8, False), (8, 8))
    np.testing.assert_allclose(shifted[:, 1:, 2:], glyph[:, :7, :6] / 255, atol=1e-6)
    assert shifted[:, :1].max() == shifted[:, :, :2].max() == 0


def test_a_flipped_glyph_is_its_mirror_image() -> None:
    place = Place(1.3, 0.4, 6.1, False)
    plain, mirrored = paint(noise(8), place, (8, 8)), paint(noise(8)[:, :, ::-1], place, (8, 8))
    flipped = paint(noise(8), Place(1.3, 0.4, 6.1, True), (8, 8))
    np.testing.assert_allclose(flipped, mirrored, atol=1e-5)
    assert np.abs(flipped - plain).max() > 0.1


def test_making_smaller_averages_and_aliases_nothing() -> None:
    board = np.indices((16, 16)).sum(0) % 2 * 254
    glyph = np.broadcast_to(board, (4, 16, 16)).astype(np.uint8)
    middle = paint(glyph, Place(0, 0, 4, False), (4, 4))[:, 1:3, 1:3]
    np.testing.assert_allclose(middle, 127 / 255, atol=0.01)


@pytest.mark.parametrize("side", [5.0, 13.7, 40.0])
def test_the_amount_of_paint_goes_with_the_area(side: float) -> None:
    glyph = tiny_pack(16).images[0]
    total = paint(glyph, Place(3.2, 4.1, side, False), (48, 48))[3].sum()
    assert total == pytest.approx(glyph[3].sum() / 255 * (side / 16) ** 2, rel=0.03)


def test_a_nearer_object_covers_a_farther_one() -> None:
    pack = tiny_pack(8)
    composer = Composer(pack.images, middle_luminance(pack.images), size=(8, 8), xp=array_namespace())
    place = Place(0, 0, 8, False)
    both = np.asarray(
        composer([Plan((Part(0, place, COLOURS["red"]), Part(3, place, COLOURS["blue"])), None)])
    )
    np.testing.assert_allclose(both[0, :3, 4, 4], COLOURS["blue"], atol=1e-5)
    np.testing.assert_allclose(both[0, :3, 4, 1], COLOURS["red"], atol=1e-5)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("fox", "a"), ("apple", "an"), ("unicorn", "a"), ("ufo", "a"), ("umbrella", "an"), ("hourglass", "an"),
     ("house", "a"), ("eight ball", "an"), ("orange cat", "an"),
     ("noto emoji", "a"), ("fxemoji emoji", "an"), ("emojione emoji", "an")],
)  # fmt: skip
def test_an_stands_before_a_vowel_that_is_heard(words: str, expected: str) -> None:
    assert article(words) == expected


def test_nouns_have_their_article_and_number() -> None:
    world = World.load()
    assert noun(world.thing("scissors")) == "scissors"
    assert noun(world.thing("scissors"), word="pair of scissors") == "a pair of scissors"
    assert noun(world.thing("fox"), colour="orange") == "an orange fox"
    assert plural(world.thing("mouse"), 3) == "three mice"
    assert plural(world.thing("mouse"), 1, digits=True) == "1 mouse"
    assert plural(world.thing("cup of coffee"), 2, colour="red") == "two red cups of coffee"


@pytest.fixture(scope="module")
def real(shared_data: Path) -> SceneSource:
    return SceneSource(
        real_words(shared_data), world=World.load(), holdouts=Holdouts.load(), size=(8, 8), seed=5, other=0.1
    )


def test_no_training_caption_falls_in_a_hold_out(real: SceneSource) -> None:
    reader = Reader(real.world)
    for scene in itertools.chain.from_iterable(real.scenes(p, 64) for p in range(100)):
        assert real.holdouts.matches(reader.read(scene.caption)) == [], scene.caption
        assert all(real.holdouts.split(real.glyphs.ids[o.glyph]) == "train" for o in scene.objects)


def test_glyphs_of_a_held_out_style_are_in_no_training_set(real: SceneSource) -> None:
    owners = real.world.owners(real.glyphs)
    shown = {(o.phrase, s) for o, s in zip(owners, real.glyphs.styles, strict=True) if o}
    assert not shown & real.holdouts.single
    assert len(shown) > 2500


def test_every_caption_says_what_is_in_the_picture(real: SceneSource) -> None:
    reader = Reader(real.world)
    for scene in itertools.chain.from_iterable(real.scenes(p, 64) for p in range(100, 200)):
        if scene.kind == "other":
            continue
        reading = reader.read(scene.caption)
        said = Counter((m.thing, m.colour, m.count) for m in reading.mentions)
        objects = scene.objects[:1] if scene.count > 1 else scene.objects
        assert said == Counter((o.thing, o.colour, scene.count) for o in objects), scene.caption
        assert reading.styles <= {o.style for o in scene.objects}, scene.caption
        if scene.kind == "position":
            first = next(o for o in objects if o.thing == reading.mentions[0].thing)
            assert (reading.relation == scene.relation) == (first is objects[0]), scene.caption
        else:
            assert reading.relation is None, scene.caption


def test_captions_are_tidy(real: SceneSource) -> None:
    for scene in itertools.chain.from_iterable(real.scenes(p, 64) for p in range(200, 240)):
        caption = scene.caption
        assert caption == " ".join(caption.split())
        assert caption == caption.lower()
        assert "None" not in caption
        for before, after in itertools.pairwise(caption.replace(",", "").split()):
            if before in ("a", "an"):
                assert article(after) == before, caption


def test_others_come_as_often_as_asked_and_only_then(real: SceneSource) -> None:
    kinds = Counter(s.kind for s in real.scenes(0, 1000))
    assert kinds["other"] / 1000 == pytest.approx(0.1, abs=0.03)
    assert all(s.kind != "other" for s in source(SceneMix()).scenes(0, 200))


def test_a_pack_without_the_things_is_refused() -> None:
    pack, world = (
        tiny_pack(),
        World(1, (Thing(phrase="yeti", plural="yetis", kind="animal", names=("yeti",)),)),
    )
    with pytest.raises(DataError, match="None of the glyphs shows a thing of the world"):
        SceneSource(pack, world=world, holdouts=open_holdouts(), size=(8, 8), seed=0)


def test_a_kind_that_cannot_be_made_is_named() -> None:
    pack: GlyphSet = tiny_pack().select([3, 4, 5])
    made = SceneSource(
        pack, world=tiny_world(), holdouts=open_holdouts(), size=(8, 8), seed=0, mix=only("position")
    )
    with pytest.raises(DataError, match="No scene of kind 'position' could be made"):
        made.scenes(0, 1)


@pytest.mark.parametrize("weights", [NONE, {"single": -1.0}])
def test_a_mix_needs_weights(weights: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="SceneMix needs weights"):
        SceneMix(**weights)
