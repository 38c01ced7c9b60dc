"""What a person reads when a campaign has ended: leaderboard, verifications in words, and where to look next."""

import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from aar.campaign.audit import REPORT_FILE
from aar.campaign.folder import campaigns_root
from aar.campaign.state import CampaignState
from aar.reporting.leaderboard import leaderboard
from aar.reporting.spending import cost_words
from aar.reporting.text import pgr_text, plain
from aar.reporting.verification import verification_lines
from aar.scoring.records import Experiment
from aar.scoring.verification.verdicts import latest


def summary(state: CampaignState) -> RenderableType:
    """Leaderboard, the best method, how verified methods did, what the audit found, and the cost."""
    verified = [line for one in latest(state.verifications) for line in verification_lines(state, one)]
    lines = [*_protection_words(state), *_best_words(state.best), *verified, *_integrity(state)]
    lines += cost_words(state.spent)
    return Group(leaderboard(state), *(Text(line) for line in lines))


def _best_words(best: Experiment | None) -> list[str]:
    if best is None or best.score is None:
        return []
    return [f"Best method: {best.id} by {best.researcher}, PGR {pgr_text(best.score)} on dev."]


def _integrity(state: CampaignState) -> list[str]:
    flagged = ", ".join(sorted(state.findings))
    found = f"The audit has findings on {flagged}; see {state.folder / REPORT_FILE}." if flagged else None
    return [*([found] if found else []), f"Ledger: {state.ledger_head}"]


def _protection_words(state: CampaignState) -> list[str]:
    if state.protected:
        return []
    return ["Unprotected: researchers' code ran without a sandbox and could have changed any of these scores."]


def places(state: CampaignState, picture: Path) -> list[str]:
    """Where the campaign's files are, and commands to try next, line by line."""
    campaign = campaign_argument(state)
    code = [f"store show {state.best.id} -c {campaign}"] if state.best else []
    commands = [f"forum list -c {campaign}", *code, "try my_method.py"]
    return [f"Picture: {picture}", f"Folder:  {state.folder}", "Next:", *(f"  {_aar()} {line}" for line in commands)]


def _aar() -> str:
    """How this program can be called again: by its name where the PATH has it."""
    return "aar" if shutil.which("aar") else shlex.quote(sys.argv[0])


def campaign_argument(state: CampaignState) -> str:
    """How a command line names this campaign: by its name where that is enough, else by its folder."""
    named = (campaigns_root() / state.name).resolve() == state.folder.resolve()
    return shlex.quote(state.name if named else str(state.folder))


def trial_words(state: CampaignState, trial: Experiment) -> RenderableType:
    """How a method that a person tried did, against the references."""
    if trial.failure is not None:
        return plain(f"{trial.note.text} failed: {trial.failure.text}")
    vanilla = state.reference.score if state.reference else None
    beside = f"; vanilla: {vanilla.accuracy:.3f}, PGR {pgr_text(vanilla)}" if vanilla else ""
    if trial.score is None:
        return plain(f"{trial.note.text}: no significant improvement over the best that was tried here before{beside}")
    return plain(f"{trial.note.text}: accuracy {trial.score.accuracy:.3f}, PGR {pgr_text(trial.score)}{beside}")
