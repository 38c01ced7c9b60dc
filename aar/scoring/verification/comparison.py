"""A verified method beside vanilla, teacher, ceiling and its own control arms, on the sealed part."""

from collections.abc import Callable, Mapping

from aar.scoring.dataset import CEILING, TEACHER, HeldOutDataset
from aar.scoring.records import DEV, SEALED, DatasetVerification, Experiment, Labels, RunOutput
from aar.scoring.stats.pgr import (
    Correctness,
    Gap,
    accuracy_estimate,
    difference,
    mean_difference,
    optimism,
    pgr_estimate,
)
from aar.scoring.stats.uncertainty import Estimate, MeanEstimate
from aar.scoring.store import ScoreStore


class Comparison:
    """Reads what was measured.

    Attributes:
        subject: the experiment that is verified, as research scored it.
        method, vanilla: the method's and vanilla's experiments on fresh seeds.
        controls: the method's experiments on other labels.
    """

    def __init__(
        self,
        subject: Experiment,
        vanilla: Experiment,
        method: Experiment,
        controls: Mapping[Labels, Experiment],
        hidden: Callable[[str], HeldOutDataset],
        book: ScoreStore,
    ) -> None:
        self.subject, self.vanilla, self.method, self.controls = subject, vanilla, method, controls
        self.hidden, self._book = hidden, book

    def gap(self, dataset: str, ceiling: str = CEILING) -> Gap:
        """The method between its seeds' own teachers and the ceiling, which is a fixed mean over the research seeds."""
        teacher = self._correct(dataset, TEACHER).on(self.method.seeds)
        return Gap(self._correct(dataset, self.method.id), teacher, self._correct(dataset, ceiling))

    def gaps(self, ceiling: str = CEILING) -> list[Gap]:
        """The gaps on the research datasets."""
        return [self.gap(name, ceiling) for name in self.subject.datasets]

    def over(self, reference: str, model: str | None = None) -> MeanEstimate:
        """How far the method, or another model, is above a reference: mean over the research datasets, in PGR."""
        names, model = self.subject.datasets, model or self.method.id
        pairs = [(self._correct(name, model), self._correct(name, reference)) for name in names]
        return mean_difference(pairs, [gap.size for gap in self.gaps()])

    def optimism(self) -> Estimate:
        """How much higher the mean PGR was on dev."""
        models = (self.subject.id, TEACHER, CEILING)
        on_dev = [
            Gap(*(self.hidden(name).correctness(DEV, model) for model in models)) for name in self.subject.datasets
        ]
        return optimism(on_dev, self.gaps())

    def on(self, dataset: str) -> DatasetVerification:
        """All figures of one dataset."""
        hidden, gap, vanilla = self.hidden(dataset), self.gap(dataset), self._correct(dataset, self.vanilla.id)
        return DatasetVerification(
            dataset=dataset,
            role=hidden.role,
            items=len(hidden.parts[SEALED]),
            weak=accuracy_estimate(gap.weak),
            vanilla=accuracy_estimate(vanilla),
            accuracy=accuracy_estimate(gap.student),
            ceiling=accuracy_estimate(gap.ceiling),
            pgr=pgr_estimate(gap),
            over_vanilla=difference(gap.student, vanilla).estimate(),
        )

    def runs(self, dataset: str) -> dict[int, RunOutput]:
        """What the method's runs on fresh seeds ended with."""
        return self._book.trained(self.method.id, dataset)

    def all_runs(self) -> list[tuple[HeldOutDataset, RunOutput]]:
        """The runs on all research datasets."""
        return [(self.hidden(name), run) for name in self.subject.datasets for run in self.runs(name).values()]

    def _correct(self, dataset: str, model: str) -> Correctness:
        return self.hidden(dataset).correctness(SEALED, model)
