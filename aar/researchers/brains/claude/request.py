"""A request to the Messages API: its parameters, from a campaign's settings, and the tokens that it used."""

from functools import cache
from typing import Any

from anthropic.types.beta import BetaUsage

from aar.budget import Tokens
from aar.budget.usage import KINDS
from aar.config import ClaudeConfig
from aar.researchers.tools import TOOLS

COMPACTION_BETA = "compact-2026-01-12"


def request_params(config: ClaudeConfig, system: str) -> dict[str, Any]:
    """Arguments of `client.beta.messages.stream`, except the messages. A setting that is None is not sent."""
    params: dict[str, Any] = {
        "model": config.model,
        "max_tokens": config.max_tokens,
        "system": system,
        "tools": _tool_definitions(),
    }
    if config.thinking:
        display = {"display": "summarized"} if config.thinking == "adaptive" else {}
        params["thinking"] = {"type": config.thinking, **display}
    if config.effort:
        params["output_config"] = {"effort": config.effort}
    if config.cache:
        params["cache_control"] = {"type": "ephemeral", "ttl": config.cache}
    if config.compact_at:
        trigger = {"type": "input_tokens", "value": config.compact_at}
        params["context_management"] = {"edits": [{"type": "compact_20260112", "trigger": trigger}]}
        params["betas"] = [COMPACTION_BETA]
    return params


@cache  # pydantic builds each schema again when asked
def _tool_definitions() -> list[dict[str, Any]]:
    """Every tool, in the registry's order, on which the prompt cache depends."""
    return [{"name": tool.name, "description": tool.description, "input_schema": tool.schema()} for tool in TOOLS]


def tokens_of(usage: BetaUsage) -> Tokens:
    """The tokens of one request. Those of a compaction are not in its top-level numbers and are added.

    An endpoint that reports only the sum of cache writes is taken to have written for five minutes, the default.
    """
    compactions = [iteration for iteration in usage.iterations or [] if iteration.type == "compaction"]
    counts = [_tokens(usage), *(_tokens(iteration) for iteration in compactions)]
    return Tokens(**{kind: sum(getattr(count, kind) for count in counts) for kind in KINDS})


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
    """Endpoints leave out the numbers that they do not count."""
    return getattr(usage, name, None) or 0
