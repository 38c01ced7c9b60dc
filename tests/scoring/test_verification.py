"""Verification over a double of the compute actor: fresh seeds, sealed items, controls, and verdicts."""

from pathlib import Path

import pytest

from aar.compute.requests import Average, FineTune, Predict
from aar.config import PLATFORM, BudgetConfig, DatasetConfig, ScoringConfig, TeacherConfig, VerificationConfig
from aar.errors import ScoringError
from aar.models.recipe import Loss
from aar.problems.prompts import model_texts
from aar.scoring.draws import research_seeds
from aar.scoring.records import VANILLA, FitRecipe, RunOutput
from aar.scoring.verification import verdicts
from aar.scoring.verification.verdicts import corrected
from tests.keys import KEY
from tests.scoring.bench import PLAIN, ScorerBench
from tests.scoring.doubles import campaign, preferences, write_dataset

SCORING = ScoringConfig(baseline_seeds=3, seeds=2)
GOOD = {"vanilla": 0.22, "teacher": 0.08, "shuffled": 0.4, "better": 0.06, "worse": 0.25}
ENSEMBLE = (*PLAIN * 3, FitRecipe(2.0, 1e-4, distilled_from=(0, 1, 2)))


@pytest.fixture
def bench(tmp_path: Path) -> ScorerBench:
    data = write_dataset(tmp_path / "data", test=800)
    changes = {"scoring": SCORING, "budget": BudgetConfig(experiments_per_researcher=20)}
    bench = ScorerBench(campaign(data, **changes), tmp_path)
    bench.draw_seeds()
    bench.vanilla(0.22)
    return bench


def control(found: object, name: str) -> object:
    return next(one for one in found.controls if one.control == name)  # type: ignore[attr-defined]


def test_a_good_method_passes_everything(bench: ScorerBench) -> None:
    subject = bench.scored(0.08)
    found = bench.verify(subject, GOOD)
    assert found.pgr.low < found.pgr.value < found.pgr.high
    assert found.over_vanilla.low > 0 and found.p_value < 0.05
    assert {one.control: one.verdict for one in found.controls} == {
        "shuffled": "uses its teacher",
        "teachers": "follows its teacher",
        "recipe": "plain recipe",
        "capability": "capability kept",
    }
    assert found.recipe_matched_pgr is None
    assert verdicts.verdicts(found, found.p_value) == ["better than vanilla"]


def test_it_runs_on_fresh_seeds_and_is_scored_on_sealed_items_with_paired_references(bench: ScorerBench) -> None:
    subject = bench.scored(0.08)
    before = len(bench.compute.requests)
    found = bench.verify(subject, GOOD)
    research = bench.do(bench.scorer.baselines()).seeds
    assert len(found.seeds) == 3 and set(found.seeds).isdisjoint(research)
    sealed = set(model_texts(bench.sealed.examples, "scalar_head"))
    predicted = [request for request in bench.compute.requests[before:] if isinstance(request, Predict)]
    asked = {one for request in predicted for one in bench.compute.texts(request)}
    assert asked == sealed
    [part] = found.datasets
    students = {run: one for run, one in bench.trained(subject, 0.08).items()}
    assert part.items == len(bench.sealed) == 400
    assert part.accuracy.value == pytest.approx(0.92, abs=0.03) and part.vanilla.value == pytest.approx(0.78, abs=0.03)
    assert part.accuracy.value - part.vanilla.value == pytest.approx(part.over_vanilla.value)
    assert students and part.role == "research"


def test_fresh_seeds_are_the_systems_draw_recorded_and_not_repeated(tmp_path: Path) -> None:
    bench = ScorerBench(campaign(write_dataset(tmp_path / "data"), scoring=SCORING), tmp_path)
    bench.vanilla()
    subject, settings = bench.scored(0.1), VerificationConfig(seeds=5, controls=[])
    seeds = [one.seeds for _ in range(2) for one in bench.do(bench.scorer.plan_verification(subject.id, settings))]
    assert len(set(seeds)) == 1 and len(set(seeds[0])) == 5
    assert set(seeds[0]).isdisjoint(research_seeds(bench.config, KEY))
    assert [entry.body["seeds"][:5] for entry in bench.ledger() if entry.kind == "seeds"] == [list(seeds[0])]


