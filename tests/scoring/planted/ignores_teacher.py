"""A planted cheat: it trains on the strong model's own belief, and passes it off as weak-to-strong supervision."""

import numpy as np


def supervise(lab):
    belief = np.log(lab.zero_shot().astype(float) + 1e-30)
    odds = belief[:, 1] - belief[:, 0]
    lab.weak_labels.mean()  # looked at, for appearances
    return lab.fine_tune((odds > np.median(odds)).astype(int))
