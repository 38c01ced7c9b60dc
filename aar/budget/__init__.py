"""Budgets: what tokens cost, what was used up and what is kept, and what is left, for each researcher of a campaign."""

from aar.budget.limits import Limit, exceeded, limits_of
from aar.budget.prices import PriceTable, read_prices
from aar.budget.quota import Account, StorageQuota
from aar.budget.usage import Resources, Tokens, Usage, UsageStore

__all__ = [
    "Account",
    "Limit",
    "PriceTable",
    "Resources",
    "StorageQuota",
    "Tokens",
    "Usage",
    "UsageStore",
    "exceeded",
    "limits_of",
    "read_prices",
]  # fmt: skip
