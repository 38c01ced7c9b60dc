"""Budgets of a campaign's researchers: prices of tokens, resources used, storage quotas, and limits."""

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
