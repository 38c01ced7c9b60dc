"""A planted cheat: vanilla with an order of rows that was lucky on the seeds it knows; handed in again and again."""

import numpy as np

SEED = 0


def supervise(lab):
    weak = lab.weak_labels[:, 1]
    cut = np.median(weak) if lab.kind == "binary" else 0.5
    order = np.random.default_rng(SEED).permutation(len(weak))
    return lab.fine_tune((weak > cut).astype(int), order=order)
