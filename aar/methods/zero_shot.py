"""Unsupervised elicitation: fine-tune the strong model on its own zero-shot beliefs; the teacher is not asked.

The strong model knows more than its untrained answers show. Fine-tuning on them makes its answers consistent across
rows, and rows on which it errs by accident are outvoted. Beliefs are cut at their median: an untrained model favours
one answer, and how large its log odds are says little, so only their order is used.

Source: the zero-shot baseline of Wen et al. 2025, "Unsupervised Elicitation of Language Models" (Internal Coherence
Maximization), arXiv 2506.10139, without its search for coherent labels.
"""

import numpy as np


def supervise(lab):
    belief = np.log(lab.zero_shot().astype(float) + 1e-30)
    odds = belief[:, 1] - belief[:, 0]
    return lab.fine_tune((odds > np.median(odds)).astype(int))
