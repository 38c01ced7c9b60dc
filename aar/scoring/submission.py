"""Predictions as a method hands them in, checked before anything is answered; and the digest by which they are known.

Covers: predictions that are not numbers, not finite, no probabilities, of a wrong length or far too long. Each is
refused with a ScoringError that says what was expected.
"""

import hashlib

import numpy as np

from aar.errors import ScoringError


def checked_predictions(values: np.ndarray, items: int) -> np.ndarray:
    """(items,) bool, predicted class 1, from (items,) labels or (items, 2) probabilities.

    Raises:
        ScoringError: anything else was handed in.
    """
    expected = f"expected ({items},) labels of 0 and 1 or ({items}, 2) probabilities, a row for each test input"
    if values.ndim not in (1, 2) or len(values) != items or (values.ndim == 2 and values.shape[1] != 2):
        raise ScoringError(f"the predictions have shape {values.shape}; {expected}")
    if values.dtype.kind not in "fiub":
        raise ScoringError(f"the predictions have dtype {values.dtype}; {expected}")
    bad = ~np.isfinite(values.reshape(items, -1)).all(axis=1)
    if bad.any():
        raise ScoringError(f"the predictions hold NaN or infinity in {bad.sum()} rows, first in row {bad.argmax()}")
    if values.ndim == 1:
        if not np.isin(values, (0, 1)).all():
            raise ScoringError(f"labels must be 0 or 1; {expected}")
        return np.asarray(values == 1)
    if values.min() < 0 or values.max() > 1 + 1e-3 or np.abs(values.sum(axis=1, dtype=float) - 1).max() > 1e-3:
        raise ScoringError(f"probabilities must lie between 0 and 1 and each row must sum to 1; {expected}")
    return np.asarray(values[:, 1] > values[:, 0])


def predictions_digest(predicted: np.ndarray) -> str:
    """SHA-256 of (items,) predicted classes."""
    return hashlib.sha256(np.packbits(predicted.astype(bool)).tobytes() + str(predicted.size).encode()).hexdigest()
