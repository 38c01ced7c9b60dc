"""One campaign from start to end: the process that starts the actors, watches them and stops them.

Everything that counts is on disk before it is acknowledged, so that the driver too may be killed: the same command goes
on from there. Time in which no driver runs does not count against the budget.
"""

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError

from aar.campaign.cluster import connect
from aar.campaign.folder import CampaignFolder
from aar.campaign.record import Record
from aar.campaign.state import CAMPAIGN, CampaignState, read_state
from aar.commons.actor import start_commons
from aar.config import CampaignConfig
from aar.errors import CampaignError, ProblemError
from aar.lab.experiment import METHOD_FILE, start_experiment
from aar.methods import builtin_source
from aar.remote import result
from aar.researchers.actor import start_researcher
from aar.sandbox import require_sandbox
from aar.scoring.actor import start_scorer
from aar.scoring.records import PLATFORM, VANILLA, Experiment
from aar.training.compute import start_compute

POLL_SECONDS = 0.5


class View(Protocol):
    """Shows a campaign to a person while it runs."""

    def show(self, state: CampaignState) -> None:
        """Called about twice a second."""


def run_campaign(config: CampaignConfig, view: View) -> CampaignState:
    """Run a campaign to its end, or go on with one that was interrupted; a finished one is left as it is.

    Raises:
        KeyboardInterrupt: it was stopped, by a signal or by `aar stop`.
        AarError: a part cannot start or failed; nothing acknowledged is lost.
    """
    with CampaignFolder(config) as folder:
        record = Record(folder.path)
        if folder.unchanged and record.finished():
            return read_state(folder.path)
        record.begin_run()
        outcome = "failed"
        try:
            with _terminable():
                Driver(config, folder, record, view).run()
            outcome = "finished"
        except KeyboardInterrupt:
            outcome = "stopped"
            raise
        finally:
            record.event(CAMPAIGN, outcome)
            record.end_run(outcome)
            ray.shutdown()
    return read_state(folder.path)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM, which `ray job stop` sends, ends the campaign as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Driver:
    """The phases of a campaign."""

    def __init__(self, config: CampaignConfig, folder: CampaignFolder, record: Record, view: View) -> None:
        self._config, self._folder, self._record, self._view = config, folder, record, view
        self._namespace = f"aar-{config.name}"
        self._activities: dict[str, str] = {}

    def run(self) -> None:
        """All phases. Raises as `run_campaign`."""
        self._phase("checking the sandbox")
        require_sandbox()
        self._phase("starting Ray")
        connect(self._config, self._namespace)
        self._commons = start_commons(self._folder.path / "commons", self._namespace)
        try:
            self._compute = start_compute(self._config.compute, self._folder.path, self._namespace)
            self._scorer = start_scorer(self._config, self._folder.path, self._namespace, self._compute)
            self._measure_baselines()
            self._research()
            self._retest()
            ray.get(self._compute.stop.remote())
        finally:
            ray.kill(self._commons)

    def _measure_baselines(self) -> None:
        self._phase("baselines: teacher, ceiling and the vanilla reference")
        experiment = self._admit_reference()
        run = start_experiment(self._config, experiment, self._commons, self._scorer, self._compute)
        _, reference = self._watch([self._scorer.baselines.remote(), run.run.remote()])
        ray.kill(run)
        if reference.failure:
            raise CampaignError(f"the vanilla reference failed: {reference.failure}")

    def _admit_reference(self) -> Experiment:
        files = {METHOD_FILE: builtin_source(VANILLA).encode()}
        snapshot = result(self._commons.publish.remote(PLATFORM, files, VANILLA, None, key=VANILLA))
        experiment: Experiment = result(self._scorer.admit.remote(PLATFORM, snapshot.id, VANILLA, VANILLA))
        return experiment

    def _research(self) -> None:
        self._phase("research")
        actors = {
            one.name: start_researcher(one, self._config, self._namespace, self._commons, self._scorer, self._compute)
            for one in self._config.researchers
        }
        self._watch([actor.run.remote() for actor in actors.values()], actors)

    def _retest(self) -> None:
        """Best and vanilla on a test set that nobody's choice has seen, where the dataset can be drawn from anew."""
        state = read_state(self._folder.path)
        if state.best is None or state.reference is None:
            return
        self._phase("retest: the best method and vanilla on a test set drawn anew")
        both = [state.best.id, state.reference.id]
        try:
            self._watch([self._scorer.retest.remote(both, secrets.randbelow(1 << 31))])
        except ProblemError as error:
            self._record.event(CAMPAIGN, f"no retest: {error}")

    def _watch(self, calls: list[Any], researchers: dict[str, Any] | None = None) -> list[Any]:
        """Show the campaign until the calls have returned; end it early when that is asked for or the time is up.

        Returns what the calls returned; raises what the first that failed has raised.
        """
        actors, waiting, told = researchers or {}, list(calls), False
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=POLL_SECONDS)
            for call in done:
                result(call)
            if self._folder.stop_requested():
                raise KeyboardInterrupt
            if actors and not told and self._time_is_up():
                self._record.event(CAMPAIGN, "time is up: experiments that run are finished, no more are started")
                told = bool([actor.stop.remote() for actor in actors.values()])
            self._note_activities(actors)
            self._show()
        return [result(call) for call in calls]

    def _note_activities(self, researchers: dict[str, Any]) -> None:
        for name, actor in researchers.items():
            try:
                activity = ray.get(actor.activity.remote(), timeout=5)
            except (RayActorError, ray.exceptions.GetTimeoutError):
                activity = "restarting"
            if self._activities.get(name) != activity:
                self._activities[name] = activity
                self._record.event(name, activity)

    def _time_is_up(self) -> bool:
        return self._record.seconds_used() > self._config.budget.minutes * 60

    def _show(self) -> None:
        self._record.seen()
        self._view.show(read_state(self._folder.path))

    def _phase(self, text: str) -> None:
        self._record.event(CAMPAIGN, text)
        self._show()
