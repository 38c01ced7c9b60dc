"""A transcript as people read it: a heading for each entry, and its whole text below."""

import json
import time
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from aar.reporting.text import plain
from aar.researchers.transcript import TranscriptEntry

_STYLES = {"assistant": "bold cyan", "user": "bold green", "api_failure": "bold red", "end": "bold"}
_LABELS = {"assistant": "researcher", "user": "to the researcher"}


def entry_words(entry: TranscriptEntry) -> list[Text]:
    """Return the lines of an entry, or nothing for one that only repeats others."""
    texts = list(_texts(entry))
    if not texts:
        return []
    kind = entry.data["role"] if entry.kind == "message" else entry.kind
    when = time.strftime("%H:%M:%S", time.localtime(entry.time))
    head = Text.assemble((f"{entry.number} {when} ", "dim"), (_LABELS.get(kind, kind), _STYLES.get(kind, "bold")))
    return [head, *texts, Text("")]


def _texts(entry: TranscriptEntry) -> Iterator[Text]:
    data = entry.data
    match entry.kind:
        case "message":
            content = data["content"]
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            for block in blocks:
                yield from _block(block)
        case "result":
            seconds = f" after {data['seconds']:.1f} s" if "seconds" in data else ""
            outcome = "refused or failed" if data["is_error"] else "answered"
            yield plain(f"{data['tool']} {outcome}{seconds}:", "magenta")
            yield plain(data["text"])
        case "call" if data.get("id") is None:
            yield _call(data["tool"], data["arguments"])
        case "usage":
            tokens = ", ".join(f"{count} {kind}" for kind, count in data["tokens"].items() if count)
            yield plain(f"{tokens} tokens, ${data['dollars']:.4f}", "dim")
        case "reset":
            yield plain(data["why"])
            yield plain(data["system"], "dim")
        case "start" | "api_failure" | "command" | "end":
            yield plain(", ".join(f"{key}: {value}" for key, value in data.items()))


def _block(block: dict[str, Any]) -> Iterator[Text]:
    match block["type"]:
        case "text":
            yield plain(block["text"])
        case "thinking" if block["thinking"]:
            yield plain(block["thinking"], "italic dim")
        case "tool_use":
            yield _call(block["name"], block["input"])
        case "compaction":
            yield plain(f"summary of the conversation so far: {block.get('content') or ''}", "dim")


def _call(tool: str, arguments: Any) -> Text:
    named = arguments if isinstance(arguments, dict) else {"arguments": arguments}
    lines = [f"  {key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in named.items()]
    return plain("\n".join([f"calls {tool}", *lines]), "yellow")
