"""Auxiliary confidence loss: the student may overrule the teacher where it is confident itself.

The loss is (1 - a) CE(f(x), weak label) + a CE(f(x), f(x) hardened at a threshold that balances the classes), and a
rises linearly early in training. Labels are vanilla's, so that the loss is the only difference from vanilla.

Source: Burns et al. 2023, "Weak-to-Strong Generalization", arXiv 2312.09390, equation 1 and appendix A.4.
"""

import numpy as np


def supervise(lab):
    weak = lab.weak_labels[:, 1]
    cut = np.median(weak) if lab.kind == "binary" else 0.5
    return lab.fine_tune((weak > cut).astype(int), loss="logconf")
