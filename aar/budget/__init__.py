"""Budgets: what tokens cost, what was used up and what is kept, and what is left, for each researcher of a campaign."""

from aar.budget.limits import Limit, exceeded, limits_of
from aar.budget.prices import PriceTable, read_prices
from aar.budget.quota import Account, Storage
from aar.budget.usage import Amounts, Spend, Spent, Tokens

__all__ = [
    "Account", "Amounts", "Limit", "PriceTable", "Spend", "Spent", "Storage", "Tokens", "exceeded", "limits_of",
    "read_prices",
]  # fmt: skip
