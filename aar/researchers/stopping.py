"""The end of a researcher: it posts a summary to the forum, and never ends twice for the same reason."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from aar.budget import Limit, UsageStore, exceeded
from aar.commons.forum import BODY_BYTES, TITLE_CHARACTERS
from aar.errors import AarError
from aar.researchers.context import ToolContext
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.tools.results import format_experiment
from aar.researchers.transcript import Transcript, TranscriptEntry
from aar.text import fitted_line, fitted_text

LAST_MESSAGE_CHARACTERS = 4000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StopReason:
    """Why a researcher ends. "finished" is final; any other reason counts only while it still holds."""

    kind: Literal["finished", "budget", "time", "stopped", "failed"]
    why: str


def previous_stop(
    entries: Sequence[TranscriptEntry], runtime: ResearcherRuntime, limits: list[Limit]
) -> StopReason | None:
    """Return how the researcher ended, if that is final or its reason still holds; None if it should resume."""
    # A call from outside may have been answered after the end.
    last = takewhile(lambda entry: entry.kind in ("end", "result"), reversed(entries))
    end = next((entry for entry in last if entry.kind == "end"), None)
    if not end:
        return None
    stop = StopReason(end.data["reason"], end.data["why"])
    return stop if _holds(stop, runtime, limits) else None


def _holds(stop: StopReason, runtime: ResearcherRuntime, limits: list[Limit]) -> bool:
    match stop.kind:
        case "budget":
            return exceeded(limits) is not None or any(
                limit.left < 1 for limit in limits if limit.what == "experiments"
            )
        case "stopped":
            return runtime.desired_state() == "stopped"
        case "time":
            return runtime.stopping
        case "failed":
            return False
        case "finished":
            return True


def required_stop(runtime: ResearcherRuntime) -> StopReason | None:
    """Return the reason for which operators or the campaign require the researcher to end now, if there is one."""
    if runtime.desired_state() == "stopped":
        return StopReason("stopped", "a person stopped it")
    return StopReason("time", "the campaign's time is up") if runtime.stopping else None


def reached_limit(runtime: ResearcherRuntime, spend: UsageStore) -> StopReason | None:
    """Return the limit that is used up and ends the researcher now, if there is one."""
    limit = runtime.exceeded_limit(spend)
    return StopReason("budget", limit.describe()) if limit else None


def end_researcher(stop: StopReason, runtime: ResearcherRuntime, context: ToolContext, transcript: Transcript) -> None:
    """Record the end: the time used, a summary on the forum, and an entry of the transcript, in this order."""
    runtime.count_time(context.spend, include_short=True)
    _post_final_summary(stop, context, transcript)
    transcript.append("end", reason=stop.kind, why=stop.why)
    runtime.set_status(f"ended: {stop.why}")


def _post_final_summary(stop: StopReason, context: ToolContext, transcript: Transcript) -> None:
    """Post that the researcher has ended and why, with its experiments and last message. A failure is only logged."""
    try:
        _post_summary(stop, context, transcript)
    except AarError as error:
        log.warning("%s has ended without a final summary: %s", context.name, error)


def _post_summary(stop: StopReason, context: ToolContext, transcript: Transcript) -> None:
    experiments = [record for record in context.client.experiments() if record.researcher == context.name]
    results = "\n\n".join(map(format_experiment, experiments)) or "It started no experiment."
    message = _last_message(transcript.entries)
    body = f"Written by the platform: {context.name} has ended, because {stop.why}.\n\n{results}"
    body += f"\n\nIts last message:\n\n{message}" if message else ""
    title = f"{context.name} has ended: {stop.why}"
    steps = sum(entry.kind in ("message", "call") for entry in transcript.entries)
    key = f"{context.name}/end/{stop.kind}/{steps}"  # so that a process that is killed here does not post it twice
    title, body = fitted_line(title, TITLE_CHARACTERS), fitted_text(body, BODY_BYTES)
    context.client.post("insight", title, body, key=key)


def _last_message(entries: Sequence[TranscriptEntry]) -> str:
    replies = [entry for entry in entries if entry.kind == "message" and entry.data["role"] == "assistant"]
    texts = [block["text"] for entry in replies[-3:] for block in entry.data["content"] if block["type"] == "text"]
    return texts[-1][-LAST_MESSAGE_CHARACTERS:] if texts else ""
