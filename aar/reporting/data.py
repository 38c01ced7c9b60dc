"""A campaign as plain data for programs, as the commands print it with --json. The keys are stable."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aar.campaign.state import ApiFailures, CampaignState
from aar.commons.foreign import Foreign
from aar.reporting.results import ranked, verdict_words
from aar.scoring.records import Experiment


def to_json(data: Any) -> str:
    """Return `data` as one JSON document, in which a NaN (the PGR of no gap) or an infinity is null.

    It is ASCII, so that no character in it acts on a terminal.
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
    """Return a whole state and `api_failures` by researcher. `best` and `reference` are ids of experiments, or None."""
    return {
        **asdict(state),
        "folder": str(state.folder),
        "best": state.best.id if state.best else None,
        "reference": state.reference.id if state.reference else None,
        "api_failures": {name: asdict(failures) for name, failures in api_failures.items()},
    }


def leaderboard_data(state: CampaignState) -> dict[str, Any]:
    """Return the leaderboard: scored experiments, best first. The platform's references among them have rank None."""
    return {
        "name": state.name,
        "folder": str(state.folder),
        "protocol": state.protocol,
        "baselines": [asdict(baselines) for baselines in state.baselines],
        "experiments": [{"rank": rank, **_row(state, experiment)} for rank, experiment in ranked(state)],
        "no_significant_improvement": [asdict(experiment) for experiment in state.unimproved],
        "failed": [asdict(experiment) for experiment in state.experiments if experiment.status == "failed"],
        "verifications": [asdict(verification) for verification in state.verifications],
        "ledger_head": state.ledger_head,
    }


def _row(state: CampaignState, experiment: Experiment) -> dict[str, Any]:
    """An experiment with the platform's badge on its score, its verdicts and the audit's findings."""
    verdict = verdict_words(state).get(experiment.id)
    badge = "verified" if verdict else "measured"
    marks = {"badge": badge, "verdict": verdict, "findings": state.findings.get(experiment.id, ())}
    return {"protected": state.protected, **asdict(experiment), **marks}
