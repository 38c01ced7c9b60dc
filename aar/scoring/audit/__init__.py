"""Signs of cheating in a campaign's records: ledger, answers, forum, snapshots, transcripts. Pure functions of those.

A finding is a reason to look, with its evidence. It is not a verdict, and an audit may miss cheating that took place.
"""

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
"""note: worth a look, but honest work may look the same. suspicion: hard to explain otherwise; look before you believe
the score. finding: it happened."""
GRADES: tuple[Grade, ...] = ("finding", "suspicion", "note")
"""The gravest first."""


@dataclass(frozen=True)
class Finding:
    """One finding. `experiments`: the leaderboard rows it concerns, if any. `evidence`: what was seen, and where."""

    kind: Kind
    grade: Grade
    researcher: str
    experiments: tuple[str, ...]
    words: str
    evidence: str


def gravest(grades: Iterable[Grade]) -> Grade:
    """Return the gravest of some grades; "note" of none."""
    present = set(grades)
    return next((grade for grade in GRADES if grade in present), "note")
