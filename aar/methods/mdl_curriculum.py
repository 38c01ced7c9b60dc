"""MDL curriculum: first the half of the rows that the teacher is surest about, then all of them at half the rate.

What is easy for the teacher is learnt first and at full rate, so that the student's description of the task is simple
before it meets the rows on which the teacher errs most. The phases take 0.4 and 0.6 of the recipe's epochs.

Source: the MDL curriculum of Automated Alignment Researchers' published system (there 2 and 3 epochs). Ours: the surest
half is taken in each class, by rank from the median, which keeps the classes balanced.
"""

import numpy as np


def supervise(lab):
    weak, recipe = lab.weak_labels[:, 1], lab.recipe
    rank = np.argsort(np.argsort(weak, kind="stable"), kind="stable") / max(len(weak) - 1, 1)
    surest = np.abs(rank - 0.5) >= 0.25
    first = lab.fine_tune(lab.weak_labels, weights=surest.astype(float), epochs=0.4 * recipe["epochs"])
    return lab.fine_tune(lab.weak_labels, epochs=0.6 * recipe["epochs"], lr=recipe["lr"] / 2, base=first)
