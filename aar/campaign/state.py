"""The state of a campaign and its researchers, read from its folder alone: for the live view and for `aar status`.

Failed requests to language models are read from the researchers' transcripts, including failures that a researcher has
recovered from.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Generic, TypeVar

from aar.budget import Limit, Resources, Tokens, Usage, UsageStore, limits_of
from aar.budget.limits import experiments_allowed
from aar.budget.usage import FILE as SPEND_FILE
from aar.campaign.audit import stored_findings
from aar.campaign.events import FILE as RECORD_FILE
from aar.campaign.events import EventLog
from aar.campaign.folder import forum_file, is_running, stored_config
from aar.commons.diversity import DiversityHistory, Step
from aar.commons.forum import Forum
from aar.config import PLATFORM, CampaignConfig, ResearcherConfig
from aar.researchers.commands import FILE as COMMANDS_FILE
from aar.researchers.commands import CommandQueue, DesiredState, OperatorCommand, active_researchers, desired_state
from aar.researchers.directions import direction_name
from aar.researchers.transcript import read, transcript_folders
from aar.scoring.ledger import ORIGIN
from aar.scoring.records import Baselines, Experiment, Verification
from aar.scoring.store import FILE as SCORES_FILE
from aar.scoring.store import ScoreStore


@dataclass(frozen=True)
class ApiFailures:
    """One researcher's failed requests: their number, the last one's message, and its time in seconds since 1970."""

    count: int
    last: str
    time: float


def api_failures_in(folder: Path) -> dict[str, ApiFailures]:
    """Return the failed requests of each researcher that had any. Raises StorageError if a transcript is damaged."""
    failures = {name: list(read(place, only="api_failure")) for name, place in transcript_folders(folder).items()}
    return {
        name: ApiFailures(len(entries), entries[-1].data["message"], entries[-1].time)
        for name, entries in failures.items()
        if entries
    }


Store = TypeVar("Store")
NOTHING = Usage(Resources(), Tokens())
NOT_STARTED = "not started"


@dataclass(frozen=True)
class ResearcherState:
    """One researcher: its activity, its experiments, what it has used up, and its limits."""

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


CAMPAIGN = "campaign"
"""The source of the campaign's own events; the latest of them is the phase."""


@dataclass(frozen=True)
class CampaignState:
    """One campaign at one moment. Seconds are wall time.

    Attributes:
        protected: researchers' code runs in isolating sandboxes; without them it could have changed any score.
        experiments: oldest first, without those that verify others.
        families: the number of results by family of methods.
        diversity: the entropy over families after each result.
        baselines: one for each research dataset once all are measured; empty before.
        findings: the kinds of the last audit's findings, by experiment.
        ledger_head: the digest that stands for the whole ledger.
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
        """The teachers' accuracy on dev, averaged over the research datasets; None until all are measured."""
        return fmean(baseline.weak.value for baseline in self.baselines) if self.baselines else None

    @property
    def ceiling_acc(self) -> float | None:
        """The ceilings' accuracy, likewise."""
        return fmean(baseline.ceiling.value for baseline in self.baselines) if self.baselines else None

    @property
    def scored(self) -> list[Experiment]:
        """Experiments with a released score, best PGR first."""
        scored = [(experiment.score.pgr, experiment) for experiment in self.experiments if experiment.score]
        return [experiment for _, experiment in sorted(scored, key=lambda pair: -pair[0])]

    @property
    def ranked(self) -> list[Experiment]:
        """The researchers' experiments with a released score, best first."""
        return [experiment for experiment in self.scored if experiment.researcher != PLATFORM]

    @property
    def best(self) -> Experiment | None:
        """The best experiment by a researcher, if any."""
        return next(iter(self.ranked), None)

    @property
    def reference(self) -> Experiment | None:
        """The vanilla method's experiment, once it was scored."""
        return next((experiment for experiment in self.scored if experiment.is_reference), None)

    @property
    def unimproved(self) -> list[Experiment]:
        """Researchers' experiments that were scored and were not a significant improvement."""
        return [experiment for experiment in self.experiments if experiment.status == "scored" and not experiment.score]


