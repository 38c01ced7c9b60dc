"""The scorer over a double of the compute actor: measurements, draws, admissions, refusals, and secrets."""

import asyncio
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aar.commons.foreign import Foreign
from aar.compute.requests import FineTune, Predict
from aar.config import (
    PLATFORM,
    BudgetConfig,
    DatasetConfig,
    ResearcherBudget,
    ResearcherConfig,
    ScoringConfig,
    VerificationConfig,
)
from aar.errors import ConfigError, ModelError, ScoringError
from aar.logs import SafeFormatter
from aar.problems.prompts import model_texts
from aar.scoring.ledger import verify_chain
from aar.scoring.records import ExperimentRun, RunOutput
from aar.scoring.stats.pgr import performance_gap_recovered
from aar.scoring.store import NOTED_REFUSALS
from tests.scoring.bench import ScorerBench
from tests.scoring.doubles import campaign, preferences, texts_of, write_dataset


@pytest.fixture
def bench(tmp_path: Path) -> ScorerBench:
    return ScorerBench(campaign(write_dataset(tmp_path / "data")), tmp_path)


def with_changes(folder: Path, **changes: Any) -> ScorerBench:
    return ScorerBench(campaign(write_dataset(folder / "data"), **changes), folder)


def test_baselines_are_means_over_the_baseline_seeds_on_dev(bench: ScorerBench) -> None:
    baselines = bench.do(bench.scorer.baselines())
    assert (baselines.dataset, baselines.test_items, len(set(baselines.seeds))) == ("data", 120, 4)
    fits = bench.compute.of_kind(FineTune)
    assert sorted(request.seed for request in fits) == sorted(baselines.seeds)
    ceilings = {ExperimentRun("data", request.seed): RunOutput(request.key()) for request in fits}
    assert baselines.ceiling.value == pytest.approx(bench.accuracy(ceilings, bench.dev))
    texts = model_texts(bench.dev.examples, "scalar_head")
    weak = 1 - np.mean([bench.compute.errs("teacher", one, bench.compute.weak_error) for one in texts])
    assert baselines.weak.value == pytest.approx(weak)
    assert baselines.weak.low < weak < baselines.weak.high < baselines.ceiling.low


def test_baselines_are_computed_once_for_all_callers_and_across_restarts(bench: ScorerBench) -> None:
    async def twice() -> tuple[Any, Any]:
        return await asyncio.gather(bench.scorer.baselines(), bench.scorer.baselines("data"))

    one, other = bench.do(twice())
    requests = len(bench.compute.requests)
    bench.restart()
    assert bench.do(bench.scorer.baselines()) == one == other
    assert len(bench.compute.requests) == requests


def test_without_a_gap_there_is_nothing_to_score(bench: ScorerBench) -> None:
    bench.compute.ceiling_error = 0.45
    with pytest.raises(ScoringError, match=r"the ceiling \(0\.\d+\) is not above the teacher .*Train the student"):
        bench.do(bench.scorer.baselines())


def test_an_unknown_dataset_is_refused(bench: ScorerBench) -> None:
    with pytest.raises(ConfigError, match='no dataset "other"; it has: data'):
        bench.do(bench.scorer.baselines("other"))


def test_all_experiments_run_on_the_same_seeds_and_the_reference_on_all_of_the_baselines(bench: ScorerBench) -> None:
    pool = bench.do(bench.scorer.baselines()).seeds
    experiments = [bench.admit(str(number), researcher=f"r{number}") for number in range(3)]
    assert {one.seeds for one in experiments} == {pool[:2]}
    assert bench.admit("p", researcher=PLATFORM).seeds == pool


