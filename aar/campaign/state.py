"""How a campaign stands, read from its folder alone: the same for the driver's live view and for `aar status`."""

from dataclasses import dataclass
from pathlib import Path

from aar.budget import Spent
from aar.campaign.folder import COMMONS, is_running, stored_config
from aar.campaign.record import FILE as RECORD_FILE
from aar.campaign.record import Record
from aar.campaign.researcher_state import ResearcherState, researcher_states, spent_in
from aar.commons import FORUM_FILE
from aar.commons.forum import PAGE_POSTS, Forum
from aar.commons.posts import Post
from aar.researchers.diversity import families
from aar.scoring.records import PLATFORM, VANILLA, Baselines, Experiment, Retest
from aar.scoring.scorebook import FILE as SCORES_FILE
from aar.scoring.scorebook import Scorebook

CAMPAIGN = "campaign"
"""The source of events that are the campaign's own; its latest is the phase."""


@dataclass(frozen=True)
class CampaignState:
    """One campaign at one moment. Seconds are wall time; `experiments` are oldest first.

    `protected`: researchers' code runs behind a wall; without one it could have changed any score of the campaign.
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
    baselines: Baselines | None
    retests: tuple[Retest, ...]
    spent: Spent
    families: dict[str, int]

    @property
    def scored(self) -> list[Experiment]:
        """Scored experiments on the research dataset, best PGR first."""
        scored = [one for one in self.experiments if one.score is not None]
        return sorted(scored, key=lambda one: -(one.score.pgr if one.score else 0))

    @property
    def best(self) -> Experiment | None:
        """The best experiment by a researcher, if any."""
        return next((one for one in self.scored if one.researcher != PLATFORM), None)

    @property
    def reference(self) -> Experiment | None:
        """The vanilla method's experiment, once it was scored."""
        return next((one for one in self.scored if (one.researcher, one.note) == (PLATFORM, VANILLA)), None)


def read_state(folder: Path) -> CampaignState:
    """The state of the campaign in `folder`. Raises CampaignError or StorageError when it cannot be read."""
    config = stored_config(folder)
    record = Record(folder, read_only=True) if (folder / RECORD_FILE).exists() else None
    book = Scorebook(folder, read_only=True) if (folder / SCORES_FILE).exists() else None
    events = record.events() if record else []
    dataset = config.problem.dataset().name
    experiments = [one for one in (book.experiments() if book else []) if one.dataset == dataset]
    latest = {event.source: event.text for event in events}
    researchers = researcher_states(folder, config, latest, experiments)
    return CampaignState(
        name=config.name,
        folder=folder,
        running=is_running(folder),
        protected=config.sandbox.provider != "none",
        phase=latest.get(CAMPAIGN, "not started"),
        seconds_used=record.seconds_used() if record else 0.0,
        seconds_budget=config.budget.minutes * 60,
        researchers=researchers,
        experiments=tuple(experiments),
        baselines=book.baselines(dataset) if book else None,
        retests=tuple(book.retests()) if book else (),
        spent=spent_in(folder),
        families=dict(families(_results(folder))),
    )


def _results(folder: Path) -> list[Post]:
    file = folder / COMMONS / FORUM_FILE
    return Forum(file, read_only=True).posts(kind="result", limit=PAGE_POSTS) if file.exists() else []
