"""Local channel: trust the strong model's own belief where the weak labels agree with it, reverse it where they do not.

A zero-shot belief can be right in some kinds of rows and wrong in others, and the teacher, although weak, tells which.
Rows are grouped by what differs between their two texts in the strong model's lower layers. In each group the mean
agreement of both signs, divided by the teacher's mean confidence, estimates the belief's reliability c, from -1 to 1,
shrunk towards 0 where rows are few. The posterior log-odds are the teacher's plus 2 atanh(c) for the belief's answer.
The student learns from them, judges the training rows itself, and a second round takes its judgement as the teacher's.

Source: the channel model of Dawid & Skene 1979, and the EM posterior of Automated Alignment Researchers' published
system. That each group has its own channel, which may be worse than chance, is ours.
"""

import numpy as np


def log_odds(beliefs: np.ndarray, kind: str) -> np.ndarray:
    """(n, 2) -> (n,) log-odds of label 1; those of single texts from their median."""
    logs = np.log(np.clip(beliefs, 1e-7, 1).astype(float))
    odds = logs[:, 1] - logs[:, 0]
    return np.asarray(odds - np.median(odds) if kind == "binary" else odds)


def groups(points: np.ndarray, count: int, rng: np.random.Generator, tries: int = 5, steps: int = 30) -> np.ndarray:
    """(n, d) -> (n,) numbers of at most `count` groups, by k-means on unit vectors; the tightest of several tries."""
    points = points - points.mean(axis=0)
    points /= np.linalg.norm(points, axis=1, keepdims=True) + 1e-9
    best = (-np.inf, np.zeros(len(points), int))
    for _ in range(tries):
        centres = points[rng.choice(len(points), count, replace=False)]
        for _ in range(steps):
            place = np.argmax(points @ centres.T - (centres**2).sum(axis=1) / 2, axis=1)
            centres = np.stack([points[place == number].mean(axis=0) for number in np.unique(place)])
        place = np.argmax(points @ centres.T - (centres**2).sum(axis=1) / 2, axis=1)
        best = max(best, (float((points * centres[place]).sum()), place), key=lambda found: found[0])
    return best[1]


def local_posterior(
    odds: np.ndarray, prior: np.ndarray, states: np.ndarray, seed: int, group_size: int = 30, shrinkage: int = 10
) -> np.ndarray:
    """(n,) log-odds of label 1 from the teacher's (n,) `odds` and another belief's (n,) `prior` odds."""
    shown = np.abs(states[:, 1] - states[:, 0]) if states.shape[1] == 2 else states[:, 0]
    place = groups(shown, max(2, len(shown) // group_size), np.random.default_rng(seed))
    agreement = np.sign(odds) * np.sign(prior)
    total, size = np.bincount(place, agreement), np.bincount(place)
    reliability = (total[place] - agreement) / (size[place] - 1 + shrinkage) / np.abs(np.tanh(odds / 2)).mean()
    return np.asarray(odds / odds.std() + 2 * np.arctanh(np.clip(reliability, -0.98, 0.98)) * np.sign(prior))


def supervise(lab):
    odds, prior, states = log_odds(lab.weak_labels, lab.kind), log_odds(lab.zero_shot(), lab.kind), lab.embed(0.2)
    for _ in range(2):
        posterior = local_posterior(odds, prior, states, lab.seed)
        student = lab.fine_tune((posterior > 0).astype(int))
        odds = log_odds(student.predict(), lab.kind)
    return student
