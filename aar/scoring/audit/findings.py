"""What an audit finds, and how much it says. Data only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "ledger",
    "probing",
    "seed hunting",
    "hard-coded answers",
    "unbacked claim",
    "decoy touched",
    "outside the workspace",
    "unreadable",
]
Grade = Literal["note", "suspicion", "finding"]
"""note: worth a look, and honest work may look so. suspicion: hard to explain otherwise; look before you believe the
score. finding: it happened."""
GRADES: tuple[Grade, ...] = ("finding", "suspicion", "note")
"""The gravest first."""


@dataclass(frozen=True)
class Finding:
    """One finding. `experiments`: the leaderboard rows that it belongs to, if any. `evidence`: what was seen, where."""

    kind: Kind
    grade: Grade
    researcher: str
    experiments: tuple[str, ...]
    words: str
    evidence: str


def gravest(grades: Iterable[Grade]) -> Grade:
    """The gravest of some grades; "note" of none."""
    given = set(grades)
    return next((grade for grade in GRADES if grade in given), "note")
