"""A campaign as plain data for programs: what the commands print with --json. The keys are stable."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aar.campaign.state import ApiFailures, CampaignState
from aar.commons.foreign import Foreign
from aar.reporting.verification import verdict_words
from aar.scoring.records import PLATFORM, Experiment


def to_json(data: Any) -> str:
    """`data` as one JSON document; numbers that are none (the PGR of no gap) become null.

    It is ASCII, so that a terminal acts on nothing in it.
    """
    return json.dumps(_finite(data), indent=1, allow_nan=False)


def _finite(data: Any) -> Any:
    match data:
        case dict():
            return {key: _finite(value) for key, value in data.items()}
        case list() | tuple():
            return [_finite(value) for value in data]
        case Foreign():
            return data.text
        case float() if not math.isfinite(data):
            return None
    return data


def state_data(state: CampaignState, api_failures: Mapping[str, ApiFailures]) -> dict[str, Any]:
    """All of a state, and `api_failures` by researcher. `best` and `reference` are ids of experiments, or None."""
    return {
        **asdict(state),
        "folder": str(state.folder),
        "best": state.best.id if state.best else None,
        "reference": state.reference.id if state.reference else None,
        "api_failures": {name: asdict(one) for name, one in api_failures.items()},
    }


def leaderboard_data(state: CampaignState) -> dict[str, Any]:
    """The leaderboard: scored experiments best first, the platform's references among them (their rank is None)."""
    return {
        "name": state.name,
        "folder": str(state.folder),
        "protocol": state.protocol,
        "baselines": [asdict(one) for one in state.baselines],
        "experiments": [{"rank": rank, **_row(state, one)} for rank, one in ranked(state)],
        "no_significant_improvement": [asdict(one) for one in state.unimproved],
        "failed": [asdict(one) for one in state.experiments if one.status == "failed"],
        "verifications": [asdict(one) for one in state.verifications],
        "ledger_head": state.ledger_head,
    }


def _row(state: CampaignState, one: Experiment) -> dict[str, Any]:
    """An experiment with the platform's badge on its score, its verdicts, and what the audit found."""
    verdict = verdict_words(state).get(one.id)
    badge = "verified" if verdict else "measured"
    marks = {"badge": badge, "verdict": verdict, "findings": state.findings.get(one.id, ())}
    return {"protected": state.protected, **asdict(one), **marks}


def ranked(state: CampaignState) -> list[tuple[int | None, Experiment]]:
    """Scored experiments, best PGR first, each with its rank among the researchers' (None: a reference)."""
    rank, rows = 0, []
    for one in state.scored:
        is_reference = one.researcher == PLATFORM
        rank += not is_reference
        rows.append((None if is_reference else rank, one))
    return rows
