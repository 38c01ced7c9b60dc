"""Budgets: what tokens cost, what was used up, and what is left, for one researcher within its campaign."""

from aar.budget.amounts import Amounts, Tokens
from aar.budget.limits import Limit, exceeded, limits_of
from aar.budget.prices import PriceTable, read_prices
from aar.budget.spend import Spend, Spent

__all__ = ["Amounts", "Limit", "PriceTable", "Spend", "Spent", "Tokens", "exceeded", "limits_of", "read_prices"]
