"""The scorebook: what is acknowledged is there for every later reader, once."""

from pathlib import Path

import numpy as np
import pytest

from aar.errors import ScoringError, StorageError
from aar.scoring.pgr import Estimate
from aar.scoring.records import Baselines, Retest, Score
from aar.scoring.scorebook import Scorebook

SCORE = Score(0.8, (0.7, 0.9), 0.4, 0.3, 0.5)
BASELINES = Baselines("data", (3, 1), Estimate(0.6, 0.5, 0.7), Estimate(0.9, 0.85, 0.95), 200)


@pytest.fixture
def book(tmp_path: Path) -> Scorebook:
    return Scorebook(tmp_path)


def admit(book: Scorebook, key: str = "k", snapshot: str = "s1", researcher: str = "ada") -> str:
    return book.admit(key, researcher, snapshot, "data", "a note")[0].id


def test_an_admitted_experiment_is_running_and_has_no_seeds_yet(book: Scorebook) -> None:
    experiment, new = book.admit("k", "ada", "s1", "data", "a note")
    assert new
    assert (experiment.researcher, experiment.snapshot, experiment.dataset, experiment.note) == (
        "ada", "s1", "data", "a note",
    )  # fmt: skip
    assert (experiment.status, experiment.seeds, experiment.score, experiment.ended) == ("running", (), None, None)
    assert book.experiment(experiment.id) == experiment


def test_the_same_key_again_is_the_same_experiment(book: Scorebook) -> None:
    first, _ = book.admit("k", "ada", "s1", "data", "a note")
    assert not book.has("l")
    assert book.admit("k", "ada", "s1", "data", "another note") == (first, False)
    assert book.has("k")
    assert book.count("ada") == 1


@pytest.mark.parametrize(("snapshot", "dataset"), [("s2", "data"), ("s1", "other")])
def test_the_same_key_for_something_else_is_refused(book: Scorebook, snapshot: str, dataset: str) -> None:
    admit(book)
    with pytest.raises(ScoringError, match="e1 was started with this key for another snapshot; use a new key"):
        book.admit("k", "ada", snapshot, dataset, "a note")
    assert len(book.experiments()) == 1


def test_an_experiment_has_one_outcome(book: Scorebook) -> None:
    scored, failed = admit(book, "k"), admit(book, "l")
    done = book.finish(scored, SCORE, None)
    assert (done.status, done.score, done.failure) == ("scored", SCORE, None)
    assert done.ended is not None and done.ended >= done.started
    assert book.finish(scored, None, "too late") == done
    assert book.finish(failed, None, "it raised").failure == "it raised"
    assert book.finish(failed, SCORE, None).status == "failed"


def test_everything_is_there_for_the_next_process(book: Scorebook, tmp_path: Path) -> None:
    experiment = admit(book)
    book.set_seeds(experiment, (5, 7))
    book.finish(experiment, SCORE, None)
    book.keep_baselines(BASELINES)
    retest = Retest("e1", 3, Estimate(0.8, 0.7, 0.9), Estimate(0.4, 0.3, 0.5), None, 100)
    compared = Retest("e2", 3, Estimate(0.8, 0.7, 0.9), Estimate(0.4, 0.3, 0.5), Estimate(0.1, 0.0, 0.2), 100)
    book.keep_retest(retest)
    book.keep_retest(compared)
    again = Scorebook(tmp_path)
    assert again.experiments() == book.experiments()
    assert again.experiment("e1").seeds == (5, 7)
    assert again.experiment("e1").score == SCORE
    assert again.baselines("data") == BASELINES
    assert again.baselines("other") is None
    assert again.retests() == [retest, compared]


@pytest.mark.parametrize("items", [1, 8, 13])
def test_correctness_survives_item_by_item(book: Scorebook, items: int) -> None:
    rng = np.random.default_rng(0)
    answers = {seed: rng.uniform(size=items) < 0.5 for seed in (9, 2, 5)}
    book.keep_correctness("data", "hidden", "e1", answers, {9: "s9", 2: "s2", 5: "s5"})
    found = book.correctness("data", "hidden", "e1")
    assert found is not None
    np.testing.assert_array_equal(found.by_seed, np.stack([answers[seed] for seed in (2, 5, 9)]))
    assert found.by_seed.dtype == bool
    assert book.students("data", "e1") == {9: "s9", 2: "s2", 5: "s5"}


def test_what_was_not_measured_is_not_there(book: Scorebook) -> None:
    book.keep_correctness("data", "hidden", "teacher", {1: np.ones(3, bool)}, {})
    assert book.correctness("data", "fresh-1", "teacher") is None
    assert book.correctness("other", "hidden", "teacher") is None
    assert book.students("data", "teacher") == {}


def test_measuring_again_replaces(book: Scorebook) -> None:
    for value in (False, True):
        book.keep_correctness("data", "hidden", "e1", {1: np.full(4, value)}, {1: "s"})
    found = book.correctness("data", "hidden", "e1")
    assert found is not None and found.accuracy == 1


def test_a_reader_sees_what_the_writer_wrote_and_cannot_write(book: Scorebook, tmp_path: Path) -> None:
    reader = Scorebook(tmp_path, read_only=True)
    admit(book)
    assert [one.id for one in reader.experiments()] == ["e1"]
    with pytest.raises(StorageError, match="may not be written"):
        admit(reader, "l")


def test_a_reader_of_nothing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such file"):
        Scorebook(tmp_path, read_only=True)


@pytest.mark.parametrize("name", ["e9", "e0", "x", "", "e-1", "e²", "e" + "9" * 40])
def test_an_unknown_experiment_is_refused(book: Scorebook, name: str) -> None:
    with pytest.raises(ScoringError, match="no experiment"):
        book.experiment(name)


def test_counts_are_per_researcher(book: Scorebook) -> None:
    for key, researcher in (("a", "ada"), ("b", "bob"), ("c", "ada")):
        admit(book, key, researcher=researcher)
    assert (book.count("ada"), book.count("bob"), book.count("eve")) == (2, 1, 0)
