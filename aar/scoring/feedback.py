"""What a researcher is told about an experiment: the Ladder's answer, from the dev part alone."""

from collections.abc import Callable

from aar.config import ScoringConfig
from aar.scoring.dataset import CEILING, TEACHER, HeldOutDataset
from aar.scoring.records import DEV, PLATFORM, DatasetScore, Experiment, Score
from aar.scoring.stats.ladder import ItemScores, Ladder
from aar.scoring.stats.pgr import Gap, mean_pgr_estimate

WIDEST = 10.0
"""An interval that reaches further says nothing; forums and JSON have no infinity."""


class Feedback:
    """Answers submissions of one campaign, whose datasets `hidden` gives by name."""

    def __init__(self, config: ScoringConfig, hidden: Callable[[str], HeldOutDataset]) -> None:
        self._ladder = Ladder(config.ladder_step, config.ladder_level)
        self._hidden = hidden

    def answer(self, experiment: Experiment, earlier: list[Experiment]) -> Score | None:
        """The score to release, or None: no significant improvement.

        Args:
            experiment: its correctness on dev is in the scorebook.
            earlier: the campaign's other experiments on dev, oldest first.
        """
        score = self._score(experiment)
        best = _best(experiment, earlier)
        if best is None:
            return score
        submission = 1 + sum(one.status == "scored" and one.researcher != PLATFORM for one in earlier)
        better = self._ladder.improves(self._graded(experiment, experiment), self._graded(best, experiment), submission)
        return score if better else None

    def gap(self, experiment: Experiment, dataset: str, test: str) -> Gap:
        """An experiment between teacher and ceiling, exactly; for the platform alone."""
        hidden = self._hidden(dataset)
        return Gap(*(hidden.correctness(test, model) for model in (experiment.id, TEACHER, CEILING)))

    def exact_pgr(self, experiment: Experiment) -> float:
        """The mean PGR on dev, for the platform alone."""
        return sum(self.gap(experiment, one, DEV).pgr for one in experiment.datasets) / len(experiment.datasets)

    def _score(self, experiment: Experiment) -> Score:
        gaps = {dataset: self.gap(experiment, dataset, DEV) for dataset in experiment.datasets}
        exact = mean_pgr_estimate(list(gaps.values()))
        by_dataset = tuple(self._dataset_score(dataset, gap) for dataset, gap in gaps.items())
        pgr = self._ladder.rounded(sum(one.pgr for one in by_dataset) / len(by_dataset))
        return Score(
            accuracy=round(sum(one.accuracy for one in by_dataset) / len(by_dataset), 4),
            pgr=pgr,
            pgr_low=round(pgr + max(exact.low - exact.value, -WIDEST), 2),
            pgr_high=round(pgr + min(exact.high - exact.value, WIDEST), 2),
            by_dataset=by_dataset,
        )

    def _dataset_score(self, dataset: str, gap: Gap) -> DatasetScore:
        pgr = self._ladder.rounded(gap.pgr)
        return DatasetScore(dataset, round(gap.weak.accuracy + pgr * gap.size, 4), pgr)

    def _graded(self, experiment: Experiment, like: Experiment) -> list[ItemScores]:
        """The experiment's answers on the seeds of `like`, in units of PGR."""
        graded = []
        for dataset in like.datasets:
            gap = self.gap(experiment, dataset, DEV)
            by_item = gap.student.on(like.seeds).by_seed.mean(axis=0)
            graded.append(ItemScores(by_item, worth=1 / (gap.size * len(like.datasets))))
        return graded


def _best(experiment: Experiment, earlier: list[Experiment]) -> Experiment | None:
    """What has to be beaten: the researcher's last released experiment, or vanilla. The platform beats nobody."""
    if experiment.researcher == PLATFORM:
        return None
    released = [one for one in earlier if one.score is not None]
    own = [one for one in released if one.researcher == experiment.researcher]
    known = own or [one for one in released if one.is_reference]
    return known[-1] if known else None
