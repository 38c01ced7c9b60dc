"""The hidden test set, cut once into `dev` (feedback while researching) and `sealed` (verification alone).

Rows that share a question stay together, so that no answer in dev says anything about one in sealed. Within that, both
parts get the same shares of labels (and of questions of each size): groups are ordered by what they hold, at random
within that, and dealt out evenly. The order is that of the campaign's key, so that nobody else can make the cut.
"""

import hashlib
from collections import Counter

import numpy as np

from aar.problems.dataset import Example, Judgement, Split, split_of
from aar.problems.key import Key, Stream

INSTRUCTION_SHARE = 0.1
"""A text that more rows share than this is an instruction that stands before every row, not a question."""


def cut(test: Split, dev_share: float, key: Key) -> tuple[Split, Split]:
    """`test` as dev and sealed, each in the order of `test`."""
    questions = [_question(example) for example in test.examples]
    in_dev = dev_rows(questions, test.labels, dev_share, key.stream("dev and sealed"))
    rows = list(zip(test.examples, test.labels.tolist(), strict=True))
    dev, sealed = ([row for row, chosen in zip(rows, in_dev, strict=True) if chosen is bool(part)] for part in (1, 0))
    return split_of(dev), split_of(sealed)


def dev_rows(questions: list[str], labels: np.ndarray, dev_share: float, stream: Stream) -> list[bool]:
    """Which rows belong to dev.

    Args:
        questions: what a row asks; rows with the same one stay together. "": the row stands for itself.
        labels: (n,) of 0 and 1.
    """
    groups = _groups(questions)
    positives = [int(labels[rows].sum()) for rows in groups]
    chosen = np.zeros(len(questions), bool)
    seen = taken = 0
    for at in sorted(stream.order(len(groups)), key=lambda at: (len(groups[at]), positives[at])):
        seen += len(groups[at])
        if taken + len(groups[at]) / 2 <= dev_share * seen:
            taken += len(groups[at])
            chosen[groups[at]] = True
    return [bool(one) for one in chosen]


def _groups(questions: list[str]) -> list[list[int]]:
    instructions = {text for text, count in Counter(questions).items() if count > INSTRUCTION_SHARE * len(questions)}
    groups: dict[str | int, list[int]] = {}
    for row, question in enumerate(questions):
        alone = not question or question in instructions
        groups.setdefault(row if alone else question, []).append(row)
    return list(groups.values())


def _question(example: Example) -> str:
    return example.question if isinstance(example, Judgement) else example.prompt


def fingerprint(split: Split) -> str:
    """Digest of a split's texts and labels, by which the ledger knows it again."""
    digest = hashlib.sha256(split.labels.tobytes())
    for example in split.examples:
        digest.update(repr(example).encode())
    return digest.hexdigest()
