"""Splits: stable, disjoint, of the asked shares."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictura.core.errors import ConfigError, DataError
from pictura.data.records import Record
from pictura.data.sources import open_source
from pictura.data.splits import SPLITS, chosen, class_disjoint, split_of, split_of_record

NAMES = st.text(min_size=1, max_size=20)


def test_known_ids_keep_their_split_for_ever() -> None:
    """Frozen: another hash would move pictures between training and test."""
    assert [split_of(f"noto:1f60{n}") for n in range(6)] == [
        "train",
        "train",
        "train",
        "validation",
        "train",
        "validation",
    ]


def test_the_shares_are_met() -> None:
    counts = Counter(split_of(f"picture {n}") for n in range(5000))
    assert [counts[name] / 5000 for name in SPLITS] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_another_seed_gives_another_split() -> None:
    ids = [f"picture {n}" for n in range(100)]
    assert [split_of(name, seed=1) for name in ids] != [split_of(name, seed=2) for name in ids]


@settings(max_examples=50, deadline=None)
@given(st.sets(NAMES, min_size=3, max_size=30), st.integers(0, 1000))
def test_classes_are_dealt_out_whole_and_no_split_is_empty(classes: set[str], seed: int) -> None:
    dealt = class_disjoint(classes, seed=seed)
    assert set(dealt) == classes
    assert set(dealt.values()) == set(SPLITS)
    assert dealt == class_disjoint(sorted(classes, reverse=True), seed=seed)


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 300))
def test_class_shares_are_met_to_one_class(count: int) -> None:
    dealt = Counter(class_disjoint(map(str, range(count)), shares=(0.75, 0.0, 0.25)).values())
    assert abs(dealt["train"] - 0.75 * count) <= 1
    assert dealt["validation"] == 0


def test_the_sets_own_split_wins_over_the_hash() -> None:
    record = Record(id="x", image=b"", captions=("a",), fields={"split": "Valid"})
    assert split_of_record(record) == "validation"


def test_adding_pictures_moves_none(text_folder: Callable[..., Path]) -> None:
    small, large = (open_source(text_folder(count)) for count in (30, 40))
    before = {record.id: split_of_record(record) for record in small}
    after = {record.id: split_of_record(record) for record in large}
    assert before.items() <= after.items()


def test_a_set_that_names_no_validation_lends_a_tenth_of_its_train_split(
    parquet_file: Callable[..., Path],
) -> None:
    def parts(named: list[str]) -> list[int]:
        columns = {"image": [b"x"] * len(named), "text": ["a"] * len(named), "split": named}
        source = open_source(parquet_file(**columns))
        picked = [{r.id for r in source if chosen(source, name)(r)} for name in SPLITS]
        assert len(set.union(*picked)) == len(named)
        return [len(part) for part in picked]

    train, validation, test = parts(["train"] * 500 + ["test"] * 20)
    assert 35 <= validation <= 65
    assert (train + validation, test) == (500, 20)
    assert parts(["train"] * 500 + ["dev"] + ["test"] * 20) == [500, 1, 20]


def test_splitting_by_a_field_keeps_its_values_apart(parquet_file: Callable[..., Path]) -> None:
    classes = [f"class {n % 10}" for n in range(60)]
    source = open_source(parquet_file(**{"image": [b"x"] * 60, "text": ["a"] * 60, "class": classes}))
    parts = [{r.fields["class"] for r in source if chosen(source, name, by="class")(r)} for name in SPLITS]
    assert sorted(len(part) for part in parts) == [1, 1, 8]
    assert set.union(*parts) == set(classes)
    with pytest.raises(DataError, match="no picture has a field 'species' to split by"):
        chosen(source, "train", by="species")


@pytest.mark.parametrize("shares", [(0.5, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_impossible_shares_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="at least 0 and sum to 1"):
        split_of("x", shares=shares)


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs at least 3 classes; got 2"):
        class_disjoint(["a", "b"])
