"""How a campaign and its researchers are, read from its folder alone: for the driver's live view and for `aar status`.

Failed requests to language models are read from the researchers' transcripts: also those of researchers that have
recovered since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aar.budget import Limit, Resources, Tokens, Usage, UsageStore, limits_of
from aar.budget.limits import experiments_allowed
from aar.budget.usage import FILE as SPEND_FILE
from aar.campaign.audit import stored_findings
from aar.campaign.events import FILE as RECORD_FILE
from aar.campaign.events import EventLog
from aar.campaign.folder import COMMONS, is_running, stored_config
from aar.commons import FORUM_FILE
from aar.commons.diversity import Step, families, history
from aar.commons.forum import Forum, NamedFamily
from aar.config import CampaignConfig, ResearcherConfig
from aar.researchers.commands import FILE as COMMANDS_FILE
from aar.researchers.commands import CommandQueue, DesiredState, OperatorCommand, active_researchers, desired_state
from aar.researchers.directions import direction_name
from aar.researchers.transcript import read, transcript_folders
from aar.scoring.ledger import ORIGIN, head
from aar.scoring.records import PLATFORM, Baselines, Experiment, Verification
from aar.scoring.store import FILE as SCORES_FILE
from aar.scoring.store import ScoreStore


@dataclass(frozen=True)
class ApiFailures:
    """One researcher's failed requests: how many, the text of the last one, and its time in seconds since 1970."""

    count: int
    last: str
    time: float


def api_failures_in(folder: Path) -> dict[str, ApiFailures]:
    """Failed requests by researcher, of those that had any. Raises StorageError: a transcript is damaged."""
    failures = {name: list(read(place, only="api_failure")) for name, place in transcript_folders(folder).items()}
    return {
        name: ApiFailures(len(entries), entries[-1].data["message"], entries[-1].time)
        for name, entries in failures.items()
        if entries
    }


NOTHING = Usage(Resources(), Tokens())


@dataclass(frozen=True)
class ResearcherState:
    """One researcher: what it is doing, what it has done and used up, and the limits that hold for it."""

    name: str
    brain: str
    direction: str
    activity: str
    desired_state: DesiredState
    experiments: int
    limit: int
    best_pgr: float | None
    spent: Usage
    limits: tuple[Limit, ...]


def researcher_states(
    folder: Path, config: CampaignConfig, activities: Mapping[str, str], experiments: Sequence[Experiment]
) -> tuple[ResearcherState, ...]:
    """Every researcher of a campaign, those too that were added. `activities`: the latest of each, by name."""
    commands, spend = _commands(folder), _spend(folder)
    return tuple(
        _state(
            one,
            config,
            activities.get(one.name, "not started"),
            [command for command in commands if command.researcher == one.name],
            [done for done in experiments if done.researcher == one.name],
            spend,
        )
        for one in active_researchers(config, commands)
    )


def spent_in(folder: Path) -> Usage:
    """What all researchers of a campaign have used up."""
    spend = _spend(folder)
    return spend.spent() if spend else NOTHING


def _state(
    one: ResearcherConfig,
    config: CampaignConfig,
    activity: str,
    commands: Sequence[OperatorCommand],
    own: Sequence[Experiment],
    spend: UsageStore | None,
) -> ResearcherState:
    return ResearcherState(
        name=one.name,
        brain=one.brain,
        direction=direction_name(one.direction),
        activity=activity,
        desired_state=desired_state(commands),
        experiments=sum(done.status != "running" for done in own),
        limit=experiments_allowed(one, config),
        best_pgr=max((done.score.pgr for done in own if done.score), default=None),
        spent=spend.spent(one.name) if spend else NOTHING,
        limits=tuple(limits_of(one, config, spend)) if spend else (),
    )


def _commands(folder: Path) -> list[OperatorCommand]:
    return CommandQueue(folder, read_only=True).commands() if (folder / COMMANDS_FILE).exists() else []


def _spend(folder: Path) -> UsageStore | None:
    return UsageStore(folder, read_only=True) if (folder / SPEND_FILE).exists() else None


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
    spent: Usage
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
    record = EventLog(folder, read_only=True) if (folder / RECORD_FILE).exists() else None
    book = ScoreStore(folder, read_only=True) if (folder / SCORES_FILE).exists() else None
    events = record.events() if record else []
    latest = {event.source: event.text for event in events}
    experiments = [one for one in (book.experiments() if book else []) if one.verification_of is None]
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
