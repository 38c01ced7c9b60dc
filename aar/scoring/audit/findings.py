"""What an audit finds. Data only."""

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
    "damaged transcript",
]


@dataclass(frozen=True)
class Finding:
    """One finding. `experiment`: the leaderboard row that it belongs to, if it belongs to one."""

    kind: Kind
    researcher: str
    experiment: str | None
    words: str
    evidence: str
