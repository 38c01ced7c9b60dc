"""What the scorer keeps and hands out. Data only.

What the scorer tells an experiment about a dataset: nothing that is hidden.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from aar.commons.foreign import Foreign
from aar.models.recipe import Recipe
from aar.problems.dataset import Example, Kind
from aar.scoring.stats.uncertainty import Estimate

Status = Literal["running", "scored", "failed"]
Labels = Literal["teacher", "shuffled", "better", "worse"]
"""Whose labels a method gets: its seed's teacher's, those shuffled, or those of a better or a worse teacher."""
PLATFORM = "platform"
"""The author of reference experiments, which no researcher pays for."""
DEV, SEALED = "dev", "sealed"
"""The two parts of the hidden test set: feedback while researching, and verification alone."""
VANILLA = "vanilla"
"""The reference method: train on the teacher's hard labels."""
NOTE_CHARACTERS = 200
"""The longest note of an experiment, which is one line."""


@dataclass(frozen=True)
class ExperimentRun:
    """One call of `supervise(lab)`: on which dataset, with which seed, and whose labels."""

    dataset: str
    seed: int
    labels: Labels = "teacher"


@dataclass(frozen=True)
class FitRecipe:
    """One fine-tuning of a run, without its targets: the part of a method that is recipe and not supervision.

    `start`: number of the run's fit that it continues; `distilled_from`: numbers of the fits whose predictions on the
    training texts the method asked for since its fit before this one.
    """

    epochs: float
    lr: float
    start: int | None = None
    distilled_from: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class RunOutput:
    """What a run ended with: the key of the student, which of its `fits` that is, or `predictions` of the dev inputs.

    `fits` is None where the method trained by a program of its own, which cannot be replayed with other labels.
    """

    student: str | None
    fits: tuple[FitRecipe, ...] | None = ()
    returned: int = 0
    predictions: np.ndarray | None = None


@dataclass(frozen=True)
class DatasetScore:
    """A released score on one of the research datasets."""

    dataset: str
    accuracy: float
    pgr: float


@dataclass(frozen=True)
class Score:
    """What the Ladder released: mean PGR over the research datasets on dev, rounded, with its 95 % interval.

    `accuracy` belongs to the rounded PGR. Each dataset's own score stands in `by_dataset`.
    """

    accuracy: float
    pgr: float
    pgr_low: float
    pgr_high: float
    by_dataset: tuple[DatasetScore, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """One method (a snapshot) run on the research datasets with the scorer's seeds. Times: seconds since the epoch.

    Scored without a `score`: it was no significant improvement over the researcher's best, and nothing else is told.
    An experiment that `verification_of` another one repeats its method on other seeds, with labels of the given kind.
    """

    id: str
    researcher: str
    snapshot: str
    datasets: tuple[str, ...]
    note: Foreign
    seeds: tuple[int, ...]
    status: Status
    score: Score | None
    failure: Foreign | None
    started: float
    ended: float | None
    labels: Labels = "teacher"
    verification_of: str | None = None

    @property
    def runs(self) -> tuple[ExperimentRun, ...]:
        """The calls of `supervise(lab)` that it consists of."""
        return tuple(ExperimentRun(dataset, seed, self.labels) for dataset in self.datasets for seed in self.seeds)

    @property
    def is_reference(self) -> bool:
        """Is it the platform's own vanilla?"""
        return self.verification_of is None and (self.researcher, self.note.text) == (PLATFORM, VANILLA)


@dataclass(frozen=True)
class Baselines:
    """The fixed ends of the gap on one dataset's dev part: mean accuracies over `seeds`, with intervals."""

    dataset: str
    seeds: tuple[int, ...]
    weak: Estimate
    ceiling: Estimate
    test_items: int


@dataclass(frozen=True)
class DatasetVerification:
    """A verified method on one dataset's sealed part. `over_vanilla`: in accuracy, paired."""

    dataset: str
    role: Literal["research", "transfer"]
    items: int
    weak: Estimate
    vanilla: Estimate
    accuracy: Estimate
    ceiling: Estimate
    pgr: Estimate
    over_vanilla: Estimate


@dataclass(frozen=True)
class ControlResult:
    """One control's finding: a verdict in a word or two, the effect that it rests on, and what was compared."""

    control: str
    verdict: str
    effect: Estimate | None
    words: str


@dataclass(frozen=True)
class Verification:
    """A method rerun from nothing on fresh seeds and scored on sealed.

    PGRs are means over the research datasets. `p_value` is of "as good as vanilla", two-sided, paired by seed and item;
    `candidates`: how many submissions had been scored on dev when this one was chosen; `optimism`: how much higher its
    PGR was on dev; `recipe_matched_pgr`: PGR against a ceiling that got the same recipe, where that differs.
    """

    experiment: str
    seeds: tuple[int, ...]
    pgr: Estimate
    over_vanilla: Estimate
    p_value: float
    candidates: int
    optimism: Estimate | None
    datasets: tuple[DatasetVerification, ...]
    controls: tuple[ControlResult, ...]
    recipe_matched_pgr: Estimate | None
    time: float


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Unlabelled training examples, the teacher's (n, 2) probabilities for them, and the students' recipe.

    `test_examples`: the inputs to predict, in the predictions protocol alone.
    """

    kind: Kind
    examples: tuple[Example, ...]
    weak_labels: np.ndarray
    recipe: Recipe
    test_examples: tuple[Example, ...] = ()
