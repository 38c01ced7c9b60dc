"""Product of experts: the target is the student's belief times the teacher's, renormalised.

The student always moves the teacher's way, by as much as the teacher is informative and the student undecided, and
becomes confident as it goes. It needs soft labels; with hard ones it is plain cross-entropy. Its target has no fixed
point, so more epochs than the recipe's make it only surer.

Source: the product loss of openai/weak-to-strong, weak_to_strong/loss.py. No published result is known to us.
"""


def supervise(lab):
    return lab.fine_tune(lab.weak_labels, loss="product")
