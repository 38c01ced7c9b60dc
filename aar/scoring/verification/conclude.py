"""The end of a verification: what its experiments, once run, say about the method."""

import time
from collections.abc import Callable, Sequence

from aar.config import CampaignConfig, VerificationConfig
from aar.errors import ScoringError
from aar.scoring.dataset import HeldOutDataset
from aar.scoring.records import PLATFORM, SEALED, Experiment, Verification
from aar.scoring.seeds import research_seeds
from aar.scoring.stats.pgr import mean_pgr_estimate
from aar.scoring.store import ScoreStore
from aar.scoring.verification.comparison import Comparison
from aar.scoring.verification.controls import control, recipe_matched_pgr
from aar.scoring.verification.plan import vanilla_of


async def conclude(
    config: CampaignConfig,
    settings: VerificationConfig,
    book: ScoreStore,
    subject: Experiment,
    arms: Sequence[Experiment],
    hidden: Callable[[str], HeldOutDataset],
) -> Verification:
    """Measure what is missing, compare, and keep the verification.

    Args:
        arms: the experiments that `plan` gave, all of them ended.

    Raises:
        ScoringError: the method, or vanilla, failed on fresh seeds.
    """
    compared = _compared(book, subject, arms, hidden)
    for dataset in compared.method.datasets:
        await hidden(dataset).measure_ends(SEALED, compared.method.seeds, research_seeds(config, book.key()))
    over_vanilla = compared.over(compared.vanilla.id)
    found = Verification(
        experiment=subject.id,
        seeds=compared.method.seeds,
        pgr=mean_pgr_estimate(compared.gaps()),
        over_vanilla=over_vanilla.estimate(),
        p_value=over_vanilla.p_value(),
        candidates=_candidates(book),
        optimism=compared.optimism(),
        datasets=tuple(compared.on(dataset) for dataset in compared.method.datasets),
        controls=tuple([await control(name, compared) for name in settings.controls]),
        recipe_matched_pgr=await recipe_matched_pgr(compared) if "recipe" in settings.controls else None,
        time=time.time(),
    )
    book.keep_verification(found, _entry(found))
    return found


def _compared(
    book: ScoreStore, subject: Experiment, arms: Sequence[Experiment], hidden: Callable[[str], HeldOutDataset]
) -> Comparison:
    controls = {one.labels: one for one in arms if one.verification_of == subject.id}
    method = _scored(controls.pop("teacher"))
    vanilla_id = vanilla_of(book).id
    vanilla = _scored(next(one for one in arms if (one.verification_of, one.labels) == (vanilla_id, "teacher")))
    return Comparison(subject, vanilla, method, controls, hidden, book)


def _scored(arm: Experiment) -> Experiment:
    if arm.status != "scored":
        why = arm.failure.text if arm.failure else "it has not ended"
        raise ScoringError(f"{arm.verification_of} cannot be verified: run again on fresh seeds ({arm.id}), {why}")
    return arm


def _candidates(book: ScoreStore) -> int:
    """Return how many submissions of researchers were scored: the family over which p-values are corrected."""
    submissions = [one for one in book.experiments() if one.researcher != PLATFORM and one.verification_of is None]
    return sum(one.status == "scored" for one in submissions)


def _entry(found: Verification) -> dict[str, object]:
    return {
        "experiment": found.experiment,
        "seeds": found.seeds,
        "pgr": [found.pgr.value, found.pgr.low, found.pgr.high],
        "p_value": found.p_value,
        "candidates": found.candidates,
        "controls": {one.control: one.verdict for one in found.controls},
    }
