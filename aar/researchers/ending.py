"""How a researcher ends: cleanly, with a last note on the forum, and never twice for the same reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aar.budget import Limit, exceeded
from aar.researchers.toolkit.desk import Desk
from aar.researchers.toolkit.results import experiment_words
from aar.researchers.transcript import Entry, Transcript

LAST_WORDS = 4000


@dataclass(frozen=True)
class Ending:
    """Why a researcher ends. "finished" is final; the others hold for as long as their reason does."""

    kind: Literal["finished", "budget", "time", "stopped", "failed"]
    why: str


def ended_before(entries: Sequence[Entry], limits: list[Limit]) -> bool:
    """Has the researcher ended for good, or for a reason that still holds?"""
    if not entries or entries[-1].kind != "end":
        return False
    kind = entries[-1].data["reason"]
    experiments_left = all(limit.left >= 1 for limit in limits if limit.what == "experiments")
    return kind == "finished" or (kind == "budget" and (exceeded(limits) is not None or not experiments_left))


def last_note(ending: Ending, desk: Desk, transcript: Transcript) -> None:
    """Post that the researcher has ended, why, what it did, and what it said last. Raises AarError."""
    own = [one for one in desk.platform.experiments() if one.researcher == desk.name]
    done = "\n\n".join(experiment_words(one) for one in own) or "It started no experiment."
    said = _last_words(transcript.entries)
    body = f"Written by the platform: {desk.name} has ended, because {ending.why}.\n\n{done}"
    body += f"\n\nIts last words:\n\n{said}" if said else ""
    title = f"{desk.name} has ended: {' '.join(ending.why.split())}"[:200]
    key = f"{desk.name}/end/{len(transcript.entries)}"
    desk.platform.post("insight", title, body, key=key, links={})


def _last_words(entries: Sequence[Entry]) -> str:
    replies = [entry for entry in entries if entry.kind == "message" and entry.data["role"] == "assistant"]
    texts = [
        block["text"] for entry in replies[-3:] for block in entry.data["content"] if block["type"] == "text"
    ]
    return texts[-1][-LAST_WORDS:] if texts else ""