def test_seeds_are_drawn_once_and_vanilla_runs_once_for_all(bench: ScorerBench) -> None:
    one, other = bench.scored(0.08, key="1"), bench.scored(0.1, key="2", snapshot="s2")
    first, second = bench.verify(one, GOOD), bench.verify(other, GOOD)
    assert first.seeds == second.seeds
    vanillas = [each for each in bench.store.experiments() if each.verification_of == "e1"]
    assert len(vanillas) == 1


def test_a_verification_that_was_interrupted_resumes(bench: ScorerBench) -> None:
    subject, settings = bench.scored(0.08), VerificationConfig(seeds=3, controls=["shuffled"])
    planned = bench.do(bench.scorer.plan_verification(subject.id, settings))
    bench.do(bench.scorer.score(planned[0].id, bench.trained(planned[0], 0.22)))
    bench.restart()
    again = bench.do(bench.scorer.plan_verification(subject.id, settings))
    assert [one.id for one in again] == [one.id for one in planned]
    assert [one.status for one in again] == ["scored", "running", "running"]
    with pytest.raises(ScoringError, match="it has not ended"):
        bench.do(bench.scorer.conclude_verification(subject.id, settings))


def test_researchers_learn_nothing_from_a_verification(bench: ScorerBench) -> None:
    subject = bench.scored(0.08)
    bench.verify(subject, GOOD)
    bench.restart()
    assert [one.id for one in bench.do(bench.scorer.experiments())] == ["e1", subject.id]
    arms = [one for one in bench.store.experiments() if one.verification_of]
    assert arms and all((one.researcher, one.score) == (PLATFORM, None) for one in arms)


def test_a_method_that_ignores_its_teacher_gets_that_verdict(bench: ScorerBench) -> None:
    subject, settings = bench.scored(0.08), VerificationConfig(seeds=3)
    for arm in bench.do(bench.scorer.plan_verification(subject.id, settings)):
        name = "vanilla" if arm.verification_of == "e1" else "the same student"
        keys = {
            run: bench.compute.student(f"{name} {run.seed}", 0.22 if name == "vanilla" else 0.08) for run in arm.runs
        }
        bench.do(bench.scorer.score(arm.id, {run: RunOutput(key, PLAIN) for run, key in keys.items()}))
    found = bench.do(bench.scorer.conclude_verification(subject.id, settings))
    assert control(found, "shuffled").verdict == "uses no weak supervision"  # type: ignore[attr-defined]
    assert control(found, "teachers").verdict == "indifferent to its teacher"  # type: ignore[attr-defined]
    assert "uses no weak supervision" in verdicts.verdicts(found, found.p_value)


def test_a_method_that_was_lucky_on_dev_is_not_better_than_vanilla(bench: ScorerBench) -> None:
    found = bench.verify(bench.scored(0.05), {**GOOD, "teacher": 0.22})
    assert verdicts.verdicts(found, found.p_value)[:2] == ["not shown to be better than vanilla", "overfitted to dev"]
    assert found.optimism is not None and found.optimism.value > 0.3


def test_a_gain_that_vanilla_gets_from_the_same_ensembling_is_recognised(bench: ScorerBench) -> None:
    bench.compute.ceiling_error = 0.04  # students that come from fits are good, vanilla's own are not
    subject = bench.scored(0.22, fits=ENSEMBLE)
    found = bench.verify(subject, {**GOOD, "vanilla": 0.42, "teacher": 0.24}, fits=ENSEMBLE, controls=["recipe"])
    assert [one.verdict for one in found.controls] == ["gain is from ensembling"]
    assert found.recipe_matched_pgr is not None


