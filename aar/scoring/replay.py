"""A method's recipe without its supervision: how it fitted, replayed by the platform on other labels.

What a method gains may come from how it fits (more epochs, another rate, several students distilled into one) and not
from what it makes of weak labels. So its fits are repeated on vanilla's labels, and on ground truth for the ceiling:
same number, epochs, rates and starting points, on all rows. Where a fit came after the method had asked for
predictions of earlier students, its targets are the mean of the replayed students' predictions: that is how students
are put together in the weights protocol. The replay runs on the platform, so no method code sees ground truth.

Not covered: methods that train by a program of their own; which rows, weights and order a method chose, and its loss,
count as supervision.
"""

import numpy as np

from aar.config import Recipe
from aar.problems.dataset import Kind
from aar.scoring.hidden import Hidden
from aar.scoring.records import Fit, Trained


def is_plain(trained: Trained, recipe: Recipe) -> bool:
    """Did the run fit as the baselines do: one fit, with the recipe's epochs and rate?"""
    return trained.fits is not None and trained.returned == 0 and trained.fits[:1] == (Fit(recipe.epochs, recipe.lr),)


def is_ensemble(trained: Trained) -> bool:
    """Was the returned student taught by the predictions of two or more others?"""
    return trained.fits is not None and len(trained.fits[trained.returned].taught_by) > 1


def hard_labels(weak: np.ndarray, kind: Kind) -> np.ndarray:
    """(n, 2) -> (n,) the labels that the vanilla method trains on."""
    cut = np.median(weak[:, 1]) if kind == "binary" else 0.5
    return np.asarray(weak[:, 1] > cut)


async def replay(hidden: Hidden, trained: Trained, targets: np.ndarray, seed: int) -> str:
    """Key of the student that the run's fits give with (n,) `targets` as the labels."""
    assert trained.fits is not None
    keys: list[str] = []
    for fit in trained.fits[: trained.returned + 1]:
        own = targets if not fit.taught_by else await _mean_prediction(hidden, [keys[at] for at in fit.taught_by])
        keys.append(await hidden.measure.fine_tune(own, fit, None if fit.start is None else keys[fit.start], seed))
    return keys[trained.returned]


async def _mean_prediction(hidden: Hidden, students: list[str]) -> np.ndarray:
    predictions = [await hidden.measure.predictions(key, hidden.data.train_unlabel) for key in students]
    return np.asarray(np.mean(predictions, axis=0)[:, 1])
