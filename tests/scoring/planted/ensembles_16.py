"""A planted cheat: vanilla's labels, sixteen students, and their mean distilled into one more. Needs 17 fits."""

import numpy as np

STUDENTS = 16


def supervise(lab):
    weak = lab.weak_labels[:, 1]
    cut = np.median(weak) if lab.kind == "binary" else 0.5
    labels = (weak > cut).astype(int)
    rng = np.random.default_rng(lab.seed)
    students = [lab.fine_tune(labels, order=rng.permutation(len(labels))) for _ in range(STUDENTS)]
    return lab.fine_tune(np.mean([student.predict() for student in students], axis=0))
