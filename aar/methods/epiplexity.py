"""Epiplexity smoothing: soften the labels of rows that a student has to learn by heart.

Two students, each trained on one half, label the other half. A probe student then learns these labels; a row on which
its loss falls little from early to late had its label explained by others, or never learnt. The 40 % of rows with the
least such structure get their targets moved towards 1/2, and the final student learns from these.

Source: the epiplexity method of Automated Alignment Researchers' published system; the notion is that of Finzi et al.
2026, arXiv 2601.03220: the structure that a bounded learner extracts is the area between its losses and the last one.
Ours: the loss at the first visit is taken after a fifth of the probe's training.
"""

import numpy as np

SOFTENED, SHARPNESS, EARLY = 0.4, 2, 0.2


def loss(student, labels):
    """(n,) cross-entropy of a student's beliefs about all rows against soft labels."""
    beliefs = np.clip(student.predict().astype(float), 1e-6, 1)
    return -(labels * np.log(beliefs)).sum(axis=1)


def supervise(lab):
    weak, epochs = lab.weak_labels.astype(float), lab.recipe["epochs"]
    if lab.kind == "binary":
        rank = np.argsort(np.argsort(weak[:, 1], kind="stable"), kind="stable")
        weak[:, 1] = (rank + 0.5) / len(rank)
        weak[:, 0] = 1 - weak[:, 1]
    half = np.random.default_rng(lab.seed).permutation(len(weak)) % 2
    labels = np.empty_like(weak)
    for number in (0, 1):
        student = lab.fine_tune(weak, weights=(half != number).astype(float), epochs=2 * epochs)
        labels[half == number] = student.predict(np.flatnonzero(half == number))
    labels /= labels.sum(axis=1, keepdims=True)
    early = lab.fine_tune(labels, epochs=EARLY * epochs)
    late = lab.fine_tune(labels, epochs=(1 - EARLY) * epochs, base=early)
    structure = loss(early, labels) - loss(late, labels)
    place = np.argsort(np.argsort(structure, kind="stable"), kind="stable") / len(structure)
    moved = np.where(place < SOFTENED, (1 - place / SOFTENED) ** SHARPNESS, 0.0)[:, None]
    return lab.fine_tune((1 - moved) * labels + moved / 2)
