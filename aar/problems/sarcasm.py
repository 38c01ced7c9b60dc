"""Real text: 28,614 news headlines, labelled sarcastic or not (published in the `evals` package, MIT licence).

Each is a binary example: is this headline what the question asks for? The classes keep their natural balance, about
48 % sarcastic.
"""

import json

from aar import assets
from aar.errors import ProblemError
from aar.problems.dataset import Judgement, Row, SplitName
from aar.problems.partition import region, sample

QUESTION = "Write a sarcastic news headline."


def draw(where: SplitName, size: int | None, seed: int) -> list[Row]:
    """`size` rows of one region in an order given by `seed`, or all of them.

    Raises:
        ProblemError: the region has fewer rows, or the file is not as published.
        AssetError: the file cannot be fetched.
    """
    rows: list[Row] = [
        (Judgement(QUESTION, headline), label) for headline, label in _headlines().items() if region(headline) == where
    ]
    if size is not None and size > len(rows):
        raise ProblemError(f"sarcasm: {size} rows asked for in {where}, but it has {len(rows)}. Ask for fewer.")
    return sample(rows, len(rows) if size is None else size, seed, f"sarcasm/{where}")


def _headlines() -> dict[str, int]:
    """Every distinct headline and its label (1: sarcastic), in the order of the file."""
    file = assets.fetch(assets.SARCASM)
    try:
        items = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
        return {item["input"][-1]["content"].strip(): int(item["ideal"]) for item in items}
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        raise ProblemError(f"{file}: not the published file. Remove its folder; it is then fetched again.") from None
