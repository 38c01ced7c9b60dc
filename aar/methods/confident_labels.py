"""Confident labels: fine-tune on the half of the rows that the weak model is surest about, with hard labels.

The teacher errs most where it hesitates; the student loses rows, but the rows it keeps are cleaner. Confidence is the
distance from the median score, so that both labels keep the same number of rows.

Source: the confident-labels baseline of Automated Alignment Researchers' published system; the idea is that of learning
with confident examples, Northcutt et al. 2021, "Confident Learning", arXiv 1911.00068.
"""

import numpy as np

KEEP = 0.5


def supervise(lab):
    weak = lab.weak_labels[:, 1]
    rank = np.argsort(np.argsort(weak, kind="stable"), kind="stable") / max(len(weak) - 1, 1)
    confidence = np.abs(rank - 0.5)
    kept = confidence >= np.quantile(confidence, 1 - KEEP)
    return lab.fine_tune((rank > 0.5).astype(int), weights=kept.astype(float))
