"""A method under verification, compared on the sealed split with vanilla, teacher, ceiling and its own control arms."""

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
    """Figures computed from stored measurements.

    Attributes:
        subject: the experiment that is verified, as it was scored in research.
        method, vanilla: the method's and vanilla's experiments on fresh seeds.
        controls: the method's experiments on other labels.
    """

    def __init__(
        self,
        subject: Experiment,
        vanilla: Experiment,
        method: Experiment,
        controls: Mapping[Labels, Experiment],
        held_out: Callable[[str], HeldOutDataset],
        store: ScoreStore,
    ) -> None:
        self.subject, self.vanilla, self.method, self.controls = subject, vanilla, method, controls
        self.held_out, self._store = held_out, store

    def gap(self, dataset: str, ceiling: str = CEILING) -> Gap:
        """Return the method between the teachers of its seeds and the ceiling, a fixed mean over the research seeds."""
        teacher = self._correct(dataset, TEACHER).on(self.method.seeds)
        return Gap(self._correct(dataset, self.method.id), teacher, self._correct(dataset, ceiling))

    def gaps(self, ceiling: str = CEILING) -> list[Gap]:
        """Return the gaps on the research datasets."""
        return [self.gap(name, ceiling) for name in self.subject.datasets]

    def over(self, reference: str, model: str | None = None) -> MeanEstimate:
        """Return the method's (or another model's) lead over a reference: mean over the research datasets, in PGR."""
        names, model = self.subject.datasets, model or self.method.id
        pairs = [(self._correct(name, model), self._correct(name, reference)) for name in names]
        return mean_difference(pairs, [gap.size for gap in self.gaps()])

    def optimism(self) -> Estimate:
        """Return how much higher the mean PGR was on dev."""
        models = (self.subject.id, TEACHER, CEILING)
        on_dev = [
            Gap(*(self.held_out(name).correctness(DEV, model) for model in models)) for name in self.subject.datasets
        ]
        return optimism(on_dev, self.gaps())

    def on(self, dataset: str) -> DatasetVerification:
        """Return all figures of one dataset."""
        held_out, gap, vanilla = self.held_out(dataset), self.gap(dataset), self._correct(dataset, self.vanilla.id)
        return DatasetVerification(
            dataset=dataset,
            role=held_out.role,
            items=len(held_out.splits[SEALED]),
            weak=accuracy_estimate(gap.weak),
            vanilla=accuracy_estimate(vanilla),
            accuracy=accuracy_estimate(gap.student),
            ceiling=accuracy_estimate(gap.ceiling),
            pgr=pgr_estimate(gap),
            over_vanilla=difference(gap.student, vanilla).estimate(),
        )

    def runs(self, dataset: str) -> dict[int, RunOutput]:
        """Return the outputs of the method's runs on fresh seeds."""
        return self._store.outputs(self.method.id, dataset)

    def all_runs(self) -> list[tuple[HeldOutDataset, RunOutput]]:
        """Return the runs on all research datasets, each with its dataset."""
        return [(self.held_out(name), run) for name in self.subject.datasets for run in self.runs(name).values()]

    def _correct(self, dataset: str, model: str) -> Correctness:
        return self.held_out(dataset).correctness(SEALED, model)
