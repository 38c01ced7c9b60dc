"""How a researcher ends: cleanly, with a last note on the forum, and never twice for the same reason."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from aar.budget import Limit, exceeded
from aar.commons.forum import BODY_BYTES, TITLE_CHARACTERS
from aar.errors import AarError
from aar.researchers.context import ToolContext
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.tools.formatting import experiment_words
from aar.researchers.transcript import Transcript, TranscriptEntry
from aar.text import fitted_line, fitted_text

LAST_WORDS = 4000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StopReason:
    """Why a researcher ends. "finished" is final; the others hold for as long as their reason does."""

    kind: Literal["finished", "budget", "time", "stopped", "failed"]
    why: str


def earlier_end(
    entries: Sequence[TranscriptEntry], runtime: ResearcherRuntime, limits: list[Limit]
) -> StopReason | None:
    """How the researcher ended before, for good or for a reason that still holds; None: it is to go on."""
    since = list(takewhile(lambda entry: entry.kind in ("end", "result"), reversed(entries)))
    ends = [entry for entry in since if entry.kind == "end"]  # a call from outside may have been answered after it
    if not ends:
        return None
    ending = StopReason(ends[0].data["reason"], ends[0].data["why"])
    return ending if _holds(ending, runtime, limits) else None


def _holds(ending: StopReason, runtime: ResearcherRuntime, limits: list[Limit]) -> bool:
    match ending.kind:
        case "budget":
            return exceeded(limits) is not None or any(one.left < 1 for one in limits if one.what == "experiments")
        case "stopped":
            return runtime.desired_state() == "stopped"
        case "time":
            return runtime.stopping
        case "failed":
            return False
        case "finished":
            return True


def last_note(ending: StopReason, context: ToolContext, transcript: Transcript) -> None:
    """Post that the researcher has ended, why, what it did, and what it said last. Ends as well where that fails."""
    try:
        _post_last_note(ending, context, transcript)
    except AarError as error:
        log.warning("%s has left no last note: %s", context.name, error)


def _post_last_note(ending: StopReason, context: ToolContext, transcript: Transcript) -> None:
    own = [one for one in context.client.experiments() if one.researcher == context.name]
    done = "\n\n".join(experiment_words(one) for one in own) or "It started no experiment."
    said = _last_words(transcript.entries)
    body = f"Written by the platform: {context.name} has ended, because {ending.why}.\n\n{done}"
    body += f"\n\nIts last words:\n\n{said}" if said else ""
    title = f"{context.name} has ended: {ending.why}"
    lived = sum(entry.kind in ("message", "call") for entry in transcript.entries)
    key = f"{context.name}/end/{ending.kind}/{lived}"  # so that a process that is killed here does not post it twice
    title, body = fitted_line(title, TITLE_CHARACTERS), fitted_text(body, BODY_BYTES)
    context.client.post("insight", title, body, key=key)


def _last_words(entries: Sequence[TranscriptEntry]) -> str:
    replies = [entry for entry in entries if entry.kind == "message" and entry.data["role"] == "assistant"]
    texts = [block["text"] for entry in replies[-3:] for block in entry.data["content"] if block["type"] == "text"]
    return texts[-1][-LAST_WORDS:] if texts else ""
