"""The two benchmark layouts: CUB-200-2011 with the captions of Reed et al., and COCO captions."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pictura.core.errors import DataError
from pictura.data.sources import open_source

Draw = Callable[..., bytes]
CLASSES = [
    "001.Black_footed_Albatross",
    "002.Laysan_Albatross",
    "003.Sooty_Albatross",
    "004.Groove_billed_Ani",
]


@pytest.fixture
def birds(tmp_path: Path, draw: Draw) -> Path:
    """Four classes of two pictures each, laid out as the two archives unpack."""
    root, text = tmp_path / "CUB_200_2011", tmp_path / "cvpr2016_cub" / "text_c10"
    lines = []
    for number, name in enumerate(CLASSES):
        (root / "images" / name).mkdir(parents=True)
        (text / name).mkdir(parents=True)
        for index in range(2):
            lines.append(f"{2 * number + index + 1} {name}/Bird_{index}.jpg")
            (root / "images" / name / f"Bird_{index}.jpg").write_bytes(draw(number, kind="JPEG"))
            (text / name / f"Bird_{index}.txt").write_text(
                "".join(f"this bird has {n} wings\n" for n in range(10))
            )
    (root / "images.txt").write_text("\n".join(lines) + "\n")
    (root / "classes.txt").write_text("".join(f"{n + 1} {name}\n" for n, name in enumerate(CLASSES)))
    return tmp_path


def test_each_bird_has_ten_captions_and_the_split_of_its_class(birds: Path) -> None:
    lists = birds / "cvpr2016_cub"
    (lists / "testclasses.txt").write_text(f"{CLASSES[3]}\n999.Not_Here\n")
    (lists / "valclasses.txt").write_text(f"{CLASSES[2]}\n")
    source = open_source(birds)
    assert source.layout == "CUB-200-2011, class-disjoint split of Reed et al."
    records = list(source)
    assert all(len(record.captions) == 10 for record in records)
    assert (records[0].id, records[0].fields["name"]) == (f"{CLASSES[0]}/Bird_0", "black footed albatross")
    assert Counter(record.fields["split"] for record in records) == {"train": 4, "validation": 2, "test": 2}
    assert {record.fields["class"] for record in records if record.fields["split"] == "test"} == {CLASSES[3]}
    assert len(list(source.pictures())) == 8


def test_without_the_lists_whole_classes_are_split_by_hash(birds: Path) -> None:
    source = open_source(birds / "CUB_200_2011")
    assert "no testclasses.txt" in source.layout
    splits = {(record.fields["class"], record.fields["split"]) for record in source}
    assert len(splits) == 4
    assert Counter(split for _, split in splits) == {"train": 3, "test": 1}


def test_birds_without_captions_say_what_is_missing(birds: Path) -> None:
    (birds / "cvpr2016_cub").rename(birds / "elsewhere")
    with pytest.raises(
        DataError, match=r"bird pictures are here but not their captions\. Put the folder 'text_c10'"
    ):
        open_source(birds)


def boxes(root: Path, *lines: str) -> None:
    (root / "CUB_200_2011" / "bounding_boxes.txt").write_text("\n".join(lines) + "\n")


def test_birds_are_cut_to_one_and_a_half_times_their_longer_side(birds: Path) -> None:
    # Pictures are 12 x 10: a bird of 4 x 2 in the middle, one at the edge, and one that fills all.
    boxes(birds, "1 4.0 4.0 4.0 2.0", "2 0.0 0.0 4.0 4.0", *(f"{n} 0.0 0.0 12.0 10.0" for n in range(3, 9)))
    source = open_source(birds)
    assert source.layout.endswith(", cut to the birds")
    records = list(source)
    assert records[0].window == (6 - 3, 5 - 3, 6 + 3, 5 + 3)
    sizes = [picture.size for _, picture in source.pictures()]
    assert sizes[:3] == [(6, 6), (5, 5), (12, 10)]  # what lies outside the picture is left out


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1 4.0 4.0"], r"expected lines such as '1 60\.0 27\.0 325\.0 304\.0'; got '1 4\.0 4\.0'\."),
        (["1 a b c d"], "got '1 a b c d'"),
        (["1 1.0 1.0 2.0 2.0"], r"7 pictures have no box, the first is 001\..*/Bird_1\.jpg\."),
    ],
)
def test_a_damaged_list_of_boxes_is_named(birds: Path, lines: list[str], message: str) -> None:
    boxes(birds, *lines)
    with pytest.raises(DataError, match=rf"bounding_boxes\.txt: .*{message}"):
        open_source(birds)


def test_a_box_beside_the_picture_counts_as_a_bad_picture(birds: Path) -> None:
    boxes(birds, "1 90.0 90.0 4.0 4.0", *(f"{n} 0.0 0.0 12.0 10.0" for n in range(2, 9)))
    source = open_source(birds)
    assert len(list(source.pictures(stop=False))) == 7
    assert "lies outside its (12, 10) pixels" in source.bad[0]


def write_coco(root: Path, draw: Draw, part: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    images = [{"id": n, "file_name": f"{n:012}.jpg", "license": 1} for n in (7, 9)]
    for image in images:
        (folder / str(image["file_name"])).write_bytes(draw(kind="JPEG"))
    notes = [{"id": n, "image_id": (7, 9)[n % 2], "caption": f"Thing {n}. "} for n in range(6)]
    content = {"images": images, "annotations": notes, "licenses": [{"id": 1, "name": "CC BY 2.0"}]}
    (root / "annotations" / f"captions_{part}.json").write_text(json.dumps(content))


def test_coco_joins_captions_pictures_splits_and_licences(tmp_path: Path, draw: Draw) -> None:
    write_coco(tmp_path, draw, "train2017", tmp_path / "train2017")
    write_coco(tmp_path, draw, "val2017", tmp_path / "images" / "val2017")
    source = open_source(tmp_path)
    assert source.layout == "COCO captions (train2017, val2017)"
    records = [record for record, _ in source.pictures()]
    assert [record.id for record in records] == ["train2017/7", "train2017/9", "val2017/7", "val2017/9"]
    assert records[0].captions == ("Thing 0.", "Thing 2.", "Thing 4.")
    assert records[3].fields == {"split": "validation", "licence": "CC BY 2.0"}


def test_coco_without_pictures_or_with_other_json_is_refused(tmp_path: Path, draw: Draw) -> None:
    write_coco(tmp_path, draw, "train2017", tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"Put them into train2017/ or images/train2017/"):
        open_source(tmp_path)
    (tmp_path / "annotations" / "captions_train2017.json").write_text('{"images": [{"id": 1}]}')
    with pytest.raises(
        DataError, match=r"expected COCO captions with 'images' .*\(KeyError: 'annotations'\)"
    ):
        open_source(tmp_path)
