"""Which experiments a verification consists of: the method and vanilla on fresh seeds, and the method on other labels.

They are experiments like any other, run by the same actor in fresh sandboxes; only their seeds, labels and part of the
test set differ. Keys are the same for the same question, so that vanilla is run once for all methods, and a
verification that was interrupted goes on.
"""

from collections.abc import Callable

from aar.config import CampaignConfig, VerificationConfig
from aar.errors import ScoringError
from aar.scoring.dataset import HeldOutDataset
from aar.scoring.records import PLATFORM, Experiment, Labels
from aar.scoring.seeds import verification_seeds
from aar.scoring.store import Admission, ScoreStore

Arm = tuple[Experiment, Labels, list[str]]
"""A method, whose labels it gets, and on which datasets."""


def plan(
    config: CampaignConfig,
    settings: VerificationConfig,
    book: ScoreStore,
    subject: Experiment,
    hidden: Callable[[str], HeldOutDataset],
) -> list[Experiment]:
    """The experiments that a verification of `subject` consists of, admitted; some may have ended before.

    Raises ScoringError when there is no vanilla to compare with, or `subject` was not scored.
    """
    if subject.status != "scored" or subject.verification_of:
        raise ScoringError(f"{subject.id} was not scored in research, so there is nothing to verify")
    seeds = verification_seeds(config, book, settings.seeds)
    shown = config.problem.research + (config.problem.transfer if settings.transfer else [])
    everywhere = [dataset.name for dataset in shown]
    arms: list[Arm] = [(vanilla_of(book), "teacher", everywhere), (subject, "teacher", everywhere)]
    arms += _control_arms(settings, subject, hidden)
    admitted = [_admit(book, arm, seeds) for arm in arms]
    return list({one.id: one for one in admitted}.values())


def vanilla_of(book: ScoreStore) -> Experiment:
    """The campaign's vanilla reference. Raises ScoringError when there is none yet."""
    found = next((one for one in book.experiments() if one.is_reference and one.status == "scored"), None)
    if found is None:
        raise ScoringError("the vanilla reference was not measured yet; run the campaign's baselines first")
    return found


def _control_arms(
    settings: VerificationConfig, subject: Experiment, hidden: Callable[[str], HeldOutDataset]
) -> list[Arm]:
    research, wanted = list(subject.datasets), list[Labels]()
    if "shuffled" in settings.controls:
        wanted.append("shuffled")
    if "teachers" in settings.controls:
        wanted.append("worse")
        if all(hidden(name).has_better_teacher for name in research):
            wanted.append("better")
    return [(subject, labels, research) for labels in wanted]


def _admit(book: ScoreStore, arm: Arm, seeds: tuple[int, ...]) -> Experiment:
    original, labels, datasets = arm
    key = f"verify/{original.id}/{labels}/{len(seeds)}/{'+'.join(datasets)}"
    note = f"{original.note.text}: verification, {labels} labels"
    return book.admit(Admission(key, PLATFORM, original.snapshot, tuple(datasets), note, seeds, labels, original.id))
