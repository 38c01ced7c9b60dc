"""One campaign from start to end: baselines, research, verification, audit.

The driver holds the campaign's folder lock, starts its Ray actors, and runs the loop that watches them. Everything that
counts is on disk before it is acknowledged, so the driver may be killed too: the same command resumes the campaign.
Time in which no driver runs does not count against the budget.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import ray
from ray.exceptions import RayError

from aar.campaign.audit import audit_campaign
from aar.campaign.cluster import connect
from aar.campaign.events import EventLog
from aar.campaign.folder import ADDRESS_FILE, COMMONS, CampaignFolder
from aar.campaign.progress import BaselineProgress, export_metrics
from aar.campaign.state import CAMPAIGN, CampaignState, StateReader, read_state
from aar.campaign.team import RESTARTING, ActivityWatch, ResearcherSupervisor
from aar.commons.actor import start_commons
from aar.compute.actor import start_compute
from aar.config import PLATFORM, CampaignConfig, VerificationConfig
from aar.errors import CampaignError, ScoringError, StorageError
from aar.experiments.actor import start_experiments
from aar.logs import logged_to
from aar.methods import METHOD_FILE, builtin_source
from aar.ray_utils import get, namespace_of
from aar.researchers.actor import start_researcher
from aar.researchers.brains.claude.access import check_model_access
from aar.researchers.commands import CommandQueue
from aar.sandbox import Limits, provider, require_sandbox
from aar.sandbox.memory import check_size
from aar.scoring.actor import start_scorer
from aar.scoring.records import VANILLA, Experiment, Verification
from aar.storage import checkpoint, storage_errors, write_atomic

POLL_SECONDS = 0.5
UNPROTECTED = 'sandbox = "none": code that researchers wrote runs unprotected; every score is marked as such'

log = logging.getLogger(__name__)


class View(Protocol):
    """Shows a campaign to a person while it runs."""

    def show(self, state: CampaignState) -> None:
        """Show the state; called about twice a second."""

    def say(self, line: str) -> None:
        """Print a line that stays on the screen."""


def run_session(
    config: CampaignConfig,
    view: View,
    work: "Callable[[CampaignRun], None]",
    outcome: str = "finished",
    *,
    resume: bool = False,
) -> CampaignState:
    """Start a campaign's actors, do `work` with them, stop them, and return the campaign's state.

    Args:
        outcome: the outcome to record when `work` has returned.
        resume: continue researchers' experiments that an earlier run left unfinished.

    Raises:
        KeyboardInterrupt: the run was stopped, by a signal or by `aar stop`.
        AarError: a part could not start, or failed; nothing acknowledged is lost.
    """
    with (
        CampaignFolder(config) as folder,
        _checkpointed(folder.path),
        _recorded(folder.path, outcome) as record,
        _interrupted_by_sigterm(),
    ):
        session = CampaignRun(config, folder, record, view)
        try:
            session.start(resume=resume)
            work(session)
        except RayError as error:
            raise CampaignError(f"a process of the campaign failed; run the same command to resume. {error}") from error
        finally:
            session.end()
    return read_state(folder.path)


@contextmanager
def _checkpointed(folder: Path) -> Iterator[None]:
    """When the run ends, write every database's log into its file, so that a copy of the file is complete."""
    try:
        yield
    finally:
        for file in (*folder.glob("*.sqlite"), *(folder / COMMONS).glob("*.sqlite")):
            with suppress(StorageError):  # what stays in the log is just as durable
                checkpoint(file)


