"""Averaged students: the mean of the weights of students that see the weak labels in different orders.

All start from the same random weights, so they stay close enough for their mean to be a student too. What they agree
on stays, and what each has memorised of the teacher's errors, in the order in which it met them, is averaged away.

Source: Rame et al. 2024, "WARM: On the Benefits of Weight Averaged Reward Models", arXiv 2401.12187. Ours: students
differ by the order of rows alone, and each factor of a LoRA product is averaged by itself.
"""

import numpy as np

STUDENTS = 4


def supervise(lab):
    weak = lab.weak_labels[:, 1]
    labels = (weak > (np.median(weak) if lab.kind == "binary" else 0.5)).astype(int)
    rng = np.random.default_rng(lab.seed)
    return lab.average([lab.fine_tune(labels, order=rng.permutation(len(labels))) for _ in range(STUDENTS)])
