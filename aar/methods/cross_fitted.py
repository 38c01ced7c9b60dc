"""Cross-fitted labels: students that have not seen a row's weak label decide what the last student learns for it.

The rows are split into three folds. For each fold a student learns from the weak labels of the other two, and predicts
it. A fresh student learns from these predictions, which keep what the weak labels have in common and lose the errors
that a student could only have memorised.

Source: the out-of-fold labels of the epiplexity method of Automated Alignment Researchers' published system; the second
generation is that of Furlanello et al. 2018, "Born-Again Neural Networks", arXiv 1805.04770.
"""

import numpy as np

FOLDS = 3


def supervise(lab):
    weak = lab.weak_labels[:, 1]
    labels = (weak > (np.median(weak) if lab.kind == "binary" else 0.5)).astype(int)
    fold = np.random.default_rng(lab.seed).permutation(len(labels)) % FOLDS
    unseen = np.empty((len(labels), 2))
    for number in range(FOLDS):
        held_out = np.flatnonzero(fold == number)
        student = lab.fine_tune(labels, weights=(fold != number).astype(float), epochs=lab.recipe["epochs"] * 1.5)
        unseen[held_out] = student.predict(held_out)
    odds = np.log(np.clip(unseen[:, 1], 1e-6, 1)) - np.log(np.clip(unseen[:, 0], 1e-6, 1))
    return lab.fine_tune((odds > (np.median(odds) if lab.kind == "binary" else 0.0)).astype(int))
