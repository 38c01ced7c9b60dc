"""The metrics that are a campaign's record, and not one process's: they hold what earlier runs did, too."""

from collections import Counter
from typing import get_args

from aar import metrics
from aar.campaign.state import CampaignState
from aar.scoring.records import Status


def export_metrics(state: CampaignState) -> None:
    """Export how many experiments there are by status, and what each researcher's model has used."""
    by_status = Counter(one.status for one in state.experiments)
    for status in get_args(Status):
        metrics.EXPERIMENTS.set(by_status[status], status=status)
    for one in state.researchers:
        metrics.DOLLARS.set(one.spent.amounts.dollars, researcher=one.name)
        for kind, tokens in vars(one.spent.tokens).items():
            metrics.TOKENS.set(tokens, researcher=one.name, kind=kind)
