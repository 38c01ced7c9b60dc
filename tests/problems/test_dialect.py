"""Dialects: which sentences a speaker prefers is one bit for each family of phenomena, and nothing else tells it."""

import numpy as np
import pytest
from pydantic import ValidationError

from aar.config import DatasetConfig
from aar.problems.dataset import Dataset, Preference
from aar.problems.grammar import pairs
from aar.problems.grammar.dialect import DIALECTS, FAMILIES, PHENOMENA, draw
from aar.problems.loading import load_dataset
from tests.keys import KEY, key_of

SIZES = {"train_label": 100, "train_unlabel": 300, "test": 600}


def dataset(concept: int | None = None, key: int = 1, name: str = "dialect") -> Dataset:
    settings = {"name": name, "source": "dialect", "concept": concept, **SIZES}
    return load_dataset(DatasetConfig.model_validate(settings), key_of(key))


def better(data: Dataset) -> list[str]:
    """The better sentence of each pair of the test set."""
    return [
        one.second if label else one.first
        for one, label in zip(data.test.examples, data.test.labels, strict=True)
        if isinstance(one, Preference)
    ]


def test_families_are_equally_large_and_share_no_phenomenon() -> None:
    assert len({len(family) for family in FAMILIES}) == 1
    assert len(set(PHENOMENA)) == len(PHENOMENA)


def test_every_dialect_reverses_half_of_the_phenomena_and_has_its_complement() -> None:
    assert len(DIALECTS) == len(set(DIALECTS)) == 6
    for reversed_phenomena in DIALECTS:
        assert len(reversed_phenomena) == len(PHENOMENA) / 2
        assert frozenset(PHENOMENA) - reversed_phenomena in DIALECTS


def test_two_dialects_differ_in_labels_alone_and_in_those_of_whole_families() -> None:
    first, second = (draw(SIZES, KEY, number) for number in (0, 1))
    standard = pairs.draw(SIZES, KEY, PHENOMENA)
    for split in SIZES:
        texts = [[{one.first, one.second} for one, _ in rows[split] if isinstance(one, Preference)]
                 for rows in (first, second, standard)]  # fmt: skip
        assert texts[0] == texts[1] == texts[2]
    assert DIALECTS[0] ^ DIALECTS[1] in [{*one, *other} for one in FAMILIES for other in FAMILIES if one is not other]


def test_a_dialect_and_its_complement_prefer_opposite_sentences() -> None:
    number = 2
    complement = DIALECTS.index(frozenset(PHENOMENA) - DIALECTS[number])
    one, other = (dataset(concept) for concept in (number, complement))
    assert not set(better(one)) & set(better(other))


def test_one_who_knows_the_language_and_not_the_dialect_is_right_half_of_the_time() -> None:
    right = [np.mean([a == b for a, b in zip(better(dataset(concept)), standard(), strict=True)]) for concept in (0, 4)]
    assert all(0.43 < share < 0.57 for share in right)


def standard() -> list[str]:
    rows = pairs.draw(SIZES, key_of(1).derived("dataset", "dialect"), PHENOMENA)["test"]
    return [one.second if label else one.first for one, label in rows if isinstance(one, Preference)]


def test_a_dialect_that_is_not_named_is_drawn_by_the_key() -> None:
    assert better(dataset(key=1)) == better(dataset(key=1))
    labels = [tuple(dataset(key=number).test.labels) for number in range(3)]
    assert len(set(labels)) == 3


def test_a_number_beyond_the_last_begins_again() -> None:
    assert better(dataset(3)) == better(dataset(3 + len(DIALECTS)))


def test_only_a_dialect_has_a_concept() -> None:
    with pytest.raises(ValidationError, match='concept is a setting of source = "dialect"; sarcasm has none'):
        DatasetConfig.model_validate({"name": "x", "source": "sarcasm", "concept": 3})
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        DatasetConfig.model_validate({"name": "x", "source": "dialect", "concept": -1})
