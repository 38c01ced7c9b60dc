"""The scorer over a double of the compute actor: what it measures, draws, admits, refuses, keeps and does not tell."""

import asyncio
import dataclasses
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from aar.config import BudgetConfig, CampaignConfig, ScoringConfig
from aar.errors import ConfigError, ProblemError, ScoringError
from aar.problems.dataset import Split
from aar.problems.loading import fresh_test, load_dataset
from aar.problems.texts import model_texts
from aar.scoring.actor import Scorer
from aar.scoring.pgr import performance_gap_recovered
from aar.scoring.records import PLATFORM, VANILLA, Experiment
from aar.training.requests import FineTune
from tests.scoring.doubles import ComputeDouble, campaign, texts_of, write_dataset

T = TypeVar("T")


class Lab:
    """A scorer that can be killed and started again on the same folder."""

    def __init__(self, config: CampaignConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.data = load_dataset(config.problem.dataset())
        self.compute = ComputeDouble()
        self.compute.know(self.data)
        self.restart()

    def restart(self) -> None:
        self.scorer = Scorer(self.config, str(self.folder), self.compute)

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(call)

    def admit(self, key: str = "k", researcher: str = "ada", snapshot: str = "s1", note: str = "") -> Experiment:
        return self.do(self.scorer.admit(researcher, snapshot, note, key))

    def students(self, experiment: Experiment, error: float) -> dict[int, str]:
        """New students that err at this rate, one per seed."""
        return {seed: self.compute.student(f"{experiment.id}-{seed}", error) for seed in experiment.seeds}

    def scored(self, error: float, **who: str) -> Experiment:
        experiment = self.admit(**who)
        return self.do(self.scorer.score(experiment.id, self.students(experiment, error)))

    def accuracy(self, students: dict[int, str], split: Split) -> float:
        texts = list(model_texts(split.examples, "scalar_head"))
        return float(np.mean([self.compute.accuracy(key, texts) for key in students.values()]))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(campaign(write_dataset(tmp_path / "data")), tmp_path)


@pytest.fixture
def drawn(tmp_path: Path) -> Lab:
    """On a dataset of which new test sets can be drawn."""
    return Lab(campaign("minimal-pairs", train_label=40, train_unlabel=40, test=100), tmp_path)


def test_baselines_are_means_over_the_baseline_seeds(lab: Lab) -> None:
    baselines = lab.do(lab.scorer.baselines())
    assert (baselines.dataset, baselines.test_items, len(set(baselines.seeds))) == ("data", 120, 4)
    fits = lab.compute.of_kind(FineTune)
    assert sorted(request.seed for request in fits) == sorted(baselines.seeds)
    ceilings = {request.seed: request.key() for request in fits}
    assert baselines.ceiling.value == pytest.approx(lab.accuracy(ceilings, lab.data.test))
    texts = model_texts(lab.data.test.examples, "scalar_head")
    weak = 1 - np.mean([lab.compute.errs("teacher", one, lab.compute.weak_error) for one in texts])
    assert baselines.weak.value == pytest.approx(weak)
    assert baselines.weak.low < weak < baselines.weak.high < baselines.ceiling.low


def test_baselines_are_computed_once_whoever_asks_and_whenever(lab: Lab) -> None:
    async def twice() -> tuple[Any, Any]:
        return await asyncio.gather(lab.scorer.baselines(), lab.scorer.baselines("data"))

    one, other = lab.do(twice())
    requests = len(lab.compute.requests)
    lab.restart()
    assert lab.do(lab.scorer.baselines()) == one == other
    assert len(lab.compute.requests) == requests


def test_without_a_gap_there_is_nothing_to_score(lab: Lab) -> None:
    lab.compute.ceiling_error = 0.45
    with pytest.raises(ScoringError, match=r"the ceiling \(0\.\d+\) is not above the teacher .*Train the student"):
        lab.do(lab.scorer.baselines())


def test_an_unknown_dataset_is_refused(lab: Lab) -> None:
    with pytest.raises(ConfigError, match='no dataset "other"; it has: data'):
        lab.do(lab.scorer.baselines("other"))


def test_seeds_are_drawn_from_the_baselines_and_differ_between_experiments(lab: Lab) -> None:
    pool = lab.do(lab.scorer.baselines()).seeds
    experiments = [lab.admit(str(number), researcher=f"r{number}") for number in range(8)]
    assert all(len(set(one.seeds)) == 2 and set(one.seeds) <= set(pool) for one in experiments)
    assert len({one.seeds for one in experiments}) > 1


def test_the_reference_runs_on_every_baseline_seed(lab: Lab) -> None:
    assert lab.admit(researcher=PLATFORM).seeds == lab.do(lab.scorer.baselines()).seeds


def test_draws_are_the_same_in_every_campaign_on_the_dataset(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Lab(lab.config, tmp_path / "elsewhere")
    assert elsewhere.admit().seeds == lab.admit().seeds


def test_the_same_key_again_is_the_same_experiment_even_after_a_restart(lab: Lab) -> None:
    first = lab.admit()
    assert lab.admit() == first
    lab.restart()
    assert lab.admit() == first
    assert lab.do(lab.scorer.experiments()) == [first]


def test_a_researcher_has_so_many_experiments_and_the_platform_any_number(lab: Lab) -> None:
    assert lab.do(lab.scorer.experiments_left("ada")) == 2
    first, _ = lab.admit("1"), lab.admit("2")
    assert lab.do(lab.scorer.experiments_left("ada")) == 0
    with pytest.raises(ScoringError, match="ada has used its 2 experiments"):
        lab.admit("3")
    assert lab.admit("1") == first
    assert lab.admit("4", researcher="bob").researcher == "bob"
    for number in range(4):
        lab.admit(f"p{number}", researcher=PLATFORM)
    assert len(lab.do(lab.scorer.experiments())) == 7


def test_a_score_is_what_the_students_get_right_on_the_hidden_test_set(lab: Lab) -> None:
    experiment = lab.admit()
    students = lab.students(experiment, error=0.15)
    record = lab.do(lab.scorer.score(experiment.id, students))
    baselines = lab.do(lab.scorer.baselines())
    accuracy = lab.accuracy(students, lab.data.test)
    assert record.status == "scored" and record.score is not None
    assert record.score.accuracy == pytest.approx(accuracy)
    expected = performance_gap_recovered(accuracy, baselines.weak.value, baselines.ceiling.value)
    assert record.score.pgr == pytest.approx(expected)
    assert record.score.pgr_low < record.score.pgr < record.score.pgr_high
    assert lab.do(lab.scorer.experiment(experiment.id)) == record


def test_accuracies_come_in_the_order_of_the_seeds(lab: Lab) -> None:
    experiment = lab.admit(researcher=PLATFORM)
    students = {seed: lab.compute.student(f"s{seed}", 0.1 * at) for at, seed in enumerate(experiment.seeds)}
    backwards = dict(reversed(students.items()))
    record = lab.do(lab.scorer.score(experiment.id, backwards))
    assert record.score is not None
    assert list(record.score.accuracies) == sorted(record.score.accuracies, reverse=True)
    assert record.score.accuracies[0] == 1.0


def test_students_for_other_seeds_are_refused(lab: Lab) -> None:
    experiment = lab.admit()
    students = lab.students(experiment, 0.1)
    one_short = dict(list(students.items())[1:])
    for wrong in (one_short, {**students, 12345: lab.compute.student("extra", 0.0)}, {}):
        with pytest.raises(ScoringError, match=f"{experiment.id} has seeds .* but students came for"):
            lab.do(lab.scorer.score(experiment.id, wrong))
    assert lab.do(lab.scorer.experiment(experiment.id)).status == "running"


def test_a_score_is_final(lab: Lab) -> None:
    record = lab.scored(0.2)
    better = {seed: lab.compute.student(f"better-{seed}", 0.0) for seed in record.seeds}
    assert lab.do(lab.scorer.score(record.id, better)) == record
    assert lab.do(lab.scorer.fail(record.id, "no")) == record


def test_a_failed_experiment_keeps_its_reason_and_counts(lab: Lab) -> None:
    experiment = lab.admit()
    failed = lab.do(lab.scorer.fail(experiment.id, "the method raised ZeroDivisionError"))
    assert (failed.status, failed.failure, failed.score) == ("failed", "the method raised ZeroDivisionError", None)
    assert lab.do(lab.scorer.score(experiment.id, lab.students(experiment, 0.1))) == failed
    assert lab.do(lab.scorer.experiments_left("ada")) == 1


def test_everything_is_still_there_after_a_restart(lab: Lab) -> None:
    scored, running = lab.scored(0.15), lab.admit("2")
    lab.restart()
    assert lab.do(lab.scorer.experiments()) == [scored, running]
    record = lab.do(lab.scorer.score(running.id, lab.students(running, 0.2)))
    assert record.status == "scored"
    assert lab.do(lab.scorer.experiments_left("ada")) == 0


def test_an_unknown_experiment_cannot_be_scored(lab: Lab) -> None:
    with pytest.raises(ScoringError, match="there is no experiment e7"):
        lab.do(lab.scorer.score("e7", {}))


def test_a_task_holds_no_label_and_no_test_text(lab: Lab) -> None:
    seed = lab.admit().seeds[0]
    task = lab.do(lab.scorer.task("data", seed))
    assert {field.name for field in dataclasses.fields(task)} == {"kind", "examples", "weak_labels", "recipe"}
    assert task.examples == lab.data.train_unlabel.examples
    assert all({"question", "choice"} == set(dataclasses.asdict(one)) for one in task.examples)
    told = {value for one in task.examples for value in dataclasses.asdict(one).values()}
    assert told.isdisjoint(texts_of(lab.data.test))
    assert told.isdisjoint(texts_of(lab.data.train_label))


def test_a_tasks_weak_labels_are_the_teachers_for_that_seed(lab: Lab) -> None:
    one, other = lab.do(lab.scorer.baselines()).seeds[:2]
    task, same, different = (lab.do(lab.scorer.task("data", seed)).weak_labels for seed in (one, one, other))
    np.testing.assert_array_equal(task, same)
    assert not np.array_equal(task, different)
    agreement = ((task[:, 1] > 0.5) == (lab.data.train_unlabel.labels == 1)).mean()
    assert 0.5 < agreement < 1


def test_a_retest_measures_on_a_new_test_set_and_compares_with_vanilla(drawn: Lab) -> None:
    vanilla = drawn.scored(0.25, key="v", researcher=PLATFORM, note=VANILLA)
    best = drawn.scored(0.05, key="b")
    fresh = fresh_test(drawn.config.problem.dataset(), 11)
    drawn.compute.learn(fresh)
    found = {one.experiment: one for one in drawn.do(drawn.scorer.retest([best.id, vanilla.id], test_seed=11))}
    students = {seed: f"{best.id}-{seed}" for seed in best.seeds}
    reference = {seed: f"{vanilla.id}-{seed}" for seed in vanilla.seeds}
    own, over = found[best.id], found[best.id].over_vanilla
    assert (own.items, own.test_seed) == (100, 11)
    assert own.accuracy.value == pytest.approx(drawn.accuracy(students, fresh))
    assert over is not None and found[vanilla.id].over_vanilla is None
    assert over.value == pytest.approx(drawn.accuracy(students, fresh) - drawn.accuracy(reference, fresh))
    assert over.low > 0
    assert set(fresh.examples).isdisjoint(drawn.data.test.examples)


def test_a_retest_is_kept_and_leaves_scores_alone(drawn: Lab) -> None:
    best = drawn.scored(0.05)
    drawn.compute.learn(fresh_test(drawn.config.problem.dataset(), 11))
    [first] = drawn.do(drawn.scorer.retest([best.id], test_seed=11))
    assert first.over_vanilla is None
    drawn.restart()
    assert drawn.do(drawn.scorer.retest([best.id], test_seed=11)) == [first]
    assert drawn.do(drawn.scorer.experiment(best.id)) == best


def test_only_scored_experiments_can_be_retested(drawn: Lab) -> None:
    best, running = drawn.scored(0.05), drawn.admit("2")
    drawn.compute.learn(fresh_test(drawn.config.problem.dataset(), 11))
    with pytest.raises(ScoringError, match=f"{running.id} was not scored on data"):
        drawn.do(drawn.scorer.retest([best.id, running.id], test_seed=11))


def test_a_folder_cannot_be_drawn_from_anew(lab: Lab) -> None:
    record = lab.scored(0.1)
    with pytest.raises(ProblemError, match="a new test set cannot be drawn"):
        lab.do(lab.scorer.retest([record.id], test_seed=1))


def test_one_seed_is_enough(tmp_path: Path) -> None:
    scoring, budget = ScoringConfig(baseline_seeds=1, seeds=1), BudgetConfig(experiments_per_researcher=1)
    lab = Lab(campaign(write_dataset(tmp_path / "data"), scoring=scoring, budget=budget), tmp_path)
    record = lab.scored(0.1)
    assert record.score is not None and record.score.pgr_low < record.score.pgr < record.score.pgr_high
