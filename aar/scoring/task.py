"""What the scorer tells an experiment about a dataset: nothing that is hidden."""

from dataclasses import dataclass

import numpy as np

from aar.config import Recipe
from aar.problems.dataset import Example, Kind


@dataclass(frozen=True, eq=False)
class Task:
    """Unlabelled training examples, the teacher's (n, 2) probabilities for them, and the students' recipe.

    `test_examples`: the inputs to predict, in the predictions protocol alone.
    """

    kind: Kind
    examples: tuple[Example, ...]
    weak_labels: np.ndarray
    recipe: Recipe
    test_examples: tuple[Example, ...] = ()
