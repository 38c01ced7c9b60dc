"""Soft labels: fine-tune the strong model on the weak model's probabilities, not on its decisions.

An unsure teacher then pulls less than a sure one, and the student need not memorise what the teacher itself doubts.

Source: Burns et al. 2023, arXiv 2312.09390 (their naive baseline uses soft labels); Hinton et al. 2015, "Distilling
the Knowledge in a Neural Network", arXiv 1503.02531.
"""


def supervise(lab):
    return lab.fine_tune(lab.weak_labels)
