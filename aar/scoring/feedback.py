"""Feedback to researchers on their experiments: the Ladder's answer, from the dev split only."""

from collections.abc import Callable

from aar.config import PLATFORM, ScoringConfig
from aar.scoring.dataset import CEILING, TEACHER, HeldOutDataset
from aar.scoring.records import DEV, DatasetScore, Experiment, Score
from aar.scoring.stats.ladder import ItemScores, Ladder
from aar.scoring.stats.pgr import Gap, mean_pgr_estimate

WIDEST = 10.0
"""Intervals are clipped here: a wider one carries no information, and JSON has no infinity."""


class Feedback:
    """Answers submissions of one campaign. `held_out` returns its datasets by name."""

    def __init__(self, config: ScoringConfig, held_out: Callable[[str], HeldOutDataset]) -> None:
        self._ladder = Ladder(config.ladder_step, config.ladder_level)
        self._held_out = held_out

    def answer(self, experiment: Experiment, earlier: list[Experiment]) -> Score | None:
        """Return the score to release, or None: no significant improvement.

        Args:
            experiment: its correctness on dev is in the store.
            earlier: the campaign's other experiments on dev, oldest first.
        """
        score = self._score(experiment)
        best = _best(experiment, earlier)
        if best is None:
            return score
        submission = 1 + sum(other.status == "scored" and other.researcher != PLATFORM for other in earlier)
        new, old = self._item_scores(experiment, experiment), self._item_scores(best, experiment)
        return score if self._ladder.improves(new, old, submission) else None

    def exact_pgr(self, experiment: Experiment) -> float:
        """Return the mean PGR on dev without rounding; for the platform only."""
        return sum(self._gap(experiment, dataset).pgr for dataset in experiment.datasets) / len(experiment.datasets)

    def _gap(self, experiment: Experiment, dataset: str) -> Gap:
        held_out = self._held_out(dataset)
        return Gap(*(held_out.correctness(DEV, model) for model in (experiment.id, TEACHER, CEILING)))

    def _score(self, experiment: Experiment) -> Score:
        gaps = {dataset: self._gap(experiment, dataset) for dataset in experiment.datasets}
        exact = mean_pgr_estimate(list(gaps.values()))
        by_dataset = tuple(self._dataset_score(dataset, gap) for dataset, gap in gaps.items())
        pgr = self._ladder.rounded(sum(score.pgr for score in by_dataset) / len(by_dataset))
        return Score(
            accuracy=round(sum(score.accuracy for score in by_dataset) / len(by_dataset), 4),
            pgr=pgr,
            pgr_low=round(pgr + max(exact.low - exact.value, -WIDEST), 2),
            pgr_high=round(pgr + min(exact.high - exact.value, WIDEST), 2),
            by_dataset=by_dataset,
        )

    def _dataset_score(self, dataset: str, gap: Gap) -> DatasetScore:
        pgr = self._ladder.rounded(gap.pgr)
        return DatasetScore(dataset, round(gap.weak.accuracy + pgr * gap.size, 4), pgr)

    def _item_scores(self, experiment: Experiment, like: Experiment) -> list[ItemScores]:
        """Return the experiment's correctness by item on the seeds of `like`, weighted so that it adds up to PGR."""
        scores = []
        for dataset in like.datasets:
            gap = self._gap(experiment, dataset)
            by_item = gap.student.on(like.seeds).by_seed.mean(axis=0)
            scores.append(ItemScores(by_item, weight=1 / (gap.size * len(like.datasets))))
        return scores


def _best(experiment: Experiment, earlier: list[Experiment]) -> Experiment | None:
    """Return the experiment to beat: the researcher's last released one, or vanilla. Platform runs have none."""
    if experiment.researcher == PLATFORM:
        return None
    released = [other for other in earlier if other.score is not None]
    same_researcher = [other for other in released if other.researcher == experiment.researcher]
    rivals = same_researcher or [other for other in released if other.is_reference]
    return rivals[-1] if rivals else None
