"""How many tokens a reply used, of which kind."""

from anthropic.types.beta import BetaUsage

from aar.budget import Tokens
from aar.budget.amounts import KINDS


def tokens_of(usage: BetaUsage) -> Tokens:
    """The tokens of one request. Those of a compaction are not among its top-level numbers and are added.

    An endpoint that tells the sum of cache writes alone is taken to have written for five minutes, the default.
    """
    own = _tokens(usage)
    compactions = [one for one in usage.iterations or [] if one.type == "compaction"]
    counted = [own, *(_tokens(one) for one in compactions)]
    return Tokens(**{kind: sum(getattr(one, kind) for one in counted) for kind in KINDS})


def _tokens(usage: object) -> Tokens:
    written = _count(usage, "cache_creation_input_tokens")
    long = _count(getattr(usage, "cache_creation", None), "ephemeral_1h_input_tokens")
    return Tokens(
        input=_count(usage, "input_tokens"),
        output=_count(usage, "output_tokens"),
        cache_read=_count(usage, "cache_read_input_tokens"),
        cache_write_5m=max(0, written - long),
        cache_write_1h=long,
    )


def _count(usage: object, name: str) -> int:
    """Endpoints leave out what they do not count."""
    return getattr(usage, name, None) or 0
