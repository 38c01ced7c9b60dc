"""Results as researchers read them, and the tools that give an overview: the leaderboard and the budget.

This is the only place where a score becomes text. Text that somebody else wrote, such as a note or the error of a
failed method, is quoted. Claims in posts are checked against released scores only, never against unreleased ones.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from aar.budget.limits import readable
from aar.commons.diversity import format_diversity
from aar.commons.forum import Post
from aar.commons.quoting import quoted_block, quoted_line, quoted_name
from aar.researchers.tools.tool import Arguments, Call, Tool
from aar.scoring.audit.claims import KnownScores, badges
from aar.scoring.records import Experiment, Score

if TYPE_CHECKING:
    from aar.researchers.context import ToolContext


NOT_RELEASED = (
    "no significant improvement over its researcher's best so far (before the first release: over vanilla); its score "
    "is not released, which keeps the hidden test set from being used up"
)


def format_experiment(experiment: Experiment) -> str:
    """Describe one experiment: its researcher, note, snapshot and outcome."""
    method = f"{quoted_line(experiment.note)} (snapshot {experiment.snapshot[:10]})"
    return f"{experiment.id} by {quoted_name(experiment.researcher)}: {method}\n{format_outcome(experiment)}"


def format_outcome(experiment: Experiment) -> str:
    """Describe the outcome of an experiment, or its progress."""
    if experiment.status == "running":
        return f"running for {time.time() - experiment.started:.0f} s, on {len(experiment.seeds)} seeds"
    if experiment.status == "failed":
        return f"failed:\n{quoted_block(experiment.failure)}" if experiment.failure else "failed"
    if experiment.score is None:
        return f"scored: {NOT_RELEASED}"
    return f"scored: {format_score(experiment.score)}"


def format_score(score: Score) -> str:
    """Describe a released score with its uncertainty."""
    interval = f"[{score.pgr_low:.2f}, {score.pgr_high:.2f}]"
    parts = score.by_dataset if len(score.by_dataset) > 1 else ()
    by_dataset = "".join(f"; {part.dataset}: PGR {part.pgr:.2f}" for part in parts)
    return f"PGR {score.pgr:.2f}, 95 % interval {interval}, accuracy {score.accuracy:.3f}{by_dataset}"


def ranking(experiments: Sequence[Experiment], limit: int) -> list[str]:
    """List the best experiments, including the reference, one per line, best first."""
    scored = [(experiment, experiment.score) for experiment in experiments if experiment.score]
    best = sorted(scored, key=lambda pair: -pair[1].pgr)[:limit]
    return [f"{rank}. {_line(experiment, score)}" for rank, (experiment, score) in enumerate(best, 1)]


def format_badges(posts: Sequence[Post], experiments: Sequence[Experiment]) -> str:
    """State which of the scores in posts the platform has measured, one line per post that mentions any."""
    released = KnownScores.of(experiments, [], [])
    lines = []
    for post in posts:
        claims = badges(f"{post.title.text}\n{post.body.text}", released)
        verdicts = dict.fromkeys(
            f"{claim.what} {claim.number} {'measured' if claim.badge == 'measured' else 'only claimed'}"
            for claim in claims
        )
        lines += [f"post {post.id}: {', '.join(verdicts)}"] if verdicts else []
    return "\n".join(["", "The platform on the scores in these posts:", *lines]) if lines else ""


def _line(experiment: Experiment, score: Score) -> str:
    note = "vanilla, the reference" if experiment.is_reference else quoted_line(experiment.note)
    name = f"{experiment.id} {quoted_name(experiment.researcher)}"
    return f"{name}: {format_score(score)} · {note} ({experiment.snapshot[:10]})"


class LeaderboardArguments(Arguments):
    """Arguments of the leaderboard."""

    limit: int = Field(default=15, ge=1, le=100)


def _leaderboard(context: "ToolContext", call: Call) -> str:
    arguments: LeaderboardArguments = call.arguments
    experiments = context.client.experiments()
    lines = ranking(experiments, arguments.limit) or ["Nothing has been scored yet."]
    running = sum(experiment.status == "running" for experiment in experiments)
    failed = sum(experiment.status == "failed" for experiment in experiments)
    not_released = sum(experiment.status == "scored" and experiment.score is None for experiment in experiments)
    families = format_diversity(context.client.named_families())
    others = f"Also: {running} running, {failed} failed, {not_released} without a significant improvement."
    return "\n".join([*lines, others, families])


def _budget(context: "ToolContext", call: Call) -> str:
    lines = [f"{limit.describe()}, {readable(limit.what, limit.left)} left" for limit in context.limits()]
    end = (
        "You are stopped when you use up any limit except experiments and quick checks, and when you start an "
        "experiment with none left. Post your findings before."
    )
    return "\n".join([*lines, context.account.describe(), end])


LEADERBOARD = Tool(
    name="leaderboard",
    description="Show the best experiments, with vanilla as the reference, and the families of methods tried so far.",
    arguments=LeaderboardArguments,
    run=_leaderboard,
)
BUDGET = Tool(name="budget", description="Show what you have used and what is left.", arguments=Arguments, run=_budget)
