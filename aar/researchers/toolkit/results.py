"""How results are told to researchers: the one place where a score becomes words."""

import time
from collections.abc import Sequence

from aar.scoring.records import PLATFORM, VANILLA, Experiment, Score


def experiment_words(experiment: Experiment) -> str:
    """One experiment: whose, of what, and what came of it."""
    head = f"{experiment.id} by {experiment.researcher}: {experiment.note} (snapshot {experiment.snapshot[:10]})"
    return f"{head}\n{outcome_words(experiment)}"


def outcome_words(experiment: Experiment) -> str:
    """What came of an experiment so far."""
    if experiment.status == "running":
        return f"running for {time.time() - experiment.started:.0f} s, on {len(experiment.seeds)} seeds"
    if experiment.score is None:
        return f"failed: {experiment.failure}"
    return f"scored: {score_words(experiment.score)}"


def score_words(score: Score) -> str:
    """A score with its uncertainty."""
    seeds = ", ".join(f"{accuracy:.3f}" for accuracy in score.accuracies)
    interval = f"[{score.pgr_low:.2f}, {score.pgr_high:.2f}]"
    return f"accuracy {score.accuracy:.3f} (per seed: {seeds}), PGR {score.pgr:.2f}, 95 % interval {interval}"


def ranking(experiments: Sequence[Experiment], limit: int) -> list[str]:
    """The best experiments, one a line, best first, with the reference among them."""
    scored = [(one, one.score) for one in experiments if one.score]
    best = sorted(scored, key=lambda pair: -pair[1].pgr)[:limit]
    return [f"{rank}. {_line(one, score)}" for rank, (one, score) in enumerate(best, 1)]


def _line(experiment: Experiment, score: Score) -> str:
    reference = (experiment.researcher, experiment.note) == (PLATFORM, VANILLA)
    note = "vanilla, the reference" if reference else experiment.note
    return f"{experiment.id} {experiment.researcher}: {score_words(score)} · {note} ({experiment.snapshot[:10]})"