def test_seeds_are_the_same_in_every_campaign_on_the_dataset(bench: ScorerBench, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = ScorerBench(bench.config, tmp_path / "elsewhere")
    assert elsewhere.admit().seeds == bench.admit().seeds


def test_the_same_key_again_is_the_same_experiment_even_after_a_restart(bench: ScorerBench) -> None:
    first = bench.admit()
    assert bench.admit() == first
    bench.restart()
    assert bench.admit() == first
    assert bench.do(bench.scorer.experiments()) == [first]


@pytest.mark.parametrize("note", ["", "two\nlines", "x" * 201, "\x1b[2J"])
def test_a_note_is_one_line_that_can_be_shown(bench: ScorerBench, note: str) -> None:
    with pytest.raises(ScoringError, match="the note "):
        bench.admit(note=note)
    assert bench.do(bench.scorer.experiments()) == []


def test_a_researcher_has_a_limited_number_of_experiments_and_the_platform_any_number(bench: ScorerBench) -> None:
    assert bench.do(bench.scorer.experiments_left("ada")) == 2
    first, _ = bench.admit("1"), bench.admit("2")
    assert bench.do(bench.scorer.experiments_left("ada")) == 0
    with pytest.raises(ScoringError, match="ada has used its 2 experiments"):
        bench.admit("3")
    assert bench.admit("1") == first
    assert bench.admit("4", researcher="bob").researcher == "bob"
    for number in range(4):
        bench.admit(f"p{number}", researcher=PLATFORM)
    assert len(bench.do(bench.scorer.experiments())) == 7
    assert [(entry.kind, entry.author) for entry in bench.ledger() if entry.kind == "refused"] == [("refused", "ada")]


def test_endless_refusals_do_not_make_the_ledger_grow_without_end(bench: ScorerBench) -> None:
    bench.admit("1")
    bench.admit("2")

    async def ask() -> None:
        for number in range(500):
            with pytest.raises(ScoringError, match="has used its 2 experiments"):
                await bench.scorer.admit("ada", "s1", "a note", f"more-{number}")

    bench.do(ask())
    refused = [entry for entry in bench.ledger() if entry.kind == "refused"]
    assert len(refused) == NOTED_REFUSALS
    assert [entry.number for entry in refused if "further" in entry.body] == [refused[-1].number]
    verify_chain(bench.ledger())
    bench.restart()
    assert bench.store.refusals("ada") == 500


def test_the_same_refused_admission_again_is_one_entry(bench: ScorerBench) -> None:
    bench.admit("1")
    bench.admit("2")
    for _ in range(3):
        with pytest.raises(ScoringError, match="has used"):
            bench.admit("3")
    assert len([entry for entry in bench.ledger() if entry.kind == "refused"]) == 1
    assert bench.store.refusals("ada") == 1


def test_a_campaign_has_a_limited_number_of_experiments_under_any_number_of_names(tmp_path: Path) -> None:
    bench = with_changes(tmp_path, budget=BudgetConfig(experiments_per_researcher=5, experiments=3))
    for number in range(3):
        assert bench.do(bench.scorer.experiments_left("new")) == 3 - number
        bench.admit(str(number), researcher=f"r{number}")
    with pytest.raises(ScoringError, match="the campaign has used its 3 experiments"):
        bench.admit("4", researcher="another")


def test_a_budget_for_each_researcher_holds_for_all_of_them_and_an_own_one_before_it(tmp_path: Path) -> None:
    each = BudgetConfig(experiments_per_researcher=5, researcher=ResearcherBudget(experiments=1))
    bench = with_changes(tmp_path / "each", budget=each)
    assert [bench.do(bench.scorer.experiments_left(name)) for name in ("ada", "added-later")] == [1, 1]
    bench.admit("1")
    with pytest.raises(ScoringError, match="ada has used its 1 experiments"):
        bench.admit("2")
    own = ResearcherConfig(name="ada", budget=ResearcherBudget(experiments=7))
    config = campaign(write_dataset(tmp_path / "data"), budget=each).model_copy(update={"researchers": [own]})
    bench = ScorerBench(config, tmp_path)
    assert [bench.do(bench.scorer.experiments_left(name)) for name in ("ada", "ben")] == [7, 1]


def test_a_score_is_what_the_students_get_right_on_dev_rounded_to_the_step(bench: ScorerBench) -> None:
    experiment = bench.admit()
    trained = bench.trained(experiment, error=0.12)
    record = bench.do(bench.scorer.score(experiment.id, trained))
    baselines = bench.do(bench.scorer.baselines())
    exact = performance_gap_recovered(bench.accuracy(trained, bench.dev), baselines.weak.value, baselines.ceiling.value)
    assert record.status == "scored" and record.score is not None
    step = bench.config.scoring.ladder_step
    assert abs(record.score.pgr - exact) <= step / 2 + 1e-9
    assert record.score.pgr / step == pytest.approx(round(record.score.pgr / step))
    assert record.score.pgr_low < record.score.pgr < record.score.pgr_high
    gap = baselines.ceiling.value - baselines.weak.value
    assert record.score.accuracy == pytest.approx(baselines.weak.value + record.score.pgr * gap, abs=1e-4)
    assert bench.do(bench.scorer.experiment(experiment.id)) == record


def test_sealed_items_are_not_predicted_while_researching(bench: ScorerBench) -> None:
    bench.vanilla(), bench.scored(0.1)
    asked = {text for request in bench.compute.of_kind(Predict) for one in bench.compute.texts(request) for text in one}
    assert asked == {text for one in model_texts(bench.dev.examples, "scalar_head") for text in one}


def test_only_a_significant_improvement_over_vanilla_and_then_over_ones_own_best_is_released(tmp_path: Path) -> None:
    bench = with_changes(tmp_path, budget=BudgetConfig(experiments_per_researcher=9))
    assert bench.vanilla(0.22).score is not None
    alike = bench.scored(0.22, key="1")
    assert (alike.status, alike.score, alike.failure) == ("scored", None, None)
    better = bench.scored(0.10, key="2")
    assert better.score is not None
    assert bench.scored(0.10, key="3").score is None
    assert bench.scored(0.30, key="4").score is None
    best = bench.scored(0.01, key="5")
    assert best.score is not None and best.score.pgr > better.score.pgr
    assert bench.scored(0.12, key="6", researcher="bob").score is not None  # bob has no best of his own yet


def test_the_ledger_holds_every_submission_its_predictions_its_answer_and_its_cost(bench: ScorerBench) -> None:
    bench.vanilla(0.22), bench.scored(0.22, key="1"), bench.scored(0.05, key="2")
    answers = [entry for entry in bench.ledger() if entry.kind == "answered"]
    assert [(entry.author, entry.body["released"]) for entry in answers] == [
        (PLATFORM, True), ("ada", False), ("ada", True),
    ]  # fmt: skip
    assert answers[1].body["pgr"] is None and answers[2].body["pgr"] > 0
    assert [entry.body["fits"] for entry in answers] == [4, 2, 2]
    assert len({digest for entry in answers for digest in entry.body["predictions"].values()}) == 8
    assert all(entry.body["seconds"] >= 0 for entry in answers)
    verify_chain(bench.ledger())
    assert bench.do(bench.scorer.ledger_head()) == bench.ledger()[-1].digest


def test_runs_that_are_not_the_experiments_are_refused(bench: ScorerBench) -> None:
    experiment = bench.admit()
    trained = bench.trained(experiment, 0.1)
    one_short = dict(list(trained.items())[1:])
    other_labels = {dataclasses.replace(run, labels="worse"): one for run, one in trained.items()}
    for wrong in (one_short, {**trained, ExperimentRun("data", 12345): RunOutput("extra")}, other_labels, {}):
        with pytest.raises(ScoringError, match=f"the outputs are not for the runs of {experiment.id}"):
            bench.do(bench.scorer.score(experiment.id, wrong))
    assert bench.do(bench.scorer.experiment(experiment.id)).status == "running"


def test_a_score_is_final(bench: ScorerBench) -> None:
    record = bench.scored(0.2)
    assert bench.do(bench.scorer.score(record.id, bench.trained(record, 0.0))) == record
    assert bench.do(bench.scorer.fail(record.id, "no")) == record


def test_a_failed_experiment_keeps_its_reason_and_counts(bench: ScorerBench) -> None:
    experiment = bench.admit()
    failed = bench.do(bench.scorer.fail(experiment.id, "the method raised ZeroDivisionError"))
    assert (failed.status, failed.score) == ("failed", None)
    assert failed.failure == Foreign("the method raised ZeroDivisionError")
    assert bench.do(bench.scorer.score(experiment.id, bench.trained(experiment, 0.1))) == failed
    assert bench.do(bench.scorer.experiments_left("ada")) == 1


def test_everything_is_still_there_after_a_restart(bench: ScorerBench) -> None:
    scored, running = bench.scored(0.15), bench.admit("2")
    bench.restart()
    assert bench.do(bench.scorer.experiments()) == [scored, running]
    assert bench.do(bench.scorer.score(running.id, bench.trained(running, 0.2))).status == "scored"
    assert bench.do(bench.scorer.experiments_left("ada")) == 0


def test_another_test_set_under_the_same_campaign_is_refused(bench: ScorerBench, tmp_path: Path) -> None:
    bench.vanilla()
    write_dataset(tmp_path / "data", test=220)
    bench.restart()
    with pytest.raises(ScoringError, match="its test set is not the one that this campaign began with"):
        bench.do(bench.scorer.task("e1", ExperimentRun("data", 1)))


def test_an_unknown_experiment_cannot_be_scored(bench: ScorerBench) -> None:
    with pytest.raises(ScoringError, match="there is no experiment e7"):
        bench.do(bench.scorer.score("e7", {}))


def test_a_task_holds_no_label_and_no_test_text(bench: ScorerBench) -> None:
    experiment = bench.admit()
    task = bench.do(bench.scorer.task(experiment.id, experiment.runs[0]))
    assert {field.name for field in dataclasses.fields(task)} == {
        "kind", "examples", "weak_labels", "recipe", "test_examples",
    }  # fmt: skip
    assert task.examples == bench.data["data"].train_unlabel.examples and task.test_examples == ()
    assert all({"question", "choice"} == set(dataclasses.asdict(one)) for one in task.examples)
    told = {value for one in task.examples for value in dataclasses.asdict(one).values()}
    assert told.isdisjoint(texts_of(bench.data["data"].test))
    assert told.isdisjoint(texts_of(bench.data["data"].train_label))


def test_a_tasks_weak_labels_are_the_teachers_for_that_seed(bench: ScorerBench) -> None:
    experiment = bench.admit(researcher=PLATFORM)
    one, other = experiment.runs[:2]
    task, same, different = (bench.do(bench.scorer.task(experiment.id, run)).weak_labels for run in (one, one, other))
    np.testing.assert_array_equal(task, same)
    assert not np.array_equal(task, different)
    agreement = ((task[:, 1] > 0.5) == (bench.data["data"].train_unlabel.labels == 1)).mean()
    assert 0.5 < agreement < 1


def test_the_best_are_chosen_by_exact_scores_that_were_not_released(tmp_path: Path) -> None:
    bench = with_changes(tmp_path, budget=BudgetConfig(experiments_per_researcher=9))
    bench.vanilla()
    good, same = bench.scored(0.05, key="1", snapshot="s1"), bench.scored(0.05, key="2", snapshot="s1")
    untold, poor = bench.scored(0.06, key="3", snapshot="s3"), bench.scored(0.3, key="4", snapshot="s4")
    assert untold.score is None and poor.score is None and same.score is None
    assert [one.id for one in bench.do(bench.scorer.best(2))] == [good.id, untold.id]


def test_vanilla_failures_and_verifications_are_not_among_the_best(tmp_path: Path) -> None:
    bench = with_changes(tmp_path, budget=BudgetConfig(experiments_per_researcher=9))
    bench.vanilla(0.01)
    assert bench.do(bench.scorer.best(5)) == []
    good, running = bench.scored(0.1, key="1"), bench.admit("2", snapshot="s2")
    bench.do(bench.scorer.fail(bench.admit("3", snapshot="s3").id, "it raised"))
    bench.do(bench.scorer.plan_verification(good.id, VerificationConfig(controls=[])))
    assert running.status == "running"
    assert [record.id for record in bench.do(bench.scorer.best(5))] == [good.id]
    assert bench.do(bench.scorer.best(0)) == []


def test_a_scorer_that_is_lost_while_it_measures_scores_the_same_outputs_after_a_restart(bench: ScorerBench) -> None:
    bench.vanilla()
    experiment = bench.admit()
    outputs = bench.trained(experiment, 0.05)
    first, second = experiment.runs
    lost = {first: outputs[first], second: RunOutput("a student that the compute actor does not have")}
    with pytest.raises(ModelError, match="no student"):
        bench.do(bench.scorer.score(experiment.id, lost))
    bench.restart()
    assert bench.do(bench.scorer.experiment(experiment.id)).status == "running"
    record = bench.do(bench.scorer.score(experiment.id, outputs))
    assert record.status == "scored" and record.score is not None
    assert [entry.key for entry in bench.store.answers("ada")] == [f"answered/{experiment.id}"]


def test_an_interval_that_says_nothing_is_cut_before_it_is_released(tmp_path: Path) -> None:
    bench = ScorerBench(campaign(write_dataset(tmp_path / "data", test=24)), tmp_path)
    bench.compute.weak_error = 0.3
    bench.compute.ceiling_error = 0.25
    score = bench.scored(0.2).score
    assert score is not None
    assert (score.pgr_low, score.pgr_high) == (pytest.approx(score.pgr - 10), pytest.approx(score.pgr + 10))


def test_decoys_are_the_same_after_a_restart_and_differ_between_owners(bench: ScorerBench) -> None:
    ada, ben = bench.do(bench.scorer.decoys("ada")), bench.do(bench.scorer.decoys("ben"))
    bench.restart()
    assert bench.do(bench.scorer.decoys("ada")) == ada
    assert set(ada) == set(ben) and all(ada[name] != ben[name] for name in ada)


def two_datasets(folder: Path) -> ScorerBench:
    also = [DatasetConfig(name="pairs", source=str(write_dataset(folder / "pairs", preferences)))]
    return with_changes(folder, also=also)


def test_with_several_datasets_the_headline_is_the_mean_pgr_and_each_has_its_own(tmp_path: Path) -> None:
    bench = two_datasets(tmp_path)
    experiment = bench.admit()
    assert {run.dataset for run in experiment.runs} == {"data", "pairs"} and len(experiment.runs) == 4
    trained = {
        run: RunOutput(bench.compute.student(f"s-{run}", 0.02 if run.dataset == "data" else 0.2))
        for run in experiment.runs
    }
    score = bench.do(bench.scorer.score(experiment.id, trained)).score
    assert score is not None and [one.dataset for one in score.by_dataset] == ["data", "pairs"]
    first, second = score.by_dataset
    assert first.pgr > second.pgr + 0.3
    assert score.pgr == pytest.approx((first.pgr + second.pgr) / 2, abs=0.011)
    assert score.pgr_low < score.pgr < score.pgr_high


def test_one_seed_is_enough(tmp_path: Path) -> None:
    scoring, budget = ScoringConfig(baseline_seeds=1, seeds=1), BudgetConfig(experiments_per_researcher=1)
    record = with_changes(tmp_path, scoring=scoring, budget=budget).scored(0.1)
    assert record.score is not None and record.score.pgr_low < record.score.pgr < record.score.pgr_high


class TestPredictions:
    """The predictions protocol: inputs are shown, predictions are handed in."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> ScorerBench:
        scoring = ScoringConfig(baseline_seeds=4, seeds=2, protocol="predictions")
        return with_changes(tmp_path, scoring=scoring, budget=BudgetConfig(experiments_per_researcher=20))

    def hand_in(self, bench: ScorerBench, key: str, values: np.ndarray) -> Any:
        experiment = bench.admit(key)
        trained = {run: RunOutput(None, predictions=values) for run in experiment.runs}
        return bench.do(bench.scorer.score(experiment.id, trained))

    def test_dev_inputs_are_shown_and_sealed_ones_are_not(self, bench: ScorerBench) -> None:
        experiment = bench.admit()
        task = bench.do(bench.scorer.task(experiment.id, experiment.runs[0]))
        assert task.test_examples == bench.dev.examples

    def test_predictions_are_scored_by_the_ladder(self, bench: ScorerBench) -> None:
        bench.vanilla()
        record = self.hand_in(bench, "1", bench.dev.labels.astype(int))
        assert record.score is not None and record.score.pgr > 1
        assert self.hand_in(bench, "2", 1 - bench.dev.labels.astype(int)).score is None

    @pytest.mark.parametrize(
        ("values", "told"),
        [
            (np.full(120, np.nan), "NaN or infinity in 120 rows"),
            (np.zeros(119), r"shape \(119,\); expected \(120,\)"),
            (np.zeros(5_000_000), r"shape \(5000000,\)"),
        ],
    )
    def test_hostile_predictions_are_refused_with_a_reason_and_recorded(
        self, bench: ScorerBench, values: np.ndarray, told: str
    ) -> None:
        record = self.hand_in(bench, "1", values)
        assert record.status == "failed"
        assert record.failure is not None
        assert re.search(told, record.failure.text)
        refused = [entry for entry in bench.ledger() if entry.kind == "refused"]
        assert [(entry.author, entry.body["reason"]) for entry in refused] == [("ada", record.failure.text)]

    def test_predictions_themselves_are_not_stored(self, bench: ScorerBench) -> None:
        bench.vanilla()
        record = self.hand_in(bench, "1", bench.dev.labels.astype(int))
        outputs = bench.store.outputs(record.id, "data")
        assert set(outputs) == set(record.seeds)
        assert all(output.student is None and output.predictions is None for output in outputs.values())

    def test_the_same_predictions_are_not_answered_twice(self, bench: ScorerBench) -> None:
        bench.vanilla()
        first = self.hand_in(bench, "1", bench.dev.labels.astype(int))
        again = self.hand_in(bench, "2", np.stack([bench.dev.labels == 0, bench.dev.labels == 1], axis=1).astype(float))
        assert again.failure == Foreign(f"these predictions equal those of {first.id}, which has its answer")
        assert [entry.kind for entry in bench.ledger()][-2:] == ["refused", "failed"]


def test_admissions_scores_refusals_and_baselines_are_logged_by_id_and_tell_no_more_than_researchers_hear(
    bench: ScorerBench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="aar.scoring.actor"):
        bench.vanilla(0.2)
        better = bench.scored(0.05, key="1", researcher="ada")
        bench.scored(0.05, key="2", researcher="ada")
        failed = bench.admit(key="3", researcher="ben")
        bench.do(bench.scorer.fail(failed.id, "it raised\n\x1b[2J" + "x" * 5000))
        with pytest.raises(ScoringError):
            bench.admit(key="4", researcher="ada")
    lines = [SafeFormatter().format(record).partition("actor: ")[2] for record in caplog.records]
    assert any(
        re.fullmatch(r"baselines of data: teacher 0\.\d+, ceiling 0\.\d+ after \d+\.\d s", line) for line in lines
    )
    assert f"{better.id} by ada: admitted, snapshot s1" in lines
    assert better.score is not None and f"{better.id} by ada: scored, PGR {better.score.pgr:.2f} released" in lines
    assert "e3 by ada: scored, no significant improvement" in lines
    assert any(line.startswith(f"{failed.id}: failed: it raised <U+001B>[2Jxxx") and len(line) < 400 for line in lines)
    assert lines[-1] == "ada: refused, ada has used its 2 experiments"
