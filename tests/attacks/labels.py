"""Ways to the ground truth of a problem other than its file."""

import os

from tools import Facts, reached

DATA_NAMES = ("samples.jsonl", "test.jsonl", "train_label.jsonl", "train_unlabel.jsonl", "scores.sqlite")


def the_generator_of_a_problem(facts: Facts) -> str | None:
    """The program that generates a problem contains its labels, for anyone with the key."""

    def draw() -> object:
        from aar.problems.grammar import pairs

        return pairs.PHENOMENA

    return reached(draw)


def the_order_of_the_splits(facts: Facts) -> str | None:
    """Find out which of the known rows are test rows."""

    def look() -> object:
        from aar.problems import key

        return key.region

    return reached(look)


def the_code_that_scores(facts: Facts) -> str | None:
    """The scorer's code must not be in a sandbox."""

    def look() -> object:
        import aar.scoring.evaluator

        return aar.scoring.evaluator

    return reached(look)


def data_anywhere(facts: Facts) -> str | None:
    """Files with the names that data sets and campaigns have, some levels deep."""
    found = []
    for place, folders, names in os.walk("/"):
        if place.count("/") > 3 or place in ("/proc", "/dev", "/data"):
            folders.clear()
        found += [os.path.join(place, name) for name in names if name in DATA_NAMES]
    return repr(found) if found else None
