"""What is sent to the Messages API beside the messages, from a campaign's settings."""

from typing import Any

from aar.config import ClaudeConfig

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