class StateReader:
    """Reads the state of the campaign in `folder` again and again, for one thread.

    What can only grow (events, results, commands) is read from where the last call ended; what is final (an
    experiment's outcome) is read once. So a refresh takes as long as what has changed, and not as the whole record.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._events = _Database(folder / RECORD_FILE, lambda: EventLog(folder, read_only=True))
        self._scores = _Database(folder / SCORES_FILE, lambda: ScoreStore(folder, read_only=True))
        self._usage = _Database(folder / SPEND_FILE, lambda: UsageStore(folder, read_only=True))
        self._queue = _Database(folder / COMMANDS_FILE, lambda: CommandQueue(folder, read_only=True))
        forum = forum_file(folder)
        self._forum = _Database(forum, lambda: Forum(forum, read_only=True))
        self._activities: dict[str, str] = {}
        self._last_event = 0
        self._experiments: list[Experiment] = []
        self._commands: list[OperatorCommand] = []
        self._diversity = DiversityHistory()

    def read(self) -> CampaignState:
        """Return the state at this moment. Raises CampaignError or StorageError when it cannot be read."""
        config = stored_config(self._folder)
        self._read_increments()
        events, scores, usage = self._events.get(), self._scores.get(), self._usage.get()
        experiments = [experiment for experiment in self._experiments if experiment.verification_of is None]
        baselines = [scores.baselines(dataset.name) for dataset in config.problem.research] if scores else []
        return CampaignState(
            name=config.name,
            folder=self._folder,
            running=is_running(self._folder),
            protected=config.sandbox.provider != "none",
            phase=self._activities.get(CAMPAIGN, NOT_STARTED),
            seconds_used=events.seconds_used() if events else 0.0,
            seconds_budget=config.budget.minutes * 60,
            researchers=self._researchers(config, experiments),
            experiments=tuple(experiments),
            spent=usage.spent() if usage else NOTHING,
            families=dict(self._diversity.counts),
            diversity=tuple(self._diversity.steps),
            baselines=tuple(baseline for baseline in baselines if baseline) if all(baselines) else (),
            verifications=tuple(scores.verifications()) if scores else (),
            protocol=config.scoring.protocol,
            findings=stored_findings(self._folder),
            ledger_head=scores.ledger_head() if scores else ORIGIN,
        )

    def _read_increments(self) -> None:
        if events := self._events.get():
            latest, self._last_event = events.latest(after=self._last_event)
            self._activities |= latest
        if scores := self._scores.get():
            self._experiments = scores.experiments(self._experiments)
        if queue := self._queue.get():
            self._commands += queue.commands(after=self._commands[-1].number if self._commands else 0)
        if forum := self._forum.get():
            self._diversity.add(forum.named_families(after=self._diversity.last))

    def _researchers(self, config: CampaignConfig, experiments: Sequence[Experiment]) -> tuple[ResearcherState, ...]:
        """Every researcher of the campaign, including those that were added to it."""
        commands, done = defaultdict(list), defaultdict(list)
        for command in self._commands:
            commands[command.researcher].append(command)
        for experiment in experiments:
            done[experiment.researcher].append(experiment)
        return tuple(
            self._researcher(researcher, config, commands[researcher.name], done[researcher.name])
            for researcher in active_researchers(config, self._commands)
        )

    def _researcher(
        self,
        researcher: ResearcherConfig,
        config: CampaignConfig,
        commands: Sequence[OperatorCommand],
        experiments: Sequence[Experiment],
    ) -> ResearcherState:
        usage = self._usage.get()
        return ResearcherState(
            name=researcher.name,
            brain=researcher.brain,
            direction=direction_name(researcher.direction),
            activity=self._activities.get(researcher.name, NOT_STARTED),
            desired_state=desired_state(commands),
            experiments=sum(experiment.status != "running" for experiment in experiments),
            limit=experiments_allowed(researcher, config),
            best_pgr=max((experiment.score.pgr for experiment in experiments if experiment.score), default=None),
            spent=usage.spent(researcher.name) if usage else NOTHING,
            limits=tuple(limits_of(researcher, config, usage)) if usage else (),
        )


class _Database(Generic[Store]):
    """One of a campaign's databases, opened when its file exists."""

    def __init__(self, file: Path, open_store: Callable[[], Store]) -> None:
        self._file, self._open = file, open_store
        self._store: Store | None = None

    def get(self) -> Store | None:
        """Return the database, or None while its writer has not created it."""
        if self._store is None and self._file.exists():
            self._store = self._open()
        return self._store


def read_state(folder: Path) -> CampaignState:
    """Return the state of the campaign in `folder`. Raises CampaignError or StorageError when it cannot be read."""
    return StateReader(folder).read()
