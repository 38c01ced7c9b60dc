"""One campaign from start to end: baselines, research, verification, audit."""

import ray

from aar.campaign.session import Session, View, run_session
from aar.campaign.state import CampaignState
from aar.campaign.team import Team
from aar.config import CampaignConfig
from aar.errors import ScoringError
from aar.remote import result
from aar.researchers.actor import start_researcher
from aar.researchers.claude.access import check_minds
from aar.scoring.records import Experiment


def run_campaign(config: CampaignConfig, view: View) -> CampaignState:
    """Run a campaign to its end, or go on with one that was interrupted.

    Raises as `run_session`, and before anything is started as `check_minds`.
    """
    check_minds(config)
    return run_session(config, view, _campaign)


def _campaign(session: Session) -> None:
    session.measure_baselines()
    _research(session)
    _verify(session)
    session.audit()
    ray.get(session.compute.stop.remote())


def _research(session: Session) -> None:
    session.phase("research")
    team = Team(
        session.config, session.steering, session.note_of,
        lambda one: start_researcher(one, session.config, session.folder, session.namespace),
    )  # fmt: skip
    session.watch([], team)


def _verify(session: Session) -> None:
    """The best methods on fresh seeds and the sealed part of the test set."""
    settings, done = session.config.verification, {one.experiment for one in session.state().verifications}
    best: list[Experiment] = result(session.scorer.best.remote(settings.best))
    for experiment in best:
        try:
            if experiment.id not in done:
                session.verify(experiment, settings)
        except ScoringError as error:  # the method failed on fresh seeds; the others are verified all the same
            session.note(f"{experiment.id} is not verified: {error}")