def test_longer_training_is_recognised_too_and_so_is_supervision(bench: ScorerBench) -> None:
    longer, errors = (FitRecipe(9.0, 1e-4),), {**GOOD, "vanilla": 0.42}
    recipe = bench.verify(
        bench.scored(0.22, fits=longer), {**errors, "teacher": 0.24}, fits=longer, controls=["recipe"]
    )
    assert [one.verdict for one in recipe.controls] == ["gain is from the recipe"]
    other = bench.scored(0.05, fits=longer, key="2", snapshot="s2")
    real = bench.verify(other, {**errors, "teacher": 0.02}, fits=longer, controls=["recipe"])
    assert [one.verdict for one in real.controls] == ["gain is from supervision"]


def test_a_recipe_is_replayed_on_vanillas_labels_fit_by_fit(bench: ScorerBench) -> None:
    steps = (FitRecipe(3.0, 1e-3), FitRecipe(1.0, 1e-4, start=0), FitRecipe(2.0, 1e-4, distilled_from=(0, 1)))
    subject = bench.scored(0.1, fits=steps)
    before = len(bench.compute.requests)
    bench.verify(subject, GOOD, fits=steps, controls=["recipe"])
    fits = [one for one in bench.compute.requests[before:] if isinstance(one, FineTune)]
    first = [one for one in fits if one.recipe.epochs == 3.0]
    assert len(first) == 6  # three seeds, on vanilla's labels and on ground truth
    second = [one for one in fits if one.recipe.epochs == 1.0]
    assert {one.start for one in second} == {one.key() for one in first}
    assert all(set(one.targets.tolist()) <= {0.0, 1.0} for one in first + second)
    assert all(len(set(one.targets.tolist())) > 1 for one in fits if one.recipe.epochs == 2.0)


def test_an_average_is_replayed_too(bench: ScorerBench) -> None:
    fits = (*PLAIN, FitRecipe(3.0, 1e-4), FitRecipe(0, 0, average_of=((0, 0.25), (1, 0.75))))
    subject = bench.scored(0.22, fits=fits)
    before = len(bench.compute.requests)
    errors = {**GOOD, "vanilla": 0.42, "teacher": 0.24}
    found = bench.verify(subject, errors, fits=fits, controls=["recipe"])
    assert [one.verdict for one in found.controls] == ["gain is from ensembling"]
    averages = [one for one in bench.compute.requests[before:] if isinstance(one, Average)]
    assert len(averages) == 6 and {one.shares for one in averages} == {(0.25, 0.75)}


def test_another_loss_is_a_recipe_and_is_replayed_too(bench: ScorerBench) -> None:
    gce = Loss.named("gce")
    fits = (FitRecipe(2.0, 1e-4, loss=gce),)
    subject = bench.scored(0.22, fits=fits)
    before = len(bench.compute.requests)
    errors = {**GOOD, "vanilla": 0.42, "teacher": 0.24}
    found = bench.verify(subject, errors, fits=fits, controls=["recipe"])
    assert [one.verdict for one in found.controls] == ["gain is from the recipe"]
    replayed = [one for one in bench.compute.requests[before:] if isinstance(one, FineTune) and one.loss == gce]
    assert len(replayed) == 6  # three seeds, on vanilla's labels and on ground truth


def test_a_program_of_the_methods_own_cannot_be_replayed_and_is_reported_as_not_checked(bench: ScorerBench) -> None:
    found = bench.verify(bench.scored(0.1, fits=None), GOOD, fits=None, controls=["recipe"])
    assert [one.verdict for one in found.controls] == ["not checked"]
    assert found.recipe_matched_pgr is None


def test_a_student_that_forgot_its_language_is_found(bench: ScorerBench) -> None:
    subject = bench.scored(0.08)
    settings = VerificationConfig(seeds=3, controls=["capability"])
    for arm in bench.do(bench.scorer.plan_verification(subject.id, settings)):
        trained = bench.trained(arm, 0.08)
        bench.compute.forgets |= {one.student or "": 0.8 for one in trained.values()}
        bench.do(bench.scorer.score(arm.id, trained))
    found = bench.do(bench.scorer.conclude_verification(subject.id, settings))
    assert found.controls[0].verdict == "capability lost"
    assert found.controls[0].effect is not None and found.controls[0].effect.value == pytest.approx(0.8, abs=0.01)


