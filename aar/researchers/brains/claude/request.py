"""How many tokens a reply used, of which kind.

What is sent to the Messages API beside the messages, from a campaign's settings.
"""

from typing import Any

from anthropic.types.beta import BetaUsage

from aar.budget import Tokens
from aar.budget.usage import KINDS
from aar.config import ClaudeConfig


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


COMPACTION_BETA = "compact-2026-01-12"


def request_settings(config: ClaudeConfig, system: str) -> dict[str, Any]:
    """Arguments of `client.beta.messages.tool_runner`. What the settings leave out is not sent at all."""
    settings: dict[str, Any] = {
        "model": config.model,
        "max_tokens": config.max_tokens,
        "system": system,
        "stream": True,
        "thread": False,  # the transcript holds the conversation, not the endpoint
    }
    if config.thinking:
        shown = {"display": "summarized"} if config.thinking == "adaptive" else {}
        settings["thinking"] = {"type": config.thinking, **shown}
    if config.effort:
        settings["output_config"] = {"effort": config.effort}
    if config.cache:
        settings["cache_control"] = {"type": "ephemeral", "ttl": config.cache}
    if config.compact_at:
        trigger = {"type": "input_tokens", "value": config.compact_at}
        settings["context_management"] = {"edits": [{"type": "compact_20260112", "trigger": trigger}]}
        settings["betas"] = [COMPACTION_BETA]
    return settings
