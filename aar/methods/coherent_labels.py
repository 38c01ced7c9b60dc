"""Coherent labels: change weak labels until each is what the others predict for it, with the teacher as evidence.

A ridge regression on the strong model's frozen states predicts each row's label from all other rows (leave-one-out, in
closed form). A row takes the sign of that prediction plus the teacher's log-odds, and the teacher's share falls from
sweep to sweep. Labels that only the weak model could have found, because nothing in the strong model's representation
supports them, are outvoted.

Source: Wen et al. 2025, "Unsupervised Elicitation of Language Models" (Internal Coherence Maximization), arXiv
2506.10139: labels that are mutually predictable. Ours: the weak labels as start and evidence, a linear predictor in
place of prompts, and all rows at once.
"""

import numpy as np

RIDGE = 3.0
SWEEPS = 10


def features(lab):
    """(n, d) unit vectors of the strong model: for a preference, how its second text differs from its first."""
    parts = []
    for depth in (0.5, 0.75):
        states = lab.embed(depth).astype(float)
        points = states[:, 1] - states[:, 0] if lab.kind == "preference" else states[:, 0] - states[:, 0].mean(axis=0)
        parts.append(points / (np.linalg.norm(points, axis=1, keepdims=True) + 1e-9))
    return np.concatenate(parts, axis=1)


def smoother(points):
    """(n, d) -> (n, n) the leave-one-out predictions of ridge regression, as a matrix that multiplies labels."""
    kernel = points @ points.T
    kernel *= len(kernel) / np.trace(kernel)
    hat = kernel @ np.linalg.inv(kernel + RIDGE * np.eye(len(kernel)))
    leverage = np.diag(hat).copy()
    np.fill_diagonal(hat, 0)
    return hat / (1 - leverage)[:, None]


def supervise(lab):
    weak = np.clip(lab.weak_labels[:, 1].astype(float), 0.01, 0.99)
    odds = np.log(weak / (1 - weak))
    odds -= np.median(odds) if lab.kind == "binary" else 0.0
    others = smoother(features(lab))
    labels = np.sign(odds)
    for sweep in range(SWEEPS):
        evidence = others @ labels
        share = 1 - 0.7 * sweep / (SWEEPS - 1)
        changed = np.sign(evidence / evidence.std() + share * odds / odds.std())
        if (changed == labels).all():
            break
        labels = changed
    return lab.fine_tune((labels > 0).astype(int))
