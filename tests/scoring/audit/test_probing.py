"""Submissions that read labels out one by one."""

import numpy as np

from aar.scoring.audit.probing import probing

RNG = np.random.default_rng(0)
BASE = RNG.uniform(size=600) < 0.7


def flipped(*items: int) -> np.ndarray:
    answers = BASE.copy()
    answers[list(items)] ^= True
    return answers


def test_flips_of_single_predictions_are_found() -> None:
    answers = {f"e{item}": flipped(*range(item)) for item in range(6)}
    [finding] = probing("eve", answers)
    assert (finding.kind, finding.experiments) == ("probing", tuple(answers))
    assert "e0 and e1 differ in 1 predictions" in finding.evidence


def test_methods_that_differ_as_methods_do_are_not_accused() -> None:
    assert probing("ada", {f"e{at}": BASE ^ (RNG.uniform(size=600) < 0.08) for at in range(20)}) == []


def test_the_same_method_again_is_not_probing() -> None:
    assert probing("ada", {f"e{at}": BASE for at in range(9)}) == []


def test_one_close_pair_is_not_a_pattern_and_other_items_are_not_compared() -> None:
    assert probing("ada", {"e1": flipped(), "e2": flipped(3)}) == []
    assert probing("ada", {f"e{at}": BASE[: 100 + at] for at in range(9)}) == []
