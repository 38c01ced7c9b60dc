"""How a campaign stands, read from its folder alone: the same for the driver's live view and for `aar status`."""

from dataclasses import dataclass
from pathlib import Path

from aar.budget import Spent
from aar.campaign.audit import stored_findings
from aar.campaign.folder import COMMONS, is_running, stored_config
from aar.campaign.record import FILE as RECORD_FILE
from aar.campaign.record import Record
from aar.campaign.researcher_state import ResearcherState, researcher_states, spent_in
from aar.commons import FORUM_FILE
from aar.commons.forum import Forum
from aar.commons.posts import NamedFamily
from aar.researchers.diversity import Step, families, history
from aar.scoring.ledger import ORIGIN, head
from aar.scoring.records import PLATFORM, Baselines, Experiment, Verification
from aar.scoring.scorebook import FILE as SCORES_FILE
from aar.scoring.scorebook import Scorebook

CAMPAIGN = "campaign"
"""The source of events that are the campaign's own; its latest is the phase."""


@dataclass(frozen=True)
class CampaignState:
    """One campaign at one moment. Seconds are wall time; `experiments` are oldest first, without verifying ones.

    `protected`: researchers' code runs behind a wall; without one it could have changed any score of the campaign.
    `baselines`: one for each research dataset, once they were computed. `findings`: what the last audit found, in
    words, by experiment. `ledger_head`: the digest that stands for the whole ledger. `families`: results by family of
    methods; `diversity`: the entropy over families after each result.
    """

    name: str
    folder: Path
    running: bool
    protected: bool
    phase: str
    seconds_used: float
    seconds_budget: float
    researchers: tuple[ResearcherState, ...]
    experiments: tuple[Experiment, ...]
    spent: Spent
    families: dict[str, int]
    diversity: tuple[Step, ...]
    baselines: tuple[Baselines, ...]
    verifications: tuple[Verification, ...]
    protocol: str
    findings: dict[str, tuple[str, ...]]
    ledger_head: str

    @property
    def weak_acc(self) -> float | None:
        """The teachers' accuracy on dev: mean over the research datasets, once all are measured."""
        return sum(one.weak.value for one in self.baselines) / len(self.baselines) if self.baselines else None

    @property
    def ceiling_acc(self) -> float | None:
        """The ceilings' accuracy, likewise."""
        return sum(one.ceiling.value for one in self.baselines) / len(self.baselines) if self.baselines else None

    @property
    def scored(self) -> list[Experiment]:
        """Experiments with a released score, best PGR first."""
        scored = [one for one in self.experiments if one.score is not None]
        return sorted(scored, key=lambda one: -(one.score.pgr if one.score else 0))

    @property
    def ranked(self) -> list[Experiment]:
        """The researchers' experiments with a released score, best first."""
        return [one for one in self.scored if one.researcher != PLATFORM]

    @property
    def best(self) -> Experiment | None:
        """The best experiment by a researcher, if any."""
        return next(iter(self.ranked), None)

    @property
    def reference(self) -> Experiment | None:
        """The vanilla method's experiment, once it was scored."""
        return next((one for one in self.scored if one.is_reference), None)

    @property
    def unimproved(self) -> list[Experiment]:
        """Researchers' experiments that were scored and found to be no significant improvement."""
        return [one for one in self.experiments if one.status == "scored" and one.score is None]


def read_state(folder: Path) -> CampaignState:
    """The state of the campaign in `folder`. Raises CampaignError or StorageError when it cannot be read."""
    config = stored_config(folder)
    record = Record(folder, read_only=True) if (folder / RECORD_FILE).exists() else None
    book = Scorebook(folder, read_only=True) if (folder / SCORES_FILE).exists() else None
    events = record.events() if record else []
    latest = {event.source: event.text for event in events}
    experiments = [one for one in (book.experiments() if book else []) if one.verifies is None]
    known = [book.baselines(dataset.name) for dataset in config.problem.research] if book else []
    named = _named_families(folder)
    return CampaignState(
        name=config.name,
        folder=folder,
        running=is_running(folder),
        protected=config.sandbox.provider != "none",
        phase=latest.get(CAMPAIGN, "not started"),
        seconds_used=record.seconds_used() if record else 0.0,
        seconds_budget=config.budget.minutes * 60,
        researchers=researcher_states(folder, config, latest, experiments),
        experiments=tuple(experiments),
        spent=spent_in(folder),
        families=dict(families(named)),
        diversity=tuple(history(named)),
        baselines=tuple(one for one in known if one) if all(known) else (),
        verifications=tuple(book.verifications()) if book else (),
        protocol=config.scoring.protocol,
        findings=stored_findings(folder),
        ledger_head=head(book.ledger()) if book else ORIGIN,
    )


def _named_families(folder: Path) -> list[NamedFamily]:
    file = folder / COMMONS / FORUM_FILE
    return Forum(file, read_only=True).named_families() if file.exists() else []
