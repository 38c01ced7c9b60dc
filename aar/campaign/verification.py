"""Verify one experiment of a campaign that is not running: its method from scratch, fresh seeds, sealed test items."""

from pathlib import Path

from aar.campaign.events import EventLog
from aar.campaign.folder import campaign_folder, stored_config
from aar.campaign.run import CampaignRun, View, run_session
from aar.campaign.state import CampaignState, read_state
from aar.config import VerificationConfig
from aar.errors import CampaignError
from aar.scoring.records import Experiment


def verify(
    folder: Path, name: str | None, settings: VerificationConfig, view: View
) -> tuple[CampaignState, Experiment]:
    """Verify the experiment called `name` (an id or a snapshot), or the best one; return the campaign's state after it.

    Raises:
        KeyboardInterrupt: it was stopped; the same call resumes it.
        CampaignError: there is no such experiment, or the campaign is running.
        ScoringError: the experiment cannot be verified.
    """
    experiment = _experiment(read_state(folder), name)
    config = stored_config(folder)
    if campaign_folder(config).resolve() != folder.resolve():
        config = config.model_copy(update={"folder": folder.resolve()})

    def work(session: CampaignRun) -> None:
        session.verify(experiment, settings)
        session.audit()

    outcome = "finished" if EventLog(folder, read_only=True).finished() else "verified"
    return run_session(config, view, work, outcome), experiment


def _experiment(state: CampaignState, name: str | None) -> Experiment:
    if name is None:
        if state.best is None:
            raise CampaignError(f"{state.name} has no score of a researcher yet, so there is nothing to verify")
        return state.best
    for experiment in state.experiments:
        if name == experiment.id or (len(name) >= 7 and experiment.snapshot.startswith(name)):
            return experiment
    raise CampaignError(f'{state.name} has no experiment or snapshot "{name}"; `aar leaderboard` lists them')
