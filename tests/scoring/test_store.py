"""The score store: every acknowledged write is there for later readers, once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from aar.commons.foreign import Foreign
from aar.config import PLATFORM
from aar.errors import LedgerError, ScoringError, StorageError
from aar.models.recipe import Loss
from aar.scoring.ledger import verify_chain
from aar.scoring.records import (
    Baselines,
    ControlResult,
    DatasetScore,
    ExperimentRun,
    FitRecipe,
    RunOutput,
    Score,
    Verification,
)
from aar.scoring.stats.uncertainty import Estimate
from aar.scoring.store import ExperimentRequest, ScoreStore

HALF = Estimate(0.5, 0.4, 0.6)
SCORE = Score(0.8, 0.4, 0.3, 0.5, (DatasetScore("data", 0.8, 0.4),))
FITS = (
    FitRecipe(1.0, 0.002),
    FitRecipe(2.0, 0.002, 0, (0,), Loss.named("gce", {"q": 0.5}), replica=3),
    FitRecipe(0, 0, average_of=((0, 0.25), (1, 0.75))),
)
BASELINES = Baselines(
    "data", (3, 1), Estimate(0.6, 0.5, 0.7), Estimate(0.9, 0.85, 0.95), 200, *[Estimate(0.5, 0.4, 0.6)] * 2
)
VERIFICATION = Verification(
    "e1", (1, 2), HALF, HALF, 0.01, 9, None, (), (ControlResult("shuffled", "undecided", HALF, "words"),), None, 5.0
)
REQUEST = ExperimentRequest("k", "ada", "s1", ("data",), "a note", (7, 8))


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    return ScoreStore(tmp_path)


def admit(store: ScoreStore, key: str = "k", **changes: Any) -> str:
    return store.admit(replace(REQUEST, key=key, **changes)).id


def test_an_admitted_experiment_is_running(store: ScoreStore) -> None:
    experiment = store.admit(REQUEST)
    assert (experiment.researcher, experiment.snapshot, experiment.datasets, experiment.note.text) == (
        "ada", "s1", ("data",), "a note",
    )  # fmt: skip
    assert (experiment.status, experiment.seeds, experiment.score, experiment.ended) == ("running", (7, 8), None, None)
    assert store.experiment(experiment.id) == experiment
    assert experiment.runs == (ExperimentRun("data", 7), ExperimentRun("data", 8))


def test_the_same_key_again_is_the_same_experiment(store: ScoreStore) -> None:
    first = store.admit(REQUEST)
    assert not store.has("l")
    assert store.admit(replace(REQUEST, note="another note", seeds=(1,))) == first
    assert store.has("k")
    assert len(store.experiments()) == 1


@pytest.mark.parametrize(
    "changes", [{"researcher": "eve"}, {"snapshot": "s2"}, {"labels": "shuffled"}, {"verification_of": "e1"}]
)
def test_the_same_key_for_something_else_is_refused(store: ScoreStore, changes: dict[str, Any]) -> None:
    admit(store)
    with pytest.raises(ScoringError, match="e1 was started with this key, for something else; use a new key"):
        admit(store, **changes)
    assert len(store.experiments()) == 1


def test_an_experiment_has_one_outcome(store: ScoreStore) -> None:
    scored, failed = admit(store, "k"), admit(store, "l")
    done = store.finish(scored, SCORE, {})
    assert (done.status, done.score, done.failure) == ("scored", SCORE, None)
    assert done.ended is not None and done.ended >= done.started
    assert store.fail(scored, "too late") == done
    assert store.fail(failed, "it raised").failure == Foreign("it raised")
    assert store.finish(failed, SCORE, {}).status == "failed"


def test_every_step_of_an_experiment_is_in_the_ledger(store: ScoreStore) -> None:
    scored, failed, arm = admit(store, "k"), admit(store, "l"), admit(store, "m", verification_of="e1", labels="worse")
    store.finish(scored, SCORE, {"released": True, "predictions": {"data/7": "abc"}})
    store.finish(scored, SCORE, {"released": True, "predictions": {"data/7": "abc"}})
    store.fail(failed, "it raised")
    store.finish(arm, None, {})
    kinds = [(entry.kind, entry.body["experiment"]) for entry in store.ledger()]
    assert kinds == [
        ("admitted", scored), ("admitted", failed), ("admitted", arm), ("answered", scored), ("failed", failed),
        ("measured", arm),
    ]  # fmt: skip
    answered = store.ledger()[3]
    assert (answered.author, answered.body["predictions"]) == ("ada", {"data/7": "abc"})
    assert answered.body["seconds"] >= 0
    verify_chain(store.ledger())


def test_experiments_are_read_from_where_an_earlier_reading_ended(store: ScoreStore) -> None:
    ended, running = admit(store, "k"), admit(store, "l")
    store.fail(ended, "it raised")
    earlier = store.experiments()
    assert store.experiments(earlier) == earlier
    store.finish(running, SCORE, {})
    later = admit(store, "m")
    assert [(one.id, one.status) for one in store.experiments(earlier)] == [
        (ended, "failed"), (running, "scored"), (later, "running"),
    ]  # fmt: skip
    assert store.experiments(earlier) == store.experiments()


def test_what_researchers_have_started_is_counted_without_the_platform(store: ScoreStore) -> None:
    assert store.count_started() == 0
    admit(store, "k"), admit(store, "l")
    store.admit(ExperimentRequest("m", PLATFORM, "s", ("data",), "vanilla", (1, 2)))
    store.admit(ExperimentRequest("n", "ben", "s", ("data",), "his", (1, 2)))
    assert (store.count_started(), store.count_started("ada"), store.count_started("eve")) == (3, 2, 0)


def test_the_ledger_is_looked_up_by_key_and_by_researcher(store: ScoreStore) -> None:
    assert store.ledger_entry("split/data") is None and store.answers("ada") == []
    noted = store.append_to_ledger("split", PLATFORM, "split/data", {"items": 3})
    store.finish(admit(store, "k"), SCORE, {"released": True})
    assert store.ledger_entry("split/data") == noted
    assert [entry.key for entry in store.answers("ada")] == ["answered/e1"] and store.answers("ben") == []
    assert store.ledger_head() == store.ledger()[-1].digest


def test_a_separate_entry_is_written_once(store: ScoreStore) -> None:
    first = store.append_to_ledger("refused", "ada", "refused/k", {"reason": "no more"})
    assert store.append_to_ledger("refused", "ada", "refused/k", {"reason": "no more"}) == first
    with pytest.raises(LedgerError, match="other content"):
        store.append_to_ledger("refused", "ada", "refused/k", {"reason": "something else"})


def test_the_same_look_again_replaces_and_another_one_is_kept_beside_it(store: ScoreStore) -> None:
    again = replace(VERIFICATION, time=6.0, pgr=Estimate(0.5, -np.inf, np.inf))
    other_seeds = replace(VERIFICATION, seeds=(1, 2, 3), time=7.0)
    for one in (VERIFICATION, again, other_seeds):
        store.save_verification(one, {"experiment": "e1"})
    assert store.verifications() == [again, other_seeds]
    assert [entry.kind for entry in store.ledger()] == ["verified"] * 3


def test_everything_is_there_after_reopening(store: ScoreStore, tmp_path: Path) -> None:
    experiment = admit(store)
    store.finish(experiment, SCORE, {})
    store.save_baselines(BASELINES)
    store.save_verification(VERIFICATION, {"experiment": "e1"})
    trained = {
        ExperimentRun("data", 8): RunOutput("student-8", FITS, 1),
        ExperimentRun("data", 7): RunOutput("student-7", None),
    }
    store.save_outputs(experiment, trained)
    again = ScoreStore(tmp_path)
    assert again.experiment(experiment).score == SCORE
    assert again.baselines("data") == BASELINES
    assert again.baselines("other") is None
    assert again.verifications() == [VERIFICATION]
    found = again.outputs(experiment, "data")
    assert [(seed, one.student, one.fits, one.final_fit) for seed, one in found.items()] == [
        (7, "student-7", None, 0), (8, "student-8", FITS, 1),
    ]  # fmt: skip
    assert again.ledger() == store.ledger()


@pytest.mark.parametrize("items", [1, 8, 13])
def test_correctness_survives_item_by_item(store: ScoreStore, items: int) -> None:
    rng = np.random.default_rng(0)
    answers = {seed: rng.uniform(size=items) < 0.5 for seed in (9, 2, 5)}
    store.save_correctness("data", "dev", "e1", answers)
    found = store.correctness("data", "dev", "e1")
    assert found is not None
    np.testing.assert_array_equal(found.by_seed, np.stack([answers[seed] for seed in (2, 5, 9)]))
    assert found.by_seed.dtype == bool and found.seeds == (2, 5, 9)


def test_what_was_not_measured_is_not_there(store: ScoreStore) -> None:
    store.save_correctness("data", "dev", "teacher", {1: np.ones(3, bool)})
    assert store.correctness("data", "sealed", "teacher") is None
    assert store.correctness("other", "dev", "teacher") is None


def test_measuring_again_replaces(store: ScoreStore) -> None:
    for value in (False, True):
        store.save_correctness("data", "dev", "e1", {1: np.full(4, value)})
    found = store.correctness("data", "dev", "e1")
    assert found is not None and found.accuracy == 1


def test_a_reader_sees_what_the_writer_wrote_and_cannot_write(store: ScoreStore, tmp_path: Path) -> None:
    reader = ScoreStore(tmp_path, read_only=True)
    admit(store)
    assert [one.id for one in reader.experiments()] == ["e1"]
    with pytest.raises(StorageError, match="is not writable"):
        admit(reader, "l")


def test_a_reader_reports_that_there_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the file does not exist"):
        ScoreStore(tmp_path, read_only=True)


@pytest.mark.parametrize("name", ["e9", "e0", "x", "", "e-1", "e²", "e" + "9" * 40])
def test_an_unknown_experiment_is_refused(store: ScoreStore, name: str) -> None:
    with pytest.raises(ScoringError, match=r"there is no experiment|is not an experiment id"):
        store.experiment(name)


def test_a_question_that_no_text_can_hold_leaves_the_scorers_process_alive(ray_session: None, tmp_path: Path) -> None:
    scorer: Any = ray.remote(max_restarts=0, num_cpus=0)(ScoreStore).remote(tmp_path)
    for asked in ("\ud800", "e1\udfff"):
        with pytest.raises(ScoringError, match="is not an experiment id"):
            ray.get(scorer.experiment.remote(asked))
    assert ray.get(scorer.experiments.remote()) == []
    ray.kill(scorer)


def test_a_reader_cannot_change_anything(store: ScoreStore, tmp_path: Path) -> None:
    admit(store)
    reader = ScoreStore(tmp_path, read_only=True)
    with pytest.raises(StorageError, match=r"scores\.sqlite: .*writable"):
        reader.append_to_ledger("refused", "ada", "refused/1", {"reason": "none left"})
    with pytest.raises(StorageError, match=r"scores\.sqlite: .*writable"):
        admit(reader, "another")
    assert [experiment.id for experiment in store.experiments()] == ["e1"]


def test_an_outcome_is_final(store: ScoreStore) -> None:
    failed, scored = admit(store, "1"), admit(store, "2")
    first = store.fail(failed, "it raised")
    assert store.finish(failed, SCORE, {}) == first and store.fail(failed, "another reason") == first
    finished = store.finish(scored, SCORE, {})
    assert store.fail(scored, "too late") == finished and finished.score == SCORE
    assert [entry.kind for entry in store.ledger()] == ["admitted", "admitted", "failed", "answered"]
