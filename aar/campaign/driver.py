"""One campaign from start to end: baselines, research, retest."""

import secrets

import ray

from aar.campaign.session import Session, View, run_session
from aar.campaign.state import CampaignState
from aar.campaign.team import Team
from aar.config import CampaignConfig
from aar.errors import ProblemError
from aar.researchers.actor import start_researcher
from aar.researchers.steering import Steering


def run_campaign(config: CampaignConfig, view: View) -> CampaignState:
    """Run a campaign to its end, or go on with one that was interrupted. Raises as `run_session`."""
    return run_session(config, view, _campaign)


def _campaign(session: Session) -> None:
    session.measure_baselines()
    _research(session)
    _retest(session)
    ray.get(session.compute.stop.remote())


def _research(session: Session) -> None:
    session.phase("research")
    steering, folder = Steering(session.folder), session.folder
    try:
        team = Team(
            session.config, steering, session.record,
            lambda one: start_researcher(one, session.config, folder, session.namespace),
        )  # fmt: skip
        session.watch(team.join(), team)
    finally:
        steering.close()


def _retest(session: Session) -> None:
    """Best and vanilla on a test set that nobody's choice has seen, where the dataset can be drawn from anew."""
    state = session.state()
    if state.best is None or state.reference is None:
        return
    session.phase("retest: the best method and vanilla on a test set drawn anew")
    both = [state.best.id, state.reference.id]
    try:
        session.watch([session.scorer.retest.remote(both, secrets.randbelow(1 << 31))])
    except ProblemError as error:
        session.note(f"no retest: {error}")
