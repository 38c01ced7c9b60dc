"""Converts transcripts to a log of Inspect (inspect_ai's JSON log format, version 2), which `inspect view` opens.

A campaign becomes one log, and each researcher one of its samples. Entries without a counterpart in Inspect are
left out.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aar.researchers.transcript.journal import TranscriptEntry

Json = dict[str, Any]


def inspect_log(campaign: str, transcripts: Mapping[str, Sequence[TranscriptEntry]]) -> Json:
    """Return the log of a campaign, from the transcript entries of each researcher by name."""
    samples = [_sample(name, entries) for name, entries in transcripts.items()]
    times = [entry.time for entries in transcripts.values() for entry in entries]
    begin, end = _moment(min(times, default=0.0)), _moment(max(times, default=0.0))
    finished = all(_ended(entries) for entries in transcripts.values())
    models = {model for sample in samples for model in sample["model_usage"]}
    return {
        "version": 2,
        "status": "success" if finished else "started",
        "eval": {
            "eval_id": campaign, "run_id": campaign, "task_id": campaign, "created": begin, "task": f"aar/{campaign}",
            "dataset": {"name": campaign, "samples": len(samples), "sample_ids": list(transcripts)},
            "model": "/".join(sorted(models)) or "none", "config": {},
        },
        "plan": {"name": "plan", "steps": []},
        "results": {"total_samples": len(samples), "completed_samples": len(samples), "scores": []},
        "stats": {"started_at": begin, "completed_at": end, "model_usage": _sum(samples)},
        "samples": samples,
    }  # fmt: skip


def log_name(log: Json) -> str:
    """Return the name of a log's file. `inspect view` lists a JSON file only if its name starts with such a time."""
    created, task, id = (log["eval"][key].replace("_", "-") for key in ("created", "task", "task_id"))
    return f"{created.replace(':', '-')}_{task.replace('/', '-')}_{id}.json"


def _sample(name: str, entries: Sequence[TranscriptEntry]) -> Json:
    messages = list(_messages(name, entries))
    first = next((message["content"] for message in messages if message["role"] == "user"), "")
    begin, end = (entries[0].time, entries[-1].time) if entries else (0.0, 0.0)
    return {
        "id": name, "epoch": 1, "uuid": f"{name}-{int(begin)}", "input": first, "target": "", "messages": messages,
        "model_usage": _usage(entries), "metadata": {"ended": _ended(entries)}, "scores": {}, "store": {},
        "events": [], "attachments": {}, "started_at": _moment(begin), "completed_at": _moment(end),
        "total_time": end - begin,
    }  # fmt: skip


def _messages(name: str, entries: Sequence[TranscriptEntry]) -> Iterator[Json]:
    functions: dict[str, str] = {}
    for entry in entries:
        head = {"id": f"{name}-{entry.number}"}
        if entry.kind == "reset":
            yield {**head, "role": "system", "content": entry.data["system"]}
        elif entry.kind == "message" and entry.data["role"] == "assistant":
            message = _reply(entry.data)
            functions |= {call["id"]: call["function"] for call in message["tool_calls"]}
            yield head | message
        elif entry.kind == "message":
            yield from _user_messages(head["id"], entry.data["content"], functions)
        elif entry.kind == "call" and entry.data.get("id") is None:  # of an external researcher: in no message
            yield head | _outside_call(entry.data)
        elif entry.kind == "result" and entry.data.get("id") is None:
            yield head | _result(entry.data["call_id"], entry.data["tool"], entry.data["text"], entry.data["is_error"])


def _reply(data: Json) -> Json:
    content = [part for block in data["content"] for part in _part(block)]
    calls = [
        {"id": block["id"], "function": block["name"], "arguments": _object(block["input"]), "type": "function"}
        for block in data["content"]
        if block["type"] == "tool_use"
    ]
    return {
        "role": "assistant", "source": "generate", "model": data.get("model"), "content": content, "tool_calls": calls,
    }  # fmt: skip


def _part(block: Json) -> Iterator[Json]:
    match block["type"]:
        case "text":
            yield {"type": "text", "text": block["text"]}
        case "thinking":
            yield {"type": "reasoning", "reasoning": block["thinking"], "signature": block.get("signature")}
        case "redacted_thinking":
            yield {"type": "reasoning", "reasoning": block["data"], "redacted": True}
        case "compaction":
            yield {"type": "text", "text": f"[summary of the earlier conversation]\n{block.get('content') or ''}"}


def _user_messages(head: str, content: Any, functions: Mapping[str, str]) -> Iterator[Json]:
    if isinstance(content, str):
        yield {"id": head, "role": "user", "content": content}
        return
    for place, block in enumerate(content):
        if block["type"] == "tool_result":
            function, text = functions.get(block["tool_use_id"], ""), _text(block.get("content", ""))
            answer = _result(block["tool_use_id"], function, text, block.get("is_error", False))
            yield {"id": f"{head}-{place}", **answer}
        elif block["type"] == "text":
            yield {"id": f"{head}-{place}", "role": "user", "content": block["text"]}


def _outside_call(data: Json) -> Json:
    call = {
        "id": data["call_id"], "function": data["tool"], "arguments": _object(data["arguments"]), "type": "function",
    }  # fmt: skip
    return {"role": "assistant", "source": "generate", "content": "", "tool_calls": [call]}


def _result(id: str, function: str, text: str, is_error: bool) -> Json:
    error = {"error": {"type": "unknown", "message": text}} if is_error else {}
    return {"role": "tool", "tool_call_id": id, "function": function, "content": text, **error}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


def _object(arguments: Any) -> Json:
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def _usage(entries: Sequence[TranscriptEntry]) -> dict[str, Json]:
    usage: dict[str, Json] = {}
    for entry in entries:
        if entry.kind == "usage":
            tokens, model = entry.data["tokens"], usage.setdefault(entry.data["model"], _zero())
            model["input_tokens"] += tokens["input"]
            model["output_tokens"] += tokens["output"]
            model["input_tokens_cache_read"] += tokens["cache_read"]
            model["input_tokens_cache_write"] += tokens["cache_write_5m"] + tokens["cache_write_1h"]
            model["total_tokens"] += sum(tokens.values())
            model["total_cost"] += entry.data["dollars"]
    return usage


def _zero() -> Json:
    names = ("input_tokens", "output_tokens", "input_tokens_cache_read", "input_tokens_cache_write", "total_tokens")
    return {**dict.fromkeys(names, 0), "total_cost": 0.0}


def _sum(samples: Sequence[Json]) -> dict[str, Json]:
    total: dict[str, Json] = {}
    for sample in samples:
        for model, usage in sample["model_usage"].items():
            before = total.setdefault(model, _zero())
            total[model] = {name: before[name] + amount for name, amount in usage.items()}
    return total


def _ended(entries: Sequence[TranscriptEntry]) -> str | None:
    last = entries[-1] if entries else None
    return last.data["why"] if last and last.kind == "end" else None


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))
