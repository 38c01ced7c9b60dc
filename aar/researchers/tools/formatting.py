"""How results are told to researchers: the one place where a score becomes words, and where claims are looked up.

What somebody wrote, a note or what a failed method left, is told as a quotation.

Claims are looked up in what the platform has released to researchers, never in what it has not.
"""

import time
from collections.abc import Sequence

from aar.commons.forum import Post
from aar.commons.quoting import quoted_block, quoted_line, quoted_name
from aar.scoring.audit.claims import KnownScores, badges
from aar.scoring.records import Experiment, Score

UNTOLD = (
    "no significant improvement over its researcher's best so far (before the first release, over vanilla); how good "
    "it is stays untold, so that the hidden test set is not used up"
)


def experiment_words(experiment: Experiment) -> str:
    """One experiment: whose, of what, and what came of it."""
    what = f"{quoted_line(experiment.note)} (snapshot {experiment.snapshot[:10]})"
    return f"{experiment.id} by {quoted_name(experiment.researcher)}: {what}\n{outcome_words(experiment)}"


def outcome_words(experiment: Experiment) -> str:
    """What came of an experiment so far."""
    if experiment.status == "running":
        return f"running for {time.time() - experiment.started:.0f} s, on {len(experiment.seeds)} seeds"
    if experiment.status == "failed":
        return f"failed:\n{quoted_block(experiment.failure)}" if experiment.failure else "failed"
    if experiment.score is None:
        return f"scored: {UNTOLD}"
    return f"scored: {score_words(experiment.score)}"


def score_words(score: Score) -> str:
    """A released score with its uncertainty."""
    interval = f"[{score.pgr_low:.2f}, {score.pgr_high:.2f}]"
    each = "".join(f"; {one.dataset}: PGR {one.pgr:.2f}" for one in score.by_dataset if len(score.by_dataset) > 1)
    return f"PGR {score.pgr:.2f}, 95 % interval {interval}, accuracy {score.accuracy:.3f}{each}"


def ranking(experiments: Sequence[Experiment], limit: int) -> list[str]:
    """The best experiments, one a line, best first, with the reference among them."""
    scored = [(one, one.score) for one in experiments if one.score]
    best = sorted(scored, key=lambda pair: -pair[1].pgr)[:limit]
    return [f"{rank}. {_line(one, score)}" for rank, (one, score) in enumerate(best, 1)]


def badge_words(posts: Sequence[Post], experiments: Sequence[Experiment]) -> str:
    """What the platform knows of the scores that posts name, a line for each post that names any."""
    known = KnownScores.of(experiments, [], [])
    lines = []
    for post in posts:
        found = dict.fromkeys(
            f"{one.what} {one.number} {'measured' if one.badge == 'measured' else 'only claimed'}"
            for one in badges(f"{post.title.text}\n{post.body.text}", known)
        )
        lines += [f"post {post.id}: {', '.join(found)}"] if found else []
    return "\n".join(["", "Of the scores in these posts the platform says:", *lines]) if lines else ""


def _line(experiment: Experiment, score: Score) -> str:
    note = "vanilla, the reference" if experiment.is_reference else quoted_line(experiment.note)
    who = f"{experiment.id} {quoted_name(experiment.researcher)}"
    return f"{who}: {score_words(score)} · {note} ({experiment.snapshot[:10]})"
