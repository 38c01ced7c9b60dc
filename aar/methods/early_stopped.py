"""Early stopping: train until agreement with the teacher on held-out rows no longer rises, and return that student.

A student first learns what it knows already, and later imitates the teacher's errors. On rows that it does not train
on, agreement with the teacher's labels rises while it learns what generalises, and stops when it begins to memorise.

Source: Burns et al. 2023, arXiv 2312.09390, section 4.3 and appendix A; there the stop is chosen on ground truth, which
is a ceiling for what this can reach.
"""

import numpy as np

STEP = 0.25
"""Of the recipe's epochs, in one step."""


def supervise(lab):
    weak = lab.weak_labels[:, 1]
    labels = (weak > (np.median(weak) if lab.kind == "binary" else 0.5)).astype(int)
    held_out = np.random.default_rng(lab.seed).random(len(labels)) < 0.25
    rows = np.flatnonzero(held_out)
    best, best_agreement, student = None, -1.0, None
    for _ in range(lab.budget["fits"]):
        epochs = lab.recipe["epochs"] * STEP
        student = lab.fine_tune(labels, weights=(~held_out).astype(float), epochs=epochs, base=student)
        belief = student.predict(rows)[:, 1]
        decided = belief > (np.median(belief) if lab.kind == "binary" else 0.5)
        agreement = float((decided == labels[rows]).mean())
        if agreement <= best_agreement:
            break
        best, best_agreement = student, agreement
    return best
