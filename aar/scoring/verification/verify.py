"""A verification from plan to conclusion: the method and vanilla on fresh seeds, and the method on other labels.

Its arms are ordinary experiments, run by the same actor in fresh sandboxes; only their seeds, labels and split of the
test set differ. The same question has the same idempotency key, so vanilla runs once for all methods, and a
verification that was interrupted resumes.
"""

import time
from collections.abc import Callable, Sequence

from aar.config import PLATFORM, CampaignConfig, VerificationConfig
from aar.errors import ScoringError
from aar.scoring.dataset import HeldOutDataset
from aar.scoring.draws import research_seeds, verification_seeds
from aar.scoring.records import SEALED, Experiment, Labels, Verification
from aar.scoring.stats.pgr import mean_pgr_estimate
from aar.scoring.store import ExperimentRequest, ScoreStore
from aar.scoring.verification.comparison import Comparison
from aar.scoring.verification.controls import control, recipe_matched_pgr

Arm = tuple[Experiment, Labels, list[str]]
"""A method, whose labels it gets, and the datasets it runs on."""


def plan(
    config: CampaignConfig,
    settings: VerificationConfig,
    store: ScoreStore,
    subject: Experiment,
    held_out: Callable[[str], HeldOutDataset],
) -> list[Experiment]:
    """Admit the experiments of which a verification of `subject` consists and return them; some may have ended already.

    Raises ScoringError when there is no vanilla to compare with, or `subject` was not scored.
    """
    if subject.status != "scored" or subject.verification_of:
        raise ScoringError(f"{subject.id} was not scored in research, so there is nothing to verify")
    seeds = verification_seeds(config, store, settings.seeds)
    datasets = config.problem.research + (config.problem.transfer if settings.transfer else [])
    names = [dataset.name for dataset in datasets]
    arms: list[Arm] = [(vanilla_of(store), "teacher", names), (subject, "teacher", names)]
    arms += _control_arms(settings, subject, held_out)
    admitted = [_admit(store, arm, seeds) for arm in arms]
    # Vanilla may itself be the subject: then its arm was admitted twice, under the same key.
    return list({experiment.id: experiment for experiment in admitted}.values())


async def conclude(
    config: CampaignConfig,
    settings: VerificationConfig,
    store: ScoreStore,
    subject: Experiment,
    arms: Sequence[Experiment],
    held_out: Callable[[str], HeldOutDataset],
) -> Verification:
    """Measure what is missing, compare, and store the verification.

    Args:
        arms: the experiments that `plan` returned, all of them ended.

    Raises:
        ScoringError: the method, or vanilla, failed on fresh seeds.
    """
    comparison = _comparison(store, subject, arms, held_out)
    method = comparison.method
    for dataset in method.datasets:
        await held_out(dataset).measure_ends(SEALED, method.seeds, research_seeds(config, store.key()))
    over_vanilla = comparison.over(comparison.vanilla.id)
    matched = await recipe_matched_pgr(comparison) if "recipe" in settings.controls else None
    verification = Verification(
        experiment=subject.id,
        seeds=method.seeds,
        pgr=mean_pgr_estimate(comparison.gaps()),
        over_vanilla=over_vanilla.estimate(),
        p_value=over_vanilla.p_value(),
        candidates=_candidates(store),
        optimism=comparison.optimism(),
        datasets=tuple(comparison.on(dataset) for dataset in method.datasets),
        controls=tuple([await control(name, comparison) for name in settings.controls]),
        recipe_matched_pgr=matched,
        time=time.time(),
    )
    store.save_verification(verification, _ledger_body(verification))
    return verification


def vanilla_of(store: ScoreStore) -> Experiment:
    """Return the campaign's vanilla reference. Raises ScoringError when it was not scored yet."""
    for experiment in store.experiments():
        if experiment.is_reference and experiment.status == "scored":
            return experiment
    raise ScoringError("the vanilla reference was not measured yet; run the campaign's baselines first")


def _control_arms(
    settings: VerificationConfig, subject: Experiment, held_out: Callable[[str], HeldOutDataset]
) -> list[Arm]:
    research, needed = list(subject.datasets), list[Labels]()
    if "shuffled" in settings.controls:
        needed.append("shuffled")
    if "teachers" in settings.controls:
        needed.append("worse")
        if all(held_out(name).has_better_teacher for name in research):
            needed.append("better")
    return [(subject, labels, research) for labels in needed]


def _admit(store: ScoreStore, arm: Arm, seeds: tuple[int, ...]) -> Experiment:
    original, labels, datasets = arm
    key = f"verify/{original.id}/{labels}/{len(seeds)}/{'+'.join(datasets)}"
    note = f"{original.note.text}: verification, {labels} labels"
    return store.admit(
        ExperimentRequest(key, PLATFORM, original.snapshot, tuple(datasets), note, seeds, labels, original.id)
    )


def _comparison(
    store: ScoreStore, subject: Experiment, arms: Sequence[Experiment], held_out: Callable[[str], HeldOutDataset]
) -> Comparison:
    controls = {arm.labels: arm for arm in arms if arm.verification_of == subject.id}
    method = _scored(controls.pop("teacher"))
    vanilla_id = vanilla_of(store).id
    vanilla = _scored(next(arm for arm in arms if (arm.verification_of, arm.labels) == (vanilla_id, "teacher")))
    return Comparison(subject, vanilla, method, controls, held_out, store)


def _scored(arm: Experiment) -> Experiment:
    if arm.status != "scored":
        reason = arm.failure.text if arm.failure else "it has not ended"
        raise ScoringError(
            f"{arm.verification_of} cannot be verified: its rerun on fresh seeds ({arm.id}) has no score: {reason}"
        )
    return arm


def _candidates(store: ScoreStore) -> int:
    """Return how many submissions of researchers were scored: the family over which p-values are corrected."""
    scored = [experiment for experiment in store.experiments() if experiment.status == "scored"]
    return sum(experiment.researcher != PLATFORM and experiment.verification_of is None for experiment in scored)


def _ledger_body(verification: Verification) -> dict[str, object]:
    pgr = verification.pgr
    return {
        "experiment": verification.experiment,
        "seeds": verification.seeds,
        "pgr": [pgr.value, pgr.low, pgr.high],
        "p_value": verification.p_value,
        "candidates": verification.candidates,
        "controls": {result.control: result.verdict for result in verification.controls},
    }
