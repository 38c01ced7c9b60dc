"""Budgets: what tokens cost, what was used up, and what is left, for one researcher within its campaign."""

from aar.researchers.budget.amounts import Amounts, Tokens
from aar.researchers.budget.limits import Limit, exceeded, limits_of
from aar.researchers.budget.prices import PriceTable, read_prices
from aar.researchers.budget.spend import Spend, Spent

__all__ = ["Amounts", "Limit", "PriceTable", "Spend", "Spent", "Tokens", "exceeded", "limits_of", "read_prices"]
