"""The draws of a campaign: the split of the hidden test set, and the seeds."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aar.config import ScoringConfig
from aar.problems.dataset import Judgement, Preference, split_of
from aar.problems.key import Stream
from aar.scoring.draws import (
    DRAWN_SEEDS,
    SEEDS_ENTRY,
    dev_and_sealed,
    dev_rows,
    fingerprint,
    research_seeds,
    verification_seeds,
)
from aar.scoring.store import ScoreStore
from tests.keys import KEY, key_of
from tests.scoring.doubles import campaign, write_dataset

shares = st.floats(0.1, 0.9)


def stream(number: int) -> Stream:
    return key_of(number).stream("cut")


@given(st.lists(st.integers(0, 1), min_size=8, max_size=200), shares, st.integers(0, 50))
def test_single_rows_are_cut_by_share_within_each_label(labels: list[int], share: float, seed: int) -> None:
    chosen = np.array(dev_rows([""] * len(labels), np.array(labels), share, stream(seed)))
    for label in (0, 1):
        having = np.array(labels) == label
        assert abs(chosen[having].sum() - share * having.sum()) <= 2


@given(st.lists(st.integers(0, 30), min_size=60, max_size=200), shares, st.integers(0, 50))
def test_rows_that_share_a_question_stay_together(questions: list[int], share: float, seed: int) -> None:
    texts = [f"question {one}" for one in questions]
    common = {text for text, count in Counter(texts).items() if count <= 0.1 * len(texts)}
    chosen = dev_rows(texts, np.zeros(len(texts), int), share, stream(seed))
    for text in common:
        assert len({side for side, one in zip(chosen, texts, strict=True) if one == text}) == 1


def test_a_text_that_is_repeated_in_every_row_is_not_a_question() -> None:
    chosen = dev_rows(["Is this headline sarcastic?"] * 100, np.arange(100) % 2, 0.4, stream(0))
    assert sum(chosen) == 40


def test_the_cut_depends_on_the_key_alone() -> None:
    labels = np.arange(100) % 2
    one, same, other = (dev_rows([""] * 100, labels, 0.5, stream(number)) for number in (1, 1, 2))
    assert one == same != other


MAKERS = [lambda row: Preference("", f"a {row}", f"b {row}"), lambda row: Judgement(f"q{row // 4}", f"c{row}")]


@pytest.mark.parametrize("make", MAKERS)
def test_dev_and_sealed_are_the_test_set(make: object) -> None:
    rows = [(make(row), row % 2) for row in range(80)]  # type: ignore[operator]
    dev, sealed = dev_and_sealed(split_of(rows), 0.5, KEY)
    assert len(dev) == len(sealed) == 40
    found = [pair for part in (dev, sealed) for pair in zip(part.examples, part.labels.tolist(), strict=True)]
    assert len(found) == len(rows) and dict(found) == dict(rows)
    assert dev.labels.sum() == sealed.labels.sum() == 20


def test_a_fingerprint_tells_texts_and_labels_apart() -> None:
    rows = [(Judgement("q", f"c{row}"), row % 2) for row in range(4)]
    other_label = [*rows[:3], (rows[3][0], 0)]
    other_text = [*rows[:3], (Judgement("q", "else"), 1)]
    assert len({fingerprint(split_of(one)) for one in (rows, other_label, other_text)}) == 3
    assert fingerprint(split_of(rows)) == fingerprint(split_of(list(rows)))


def test_research_seeds_are_distinct_and_more_of_them_begin_with_the_same_ones(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    few, many = (campaign(data, scoring=ScoringConfig(baseline_seeds=count, seeds=2)) for count in (4, 12))
    drawn = research_seeds(many, KEY)
    assert len(set(drawn)) == 12 and research_seeds(few, KEY) == drawn[:4]
    assert research_seeds(few, key_of(2)) != drawn[:4]


def test_verification_seeds_are_drawn_once_and_never_those_of_research(tmp_path: Path) -> None:
    config, store = campaign(write_dataset(tmp_path / "data")), ScoreStore(tmp_path)
    three, all_of_them = verification_seeds(config, store, 3), verification_seeds(config, ScoreStore(tmp_path), 64)
    assert len(set(all_of_them)) == DRAWN_SEEDS == 64 and all_of_them[:3] == three
    assert set(all_of_them).isdisjoint(research_seeds(config, store.key()))
    assert [entry.key for entry in store.ledger()] == [SEEDS_ENTRY]
