"""Retraining on confident rows: a student says which rows it is sure about, and a fresh one learns only those.

The first student is vanilla. Rows on which its entropy is lowest, half of each class that it predicts, keep the
teacher's labels; the second student learns them with the generalised cross-entropy, which a wrong label pulls less.

Source: Liu, Dong & Lei 2026, arXiv 2509.24005 (their Enhanced-W2S, on vision models). Ours: half of each class, so that
the classes stay balanced.
"""

import numpy as np

KEEP = 0.5


def supervise(lab):
    weak = lab.weak_labels[:, 1]
    labels = (weak > (np.median(weak) if lab.kind == "binary" else 0.5)).astype(int)
    belief = lab.fine_tune(labels).predict()[:, 1].astype(float)
    rank = np.argsort(np.argsort(belief, kind="stable"), kind="stable") / max(len(belief) - 1, 1)
    confidence = np.abs(rank - 0.5)
    kept = confidence >= np.quantile(confidence, 1 - KEEP)
    return lab.fine_tune(labels, weights=kept.astype(float), loss="gce", epochs=lab.recipe["epochs"] / KEEP)
