"""EM posterior: teacher and zero-shot belief are two noisy annotators of a latent label; train on its posterior.

Each annotator reports one of ten levels of confidence through a channel of its own, P(level | label). EM estimates the
channels without ground truth, and the posterior of the label becomes the student's soft target. Beliefs enter by
their rank alone, which makes the method indifferent to over-confident and off-centre log odds.

Two annotators alone do not reveal which of them is better: their agreement only fixes the product of their
reliabilities. The start decides, so EM starts nearer to the strong model and makes few steps.

Source: Dawid & Skene 1979, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied
Statistics 28(1).
"""

import numpy as np

PRIOR_SHARE = 0.75


def calibrated(belief: np.ndarray) -> np.ndarray:
    """(n,) P(label 1) from (n, 2) beliefs of any scale: the rank of the log odds, so half the rows are above 0.5."""
    logs = np.log(np.asarray(belief, dtype=float) + 1e-30)  # both columns: one alone saturates at 1.0
    _, place, count = np.unique(logs[:, 1] - logs[:, 0], return_inverse=True, return_counts=True)
    return ((np.cumsum(count) - count / 2) / len(logs))[place]


def product(weak: np.ndarray, prior: np.ndarray, prior_share: float) -> np.ndarray:
    """(n,) P(label 1) from two (n,) beliefs taken as independent evidence, of which `prior` has the given share."""
    weak_odds, prior_odds = np.log(weak / (1 - weak)), np.log(prior / (1 - prior))
    belief: np.ndarray = 1 / (1 + np.exp(-2 * ((1 - prior_share) * weak_odds + prior_share * prior_odds)))
    return belief


def posterior(weak: np.ndarray, prior: np.ndarray, prior_share: float, levels: int = 10, steps: int = 10) -> np.ndarray:
    """(n,) P(label 1) by EM over each annotator's channel, started at the product of both beliefs.

    A channel is symmetric: level k for label 0 is as likely as level `levels - 1 - k` for label 1.
    """
    belief = product(weak, prior, prior_share)
    reports = [np.minimum((view * levels).astype(int), levels - 1) for view in (weak, prior)]
    for _ in range(steps):
        odds = np.zeros(len(belief))
        for report in reports:
            channel = np.bincount(report, belief, levels) + np.bincount(report, 1 - belief, levels)[::-1] + 1
            odds += np.log(channel / channel[::-1])[report]
        belief = 1 / (1 + np.exp(-odds))
    return belief


def supervise(lab):
    weak, prior = calibrated(lab.weak_labels), calibrated(lab.zero_shot())
    belief = posterior(weak, prior, PRIOR_SHARE)
    return lab.fine_tune(np.stack([1 - belief, belief], axis=1))
