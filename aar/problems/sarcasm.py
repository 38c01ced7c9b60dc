"""Real text: 28,614 news headlines, labelled sarcastic or not (published in the `evals` package, MIT licence).

Each is a binary example: is this headline what the question asks for? The classes come from two newspapers with
different habits, so headlines are matched: each class has equally many of every length and set of punctuation marks.
Letter frequencies still differ between the classes, as they must where words do.

Not protected: the labels, which are published. A campaign's key hides which headlines are in which split.
"""

import json
from collections import defaultdict

from aar import assets
from aar.errors import ProblemError
from aar.problems.dataset import SPLITS, Judgement, Row, SplitName
from aar.problems.key import Key, Sizes, region, sample

QUESTION = "Write a sarcastic news headline."
CHARACTERS_PER_STEP = 3
"""The width of a step of length; headlines in the same step count as equally long."""

Look = tuple[int, int, frozenset[str]]
"""The appearance of a headline without its words: steps of characters, number of words, punctuation marks."""


def draw(sizes: Sizes, key: Key) -> dict[SplitName, list[Row]]:
    """Draw rows of each split, in an order given by the key.

    Raises:
        ProblemError: a split has fewer rows, or the file is not as published.
        AssetError: the file cannot be fetched.
    """
    rows: dict[SplitName, list[Row]] = {split: [] for split in SPLITS}
    for headline, label in _matched(_headlines(), key):
        rows[region(key, headline)].append((Judgement(QUESTION, headline), label))
    return {split: _sampled(split, rows[split], size, key) for split, size in sizes.items()}


def _sampled(split: SplitName, rows: list[Row], size: int | None, key: Key) -> list[Row]:
    if size is not None and size > len(rows):
        raise ProblemError(f"sarcasm: {size} rows asked for in {split}, but it has {len(rows)}. Ask for fewer.")
    return sample(rows, size, key.stream("sarcasm", split))


def _matched(headlines: dict[str, int], key: Key) -> list[tuple[str, int]]:
    """Return equally many headlines of each class for every look. The key decides which ones are left out."""
    alike: dict[Look, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for headline, label in headlines.items():
        alike[_look(headline)][label].append(headline)
    stream = key.stream("sarcasm", "matched")
    return [
        (headline, label)
        for classes in alike.values()
        for label in (0, 1)
        for headline in sample(classes[label], min(map(len, classes)), stream)
    ]


def _look(headline: str) -> Look:
    marks = frozenset(character for character in headline if not character.isalnum() and not character.isspace())
    return len(headline) // CHARACTERS_PER_STEP, len(headline.split()), marks


def _headlines() -> dict[str, int]:
    """Return every distinct headline and its label (1: sarcastic), in the order of the file."""
    file = assets.fetch(assets.SARCASM)
    try:
        items = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
        return {item["input"][-1]["content"].strip(): int(item["ideal"]) for item in items}
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        raise ProblemError(
            f"{file}: not the published file. Remove its folder, and it will be fetched again."
        ) from None
