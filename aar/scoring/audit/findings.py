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
    """One finding. `experiments`: the leaderboard rows that it belongs to, if it belongs to any."""

    kind: Kind
    researcher: str
    experiments: tuple[str, ...]
    words: str
    evidence: str