@contextmanager
def _recorded(folder: Path, outcome: str) -> Iterator[EventLog]:
    """Record the start of a run, and at its end how it ended: with `outcome` when all went well."""
    record = EventLog(folder)
    record.begin_run()
    ended = "failed"
    try:
        yield record
        ended = outcome
    except KeyboardInterrupt:
        ended = "stopped"
        raise
    finally:
        record.event(CAMPAIGN, ended)
        record.end_run(ended)


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM, which `ray job stop` sends, end the campaign as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class CampaignRun:
    """A running campaign. Its actors can be used after `start`."""

    commons: Any
    scorer: Any
    compute: Any
    experiments: Any

    def __init__(self, config: CampaignConfig, folder: CampaignFolder, record: EventLog, view: View) -> None:
        self.config, self.namespace = config, namespace_of(config.name)
        self.folder, self.record = folder.path, record
        self._folder, self._view = folder, view
        self._reader = StateReader(self.folder)
        self._activities: dict[str, str] = {}
        self._activity_watch = ActivityWatch()
        self._closing = ExitStack()
        self.commands, self._noted = CommandQueue(self.folder), 0

    def start(self, *, resume: bool) -> None:
        """Check the machine, connect to Ray, and start the actors. Raises AarError when one of these fails."""
        self.phase("checking the sandbox")
        if provider(self.config.sandbox.provider).is_isolating:
            require_sandbox()
            check_size(Limits.from_config(self.config.sandbox).memory_bytes, "others")
        else:
            self.note(UNPROTECTED)
        self.phase("starting Ray")
        connection = connect(self.config, self.namespace)
        if connection.warning is not None:
            self.note(f"warning: {connection.warning}")
            log.warning("aar: warning: %s", connection.warning)
        folder = self.folder
        for line in (f"Folder:    {folder}", *connection.places()):
            self._view.say(line)
        with suppress(OSError):  # Ray's folder may belong to another user; the campaign's record has the events anyway
            self._closing.enter_context(logged_to(connection.logs / f"aar-driver-{self.config.name}.log"))
        with storage_errors(folder):
            write_atomic(folder / ADDRESS_FILE, ray.get_runtime_context().gcs_address)
        self.commons = start_commons(folder / COMMONS, self.namespace, accounts=folder)
        self.compute = start_compute(self.config, folder, self.namespace)
        self.scorer = start_scorer(self.config, folder, self.namespace)
        self.experiments = start_experiments(self.config, self.namespace, resume=resume)

    def end(self) -> None:
        """Stop the actors. All but the detached commons would end with this process's connection anyway."""
        log.info("stopping the actors")
        self._closing.close()
        self.commands.close()
        if ray.is_initialized() and hasattr(self, "commons"):
            ray.kill(self.commons)
        ray.shutdown()

    def measure_baselines(self) -> None:
        """Measure teacher, ceiling and the vanilla reference; return at once if that was done before."""
        self.phase("baselines: teacher, ceiling and the vanilla reference")
        files = {METHOD_FILE: builtin_source(VANILLA).encode()}
        reference: Experiment = get(self.experiments.submit.remote(PLATFORM, files, VANILLA, VANILLA))
        baselines = [self.scorer.baselines.remote(dataset.name) for dataset in self.config.problem.research]
        progress = BaselineProgress(self.config, self.compute, self.phase)
        reference = self.wait_for(reference, *baselines, progress=progress)
        if reference.failure:
            raise CampaignError(f"the vanilla reference failed: {reference.failure.text}")

    def wait_for(self, experiment: Experiment, *others: Any, progress: BaselineProgress | None = None) -> Experiment:
        """Wait until an experiment has ended and the `others`, calls under way, have returned."""
        calls = [self.experiments.wait.remote(experiment.id), *others]
        ended: Experiment = self.watch(calls, progress=progress)[0]
        return ended

    def verify(self, experiment: Experiment, settings: VerificationConfig) -> Verification:
        """Rerun an experiment's method from scratch, with its controls, unless that was done; and compare.

        Raises ScoringError when the experiment cannot be verified.
        """
        arms: list[Experiment] = get(self.scorer.plan_verification.remote(experiment.id, settings))
        running = [arm for arm in arms if arm.status == "running"]
        self.phase(f"verifying {experiment.id} on {settings.seeds} fresh seeds ({len(running)} experiments)")
        self.watch([self.experiments.wait.remote(arm.id) for arm in running])
        self.phase(f"verifying {experiment.id}: comparing")
        verification: Verification = self.watch([self.scorer.conclude_verification.remote(experiment.id, settings)])[0]
        return verification

    def audit(self) -> None:
        """Look for signs of cheating in the campaign's record, and store the findings."""
        self.phase("audit")
        audit_campaign(self.folder)

    def watch(
        self,
        calls: list[Any],
        team: ResearcherSupervisor | None = None,
        progress: BaselineProgress | None = None,
    ) -> list[Any]:
        """Show the campaign until the calls have returned and the team is done, and return the calls' results.

        Args:
            team: researchers to start, to show, and to wind down when the time is up.
            progress: reports how far the baselines are.

        Raises:
            KeyboardInterrupt: somebody asked the campaign to stop.
            Exception: of the first call that failed; of researchers, as `Member.update`.
        """
        waiting = list(calls)
        while not self._update(team) or waiting:
            waiting = _wait(waiting, team.calls if team else [])
            if self._folder.stop_requested():
                raise KeyboardInterrupt
            self._note_commands()
            if progress:
                progress.follow()
            self._note_activities(team.actors if team else {})
            self._show()
        return [get(call) for call in calls]

    def _update(self, team: ResearcherSupervisor | None) -> bool:
        """Start researchers, or wind them down when the time is up. True if all have ended."""
        if team is None:
            return True
        if not self._is_research_over():
            team.update()
            return team.is_done
        if not team.is_stopping:
            self.note("time is up: running experiments are finished, no more are started")
        team.stop()
        return team.is_done

    def _is_research_over(self) -> bool:
        """True if research has to end now, so that verification ends in time."""
        budget = self.config.budget
        return self.record.seconds_used() > 60 * max(0.0, budget.minutes - budget.verification_minutes)

    def state(self) -> CampaignState:
        """Return the campaign's state."""
        return self._reader.read()

    def phase(self, text: str) -> None:
        """Record and show that a new part of the campaign begins."""
        self.note(text)
        self._show()

    def note(self, text: str) -> None:
        """Record an event of the campaign."""
        log.info("%s: %s", CAMPAIGN, text)
        self.record.event(CAMPAIGN, text)

    def note_researcher(self, researcher: str, text: str) -> None:
        """Record an event of a researcher. Its activity, which is the last event of it, is then recorded again."""
        log.info("%s: %s", researcher, text)
        self.record.event(researcher, text)
        self._activities.pop(researcher, None)

    def _note_commands(self) -> None:
        for command in self.commands.commands(self._noted):
            log.info("%s: %s", command.researcher, command.describe())
            self.record.note_command(command.number, command.researcher, command.describe())
            self._noted = command.number
            self._activities.pop(command.researcher, None)  # its activity is the last event of it: recorded again

    def _note_activities(self, researchers: dict[str, Any]) -> None:
        for name, activity in self._activity_watch.poll(researchers).items():
            if self._activities.get(name) != activity:
                self._activities[name] = activity
                if activity == RESTARTING:  # the actor itself logs everything else
                    log.info("%s: no answer; its process is starting or restarting", name)
                self.record.event(name, activity)

    def _show(self) -> None:
        self.record.seen()
        state = self.state()
        export_metrics(state)
        self._view.show(state)


