"""Can labels be read out of the scorer? Attacks by repeated submission, against exact answers and against the Ladder.

    python -m benchmarks.label_reading [REPEATS]

The attacker submits predictions of its own (as in the predictions protocol), starts without knowledge, and may submit
1,000 times. Labels are coin flips, so accuracy above 0.5 is leaked on dev, and luck on sealed. An exact scorer answers
with the accuracy on dev; ours answers with aar's own Ladder. Takes a minute or two.

* single flips: change one prediction at a time, and keep improvements.
* bisection: flip a block; where the answer does not settle all of it, halve it.
* random directions: submit random predictions; solve for the labels by least squares, as boosting would in the limit.
* ten identities: the same, with each direction submitted by the next of ten researchers, each with its own best.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aar.config import ScoringConfig
from aar.scoring.stats.ladder import ItemScores, Ladder

DEV, SEALED = 800, 1200
SUBMISSIONS = 1000
IDENTITIES = 10


class Scorer:
    """Answers submissions. `labels`: (items,) of 0 and 1, dev first and then sealed."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels, self.submissions = labels, 0

    def ask(self, predictions: np.ndarray, identity: int = 0) -> float | None:
        """Submit; return an accuracy on dev, or None for no significant improvement."""
        self.submissions += 1
        return self.answer(predictions[:DEV] == self.labels[:DEV], identity)

    def answer(self, correct: np.ndarray, identity: int) -> float | None:
        """Return the exact accuracy."""
        return float(correct.mean())

    @property
    def exhausted(self) -> bool:
        """True if no submission is left."""
        return self.submissions >= SUBMISSIONS


class LadderScorer(Scorer):
    """Answers as aar does: all researchers start from a reference, here one that guesses."""

    def __init__(self, labels: np.ndarray, rng: np.random.Generator) -> None:
        super().__init__(labels)
        config = ScoringConfig()
        # A step in PGR is as many times smaller in accuracy as the gap is; the quickstart's is about 0.2.
        self._ladder = Ladder(config.ladder_step * 0.2, config.ladder_level)
        self._reference = rng.integers(0, 2, DEV) == labels[:DEV]
        self._best: dict[int, np.ndarray] = {}

    def answer(self, correct: np.ndarray, identity: int) -> float | None:
        best = self._best.get(identity, self._reference)
        if not self._ladder.improves(
            [ItemScores(correct.astype(float))], [ItemScores(best.astype(float))], self.submissions
        ):
            return None
        self._best[identity] = correct
        return self._ladder.rounded(float(correct.mean()))


Attack = Callable[[Scorer, np.random.Generator], np.ndarray]
"""Asks a scorer, and ends with predictions for dev and sealed."""


def single_flips(scorer: Scorer, rng: np.random.Generator) -> np.ndarray:
    """One prediction at a time, in random order; a flip stays when it was better."""
    guess = rng.integers(0, 2, DEV + SEALED)
    best = scorer.ask(guess) or 0.0
    for item in rng.permutation(DEV):
        if scorer.exhausted:
            break
        guess[item] ^= 1
        answer = scorer.ask(guess)
        if answer is not None and answer > best:
            best = answer
        else:
            guess[item] ^= 1
    return guess


def bisection(scorer: Scorer, rng: np.random.Generator) -> np.ndarray:
    """Flip blocks: what the accuracy changes by says how many of the block were wrong; mixed blocks are halved."""
    guess = rng.integers(0, 2, DEV + SEALED)
    best = scorer.ask(guess) or 0.0
    waiting = [block for block in np.array_split(rng.permutation(DEV), DEV // 8)]
    while waiting and not scorer.exhausted:
        block = waiting.pop()
        guess[block] ^= 1
        answer = scorer.ask(guess)
        gained = None if answer is None else round((answer - best) * DEV)
        if answer is not None and answer > best:
            best = answer
        else:
            guess[block] ^= 1
        pure = gained is not None and abs(gained) == len(block)
        if len(block) > 1 and not pure:
            waiting += np.array_split(block, 2)
    return guess


def random_directions(scorer: Scorer, rng: np.random.Generator, identities: int = 1) -> np.ndarray:
    """Random predictions and their answers are linear equations in the labels; a refusal counts as 0.5."""
    directions = rng.integers(0, 2, (SUBMISSIONS, DEV + SEALED)) * 2 - 1
    answers = [scorer.ask(direction > 0, number % identities) for number, direction in enumerate(directions)]
    sides = np.array([0.0 if answer is None else (2 * answer - 1) * DEV for answer in answers])
    if not sides.any():
        return np.asarray(directions[0] > 0, int)
    solved, *_ = np.linalg.lstsq(directions[:, :DEV].astype(float), sides, rcond=None)
    weights = sides @ directions[:, DEV:]
    return np.concatenate([solved > 0, weights > 0]).astype(int)


def ten_identities(scorer: Scorer, rng: np.random.Generator) -> np.ndarray:
    """Random directions under ten names."""
    return random_directions(scorer, rng, IDENTITIES)


ATTACKS: dict[str, Attack] = {
    "single flips": single_flips,
    "bisection": bisection,
    "random directions": random_directions,
    "ten identities": ten_identities,
}


@dataclass(frozen=True)
class Leak:
    """The result of an attack, averaged over repeats: true accuracies, against an exact scorer and against ours."""

    exact_dev: float
    exact_sealed: float
    ladder_dev: float
    ladder_sealed: float

    @property
    def ladder_dev_in_errors(self) -> float:
        """Our dev accuracy above chance, in standard errors of one guess on dev."""
        return float((self.ladder_dev - 0.5) / (0.5 / np.sqrt(DEV)))


def leak(attack: Attack, repeats: int, seed: int = 0) -> Leak:
    """Run an attack `repeats` times against both scorers."""
    results = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        labels = rng.integers(0, 2, DEV + SEALED)
        row: list[float] = []
        for scorer in (Scorer(labels), LadderScorer(labels, rng)):
            right = attack(scorer, rng) == labels
            row += [float(right[:DEV].mean()), float(right[DEV:].mean())]
        results.append(row)
    return Leak(*(float(value) for value in np.mean(results, axis=0)))


def main(repeats: int) -> None:
    """Measure and print."""
    print(f"{SUBMISSIONS} submissions, {DEV} dev and {SEALED} sealed items, means of {repeats} attacks")
    heads = f"{'exact: dev':>11} {'sealed':>8} {'ours: dev':>11} {'sealed':>8} {'dev, in SE above chance':>25}"
    print(f"{'attack':20} {heads}")
    for name, attack in ATTACKS.items():
        result = leak(attack, repeats)
        exact, ladder = (result.exact_dev, result.exact_sealed), (result.ladder_dev, result.ladder_sealed)
        values = f"{exact[0]:11.3f} {exact[1]:8.3f} {ladder[0]:11.3f} {ladder[1]:8.3f}"
        print(f"{name:20} {values} {result.ladder_dev_in_errors:25.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
