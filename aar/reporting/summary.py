"""What a person reads when a campaign has ended: leaderboard, retest in words, and where to look next."""

import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from aar.campaign.folder import campaigns_root
from aar.campaign.state import CampaignState
from aar.reporting.leaderboard import leaderboard
from aar.reporting.spending import cost_words
from aar.reporting.text import estimate_text, pgr_text, plain
from aar.scoring.records import Experiment, Retest


def summary(state: CampaignState) -> RenderableType:
    """Leaderboard, the best method, and how it did on a test set drawn anew."""
    words = [*_protection_words(state), *_best_words(state.best), *retest_words(state), *cost_words(state.spent)]
    return Group(leaderboard(state), *(Text(line) for line in words))


def _best_words(best: Experiment | None) -> list[str]:
    if best is None or best.score is None:
        return []
    return [f"Best method: {best.id} by {best.researcher}, PGR {pgr_text(best.score)}."]


def _protection_words(state: CampaignState) -> list[str]:
    if state.protected:
        return []
    return ["Unprotected: researchers' code ran without a sandbox and could have changed any of these scores."]


def retest_words(state: CampaignState) -> list[str]:
    """The last retest that compared a method with vanilla, in words."""
    compared = [one for one in state.retests if one.over_vanilla]
    if not compared:
        return []
    retest = compared[-1]
    return [
        f"Retest on {retest.items} test items drawn anew: {retest.experiment} has accuracy"
        f" {estimate_text(retest.accuracy)} and PGR {estimate_text(retest.pgr, 2)}; {_verdict(retest)}."
    ]


def _verdict(retest: Retest) -> str:
    over = retest.over_vanilla
    assert over is not None
    size = f"{estimate_text(over)} in accuracy"
    if over.low > 0:
        return f"it beats vanilla by {size}"
    if over.high < 0:
        return f"it is worse than vanilla: {size}"
    return f"it is not shown to differ from vanilla: {size} (the interval contains 0)"


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
    if trial.score is None:
        return plain(f"{trial.note} failed: {trial.failure}")
    vanilla = state.reference.score if state.reference else None
    beside = f"; vanilla: {vanilla.accuracy:.3f}, PGR {pgr_text(vanilla)}" if vanilla else ""
    return plain(f"{trial.note}: accuracy {trial.score.accuracy:.3f}, PGR {pgr_text(trial.score)}{beside}")