def _wait(waiting: list[Any], others: list[Any]) -> list[Any]:
    """Wait up to POLL_SECONDS for one call to return; return those of `waiting` that have not returned.

    Raises what one of `waiting` has raised. What the `others` raise is for their owner.
    """
    if not waiting and not others:
        time.sleep(POLL_SECONDS)
        return []
    done, _ = ray.wait([*waiting, *others], num_returns=1, timeout=POLL_SECONDS)
    for call in done:
        if call in waiting:
            get(call)
    return [call for call in waiting if call not in done]


def run_campaign(config: CampaignConfig, view: View) -> CampaignState:
    """Run a campaign to its end, or resume one that was interrupted.

    Raises as `run_session`, and as `check_model_access` before anything is started.
    """
    check_model_access(config)
    return run_session(config, view, _campaign, resume=True)


def _campaign(session: CampaignRun) -> None:
    session.measure_baselines()
    _research(session)
    _verify(session)
    session.audit()
    ray.get(session.compute.stop.remote())


def _research(session: CampaignRun) -> None:
    session.phase("research")
    team = ResearcherSupervisor(
        session.config, session.commands, session.note_researcher,
        lambda researcher: start_researcher(researcher, session.config, session.folder, session.namespace),
    )  # fmt: skip
    session.watch([], team)


def _verify(session: CampaignRun) -> None:
    """Verify the best methods on fresh seeds and the sealed part of the test set."""
    settings = session.config.verification
    verified = {verification.experiment for verification in session.state().verifications}
    best: list[Experiment] = get(session.scorer.best.remote(settings.best))
    for experiment in best:
        try:
            if experiment.id not in verified:
                session.verify(experiment, settings)
        except ScoringError as error:  # the method failed on fresh seeds; the others are still verified
            session.note(f"{experiment.id} is not verified: {error}")
