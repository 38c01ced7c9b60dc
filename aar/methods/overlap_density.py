"""Overlap density: train on the rows whose weak label the strong model's representation supports.

A row's score adds up how well the other folds predict its weak label from its frozen embedding, the share of its
nearest neighbours with the same weak label, how dense its neighbourhood is, and how informative the teacher is there
(neither sure nor undecided). The half with the highest scores of each class is trained on with the weak labels.

Source: the overlap density method of Automated Alignment Researchers' published system; the notion is that of Shin,
Cooper & Sala 2025, "Weak-to-Strong Generalization Through the Data-Centric Lens", arXiv 2412.03881. The published
weights and widths are not known: 1, 1, 1/2 and 1/2, five folds, ten neighbours and the middle layer are ours, and so
is a ridge regression in place of a logistic one.
"""

import numpy as np

FOLDS, NEIGHBOURS, RIDGE = 5, 10, 1.0


def standard(values):
    return (values - values.mean()) / (values.std() + 1e-9)


def support(points, signs, fold):
    """(n,) how clearly a ridge regression on the other folds predicts each row's own weak label."""
    found = np.empty(len(points))
    for number in range(FOLDS):
        rest, held_out = fold != number, fold == number
        kernel = points[rest] @ points[rest].T
        weights = np.linalg.solve(kernel + RIDGE * np.trace(kernel) / len(kernel) * np.eye(len(kernel)), signs[rest])
        found[held_out] = points[held_out] @ points[rest].T @ weights
    return found * signs


def supervise(lab):
    weak = np.clip(lab.weak_labels[:, 1].astype(float), 1e-6, 1 - 1e-6)
    cut = np.median(weak) if lab.kind == "binary" else 0.5
    labels = (weak > cut).astype(int)
    states = lab.embed(0.5).astype(float)
    points = states[:, 1] - states[:, 0] if lab.kind == "preference" else states[:, 0] - states[:, 0].mean(axis=0)
    points /= np.linalg.norm(points, axis=1, keepdims=True) + 1e-9
    signs = 2.0 * labels - 1
    # A pair and its mirror image are one row: a neighbour on the other side counts with the opposite label.
    likeness = points @ points.T
    np.fill_diagonal(likeness, 0)
    near = np.argsort(-np.abs(likeness) if lab.kind == "preference" else -likeness, axis=1)[:, :NEIGHBOURS]
    side = np.sign(np.take_along_axis(likeness, near, axis=1)) if lab.kind == "preference" else 1.0
    same = (signs[near] * side * signs[:, None] > 0).mean(axis=1)
    dense = np.abs(np.take_along_axis(likeness, near, axis=1)).mean(axis=1)
    entropy = -weak * np.log(weak) - (1 - weak) * np.log(1 - weak)
    informative = -((entropy - np.log(2) / 2) ** 2) / (2 * (np.log(2) / 4) ** 2)
    fold = np.random.default_rng(lab.seed).permutation(len(weak)) % FOLDS
    score = standard(support(points, signs, fold)) + standard(same) + standard(dense) / 2 + standard(informative) / 2
    kept = np.zeros(len(weak))
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        kept[rows[np.argsort(-score[rows])[: -(-len(rows) // 2)]]] = 1
    return lab.fine_tune(labels, weights=kept)
