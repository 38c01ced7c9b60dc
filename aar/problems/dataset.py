"""Datasets: examples of one kind in three splits, with ground truth. Data only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["preference", "binary"]
SplitName = Literal["train_label", "train_unlabel", "test"]

SPLITS: tuple[SplitName, ...] = ("train_label", "train_unlabel", "test")


@dataclass(frozen=True)
class Preference:
    """Two texts of which one is better. Label 0: `first` is better (A); 1: `second` is (B)."""

    prompt: str
    first: str
    second: str


@dataclass(frozen=True)
class Judgement:
    """A question and one answer to it. Label 0: the answer is wrong (False); 1: it is right (True)."""

    question: str
    choice: str


Example = Preference | Judgement
Row = tuple[Example, int]


@dataclass(frozen=True, eq=False)
class Split:
    """Examples and their ground truth: `labels` is (n,) int8 of 0 and 1, read-only."""

    examples: tuple[Example, ...]
    labels: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.examples)


@dataclass(frozen=True, eq=False)
class Dataset:
    """`train_label` trains the teacher, which labels `train_unlabel` for the student; `test` scores the student."""

    name: str
    kind: Kind
    train_label: Split
    train_unlabel: Split
    test: Split


def split_of(rows: Iterable[Row]) -> Split:
    """Return the split with these rows in this order."""
    pairs = list(rows)
    labels = np.array([label for _, label in pairs], dtype=np.int8)
    labels.setflags(write=False)
    return Split(tuple(example for example, _ in pairs), labels)