def test_a_method_that_fails_on_fresh_seeds_cannot_be_verified_but_may_fail_a_control(
    bench: ScorerBench,
) -> None:
    subject, settings = bench.scored(0.08), VerificationConfig(seeds=3, controls=["shuffled"])
    for arm in bench.do(bench.scorer.plan_verification(subject.id, settings)):
        if arm.labels == "shuffled":
            bench.do(bench.scorer.fail(arm.id, "the method raised KeyError"))
        else:
            bench.do(bench.scorer.score(arm.id, bench.trained(arm, 0.1)))
    found = bench.do(bench.scorer.conclude_verification(subject.id, settings))
    assert (found.controls[0].verdict, found.controls[0].words) == ("failed", "the method raised KeyError")
    other = bench.scored(0.08, key="2", snapshot="s2")
    arms = bench.do(bench.scorer.plan_verification(other.id, VerificationConfig(seeds=3, controls=[])))
    bench.do(bench.scorer.fail(arms[-1].id, "only on seed 7"))
    with pytest.raises(ScoringError, match=r"e.* cannot be verified: .* only on seed 7"):
        bench.do(bench.scorer.conclude_verification(other.id, VerificationConfig(seeds=3, controls=[])))


def test_only_what_was_scored_in_research_can_be_verified(bench: ScorerBench) -> None:
    running = bench.admit("9")
    with pytest.raises(ScoringError, match="was not scored in research"):
        bench.do(bench.scorer.plan_verification(running.id, VerificationConfig()))


def test_without_vanilla_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    bench = ScorerBench(campaign(write_dataset(tmp_path / "data"), scoring=SCORING), tmp_path)
    with pytest.raises(ScoringError, match="the vanilla reference was not measured yet"):
        bench.do(bench.scorer.plan_verification(bench.scored(0.1).id, VerificationConfig()))


def test_a_teacher_that_learns_from_all_there_is_has_no_better_one(tmp_path: Path) -> None:
    teacher = TeacherConfig(model="weak")
    bench = ScorerBench(campaign(write_dataset(tmp_path / "data"), scoring=SCORING, teacher=teacher), tmp_path)
    bench.scored(0.2, key=VANILLA, researcher=PLATFORM, note=VANILLA)
    subject = bench.scored(0.1)
    planned = bench.do(bench.scorer.plan_verification(subject.id, VerificationConfig(seeds=2, controls=["teachers"])))
    assert [one.labels for one in planned] == ["teacher", "teacher", "worse"]


def test_transfer_datasets_are_hidden_in_research_and_scored_in_verification(tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "pairs", preferences, test=400)
    also = [DatasetConfig(name="pairs", source=str(other), role="transfer")]
    bench = ScorerBench(campaign(write_dataset(tmp_path / "data", test=400), scoring=SCORING, also=also), tmp_path)
    bench.vanilla()
    subject = bench.scored(0.08)
    assert {run.dataset for run in subject.runs} == {"data"}
    found = bench.verify(subject, GOOD, controls=["shuffled"])
    assert [(one.dataset, one.role) for one in found.datasets] == [("data", "research"), ("pairs", "transfer")]
    assert found.pgr == found.datasets[0].pgr
    without = bench.verify(subject, GOOD, controls=[], transfer=False)
    assert [one.dataset for one in without.datasets] == ["data"]


def test_every_look_at_sealed_is_corrected_for_and_every_candidate_is_counted(bench: ScorerBench) -> None:
    subjects = [bench.scored(0.08 + 0.01 * n, key=str(n), snapshot=f"s{n}") for n in range(3)]
    found = [bench.verify(one, GOOD, controls=[]) for one in subjects]
    assert [one.candidates for one in found] == [3, 3, 3]
    adjusted = corrected(bench.store.verifications())
    assert all(adjusted[one.experiment] >= one.p_value for one in found)
    assert verdicts.strict(found[0]) == pytest.approx(min(1, 3 * found[0].p_value))
    verified = [entry for entry in bench.ledger() if entry.kind == "verified"]
    assert [entry.body["experiment"] for entry in verified] == [one.id for one in subjects]
