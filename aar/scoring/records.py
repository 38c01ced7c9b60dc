"""The records that the scorer stores and returns. Data only; `TrainingData` holds nothing that is hidden."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from aar.commons.foreign import Foreign
from aar.config import PLATFORM
from aar.models.recipe import XENT, Loss, Recipe
from aar.problems.dataset import Example, Kind
from aar.scoring.stats.uncertainty import Estimate

Status = Literal["running", "scored", "failed"]
Labels = Literal["teacher", "shuffled", "better", "worse"]
"""The labels that a method gets: from its seed's teacher, those shuffled, or from a better or a worse teacher."""
DEV, SEALED = "dev", "sealed"
"""The two splits of the hidden test set: for feedback during research, and for verification only."""
VANILLA = "vanilla"
"""The reference method: train on the teacher's hard labels."""
NOTE_CHARACTERS = 200
"""The longest note of an experiment; a note is one line."""


@dataclass(frozen=True)
class ExperimentRun:
    """One call of `supervise(lab)`: its dataset, its seed, and whose labels it gets."""

    dataset: str
    seed: int
    labels: Labels = "teacher"


@dataclass(frozen=True)
class FitRecipe:
    """One fine-tuning of a run, without its targets: the part of a method that is recipe and not supervision.

    `replica` 0 is the run's own seed. `start`: the number of the run's fit that it continues. `distilled_from`: the
    numbers of the fits whose predictions on the training texts the method requested since its previous fit.

    With `average_of` nothing was trained: the student is the weighted mean of the students of these fits, given as
    numbers and shares, and the other fields say nothing.
    """

    epochs: float
    lr: float
    start: int | None = None
    distilled_from: tuple[int, ...] = ()
    loss: Loss = XENT
    replica: int = 0
    average_of: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, eq=False)
class RunOutput:
    """The output of a run: the key of its student, with the index `final_fit` of its fit in `fits`, or `predictions`.

    `fits` is None where the method made a student by a program or with a head of its own, which cannot be replayed.
    `predictions` are of the test inputs, in the predictions protocol only.
    """

    student: str | None
    fits: tuple[FitRecipe, ...] | None = ()
    final_fit: int = 0
    predictions: np.ndarray | None = None


@dataclass(frozen=True)
class DatasetScore:
    """A released score on one of the research datasets."""

    dataset: str
    accuracy: float
    pgr: float


@dataclass(frozen=True)
class Score:
    """A score released by the Ladder: mean PGR over the research datasets on dev, rounded, with its 95 % interval.

    `accuracy` corresponds to the rounded PGR. `by_dataset` has the score on each dataset.
    """

    accuracy: float
    pgr: float
    pgr_low: float
    pgr_high: float
    by_dataset: tuple[DatasetScore, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """One method (a snapshot) run on the research datasets with the scorer's seeds. Times: seconds since the epoch.

    Scored without a `score`: it was not a significant improvement over the researcher's best, and no more is revealed.
    If `verification_of` names an experiment, this one repeats its method on other seeds, with `labels` of another kind.
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
        """Return the calls of `supervise(lab)` of which it consists."""
        return tuple(ExperimentRun(dataset, seed, self.labels) for dataset in self.datasets for seed in self.seeds)

    @property
    def is_reference(self) -> bool:
        """True if this is the platform's own vanilla."""
        return self.verification_of is None and (self.researcher, self.note.text) == (PLATFORM, VANILLA)


@dataclass(frozen=True)
class Baselines:
    """The fixed ends of the gap on one dataset's dev split: mean accuracies over `seeds`, with intervals.

    prior: of the untrained student. signed_prior: of the same, turned round where it mostly contradicts the teacher.
    """

    dataset: str
    seeds: tuple[int, ...]
    weak: Estimate
    ceiling: Estimate
    test_items: int
    prior: Estimate
    signed_prior: Estimate


@dataclass(frozen=True)
class DatasetVerification:
    """A verified method on one dataset's sealed split. `over_vanilla`: in accuracy, paired."""

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
    """The result of one control: a verdict in a few words, the effect that it rests on, and what was compared."""

    control: str
    verdict: str
    effect: Estimate | None
    words: str


@dataclass(frozen=True)
class Verification:
    """A method rerun from scratch on fresh seeds and scored on sealed. PGRs are means over the research datasets.

    Attributes:
        p_value: of "as good as vanilla", two-sided, paired by seed and item.
        candidates: how many submissions had been scored on dev when this one was chosen.
        optimism: how much higher its PGR was on dev.
        recipe_matched_pgr: PGR against a ceiling that was trained by the same recipe, where that differs.
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

    `test_examples`: the inputs to predict, in the predictions protocol only.
    """

    kind: Kind
    examples: tuple[Example, ...]
    weak_labels: np.ndarray
    recipe: Recipe
    test_examples: tuple[Example, ...] = ()
