"""The functions that composed methods are made of. Their source is copied into the method file, so each is numpy only.

A belief is an (n,) array of P(label 1); a confidence is (n,), 0 to 1.
"""

import numpy as np

from aar.methods.em_posterior import calibrated, posterior, product

__all__ = ["calibrated", "confident_first", "most_confident", "posterior", "probe", "product"]


def probe(states: np.ndarray, belief: np.ndarray, seed: int, folds: int = 5) -> np.ndarray:
    """(n,) belief of a ridge regression on hidden states (n, k, d) that never saw the row's own label."""
    features = states[:, -1] - states[:, 0] if states.shape[1] == 2 else states[:, 0]
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    fold = np.random.default_rng(seed).permutation(len(belief)) % folds
    score = np.zeros(len(belief))
    for held_out in range(folds):
        seen = features[fold != held_out]
        gram = seen.T @ seen + 0.1 * len(belief) * np.eye(features.shape[1])
        slope = np.linalg.solve(gram, seen.T @ (2 * belief[fold != held_out] - 1))
        score[fold == held_out] = features[fold == held_out] @ slope
    rank = np.argsort(np.argsort(score, kind="stable"), kind="stable")
    return (rank + 0.5) / len(score)


def most_confident(confidence: np.ndarray, keep: float) -> np.ndarray:
    """(n,) bool, True for the fraction `keep` of the rows with the highest confidence."""
    kept = np.zeros(len(confidence), dtype=bool)
    kept[np.argsort(-confidence, kind="stable")[: max(1, round(keep * len(confidence)))]] = True
    return kept


def confident_first(confidence: np.ndarray, weights: np.ndarray, seed: int) -> np.ndarray:
    """(m,) row numbers: the more confident half of the rows in use, shuffled, and then all of them, shuffled."""
    rows = np.flatnonzero(weights > 0)
    ranked = rows[np.argsort(-confidence[rows], kind="stable")]
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(ranked[: (len(ranked) + 1) // 2]), rng.permutation(rows)])
