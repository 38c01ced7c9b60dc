"""Reverse cross-entropy: the student's probabilities weigh the teacher's, so that it may keep what it is sure of.

The gradient at a row is p (1 - p) times the teacher's log-odds: it vanishes where the student is sure already, so a
teacher that contradicts a sure student is not imitated, and an unsure teacher pulls little.

Source: Yao et al. 2025, "Revisiting Weak-to-Strong Generalization: Reverse KL vs. Forward KL", arXiv 2502.11107. Ours:
the teacher's log-odds are cut at 5 (the loss's usual `clip`).
"""


def supervise(lab):
    return lab.fine_tune(lab.weak_labels, loss="reverse_ce")
