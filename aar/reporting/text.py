"""Tables, numbers, times and other people's text, as they are shown everywhere.

Covers: the terminal and its reader, against text that agents or method code wrote. It is shown without control
characters, invisible ones and ones that change the direction of writing, and is never interpreted as rich's markup.
Does not cover: what the text says.
"""

from rich import box
from rich.table import Table
from rich.text import Text

from aar.scoring.records import Score
from aar.scoring.stats.uncertainty import Estimate
from aar.text import is_unseen


def new_table(title: str | None = None, caption: str | None = None, *, expand: bool = False) -> Table:
    """Return an empty table with one line, below the heading. `expand`: make it as wide as the terminal."""
    return Table(
        title=title, caption=caption, title_justify="left", caption_justify="left",
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), expand=expand,
    )  # fmt: skip


UNPROTECTED = "unprotected"
"""The mark of scores that researchers' code could have changed, because it ran without a sandbox."""


def printable(text: str) -> str:
    """Return `text` with every character replaced that is not printable, a line break or a tab."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or (character.isprintable() and not is_unseen(character)):
        return character
    return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"


def plain(text: str, style: str = "") -> Text:
    """Return `text` for rich, printable and without markup."""
    return Text(printable(text), style=style)


def one_line(text: str, style: str = "") -> Text:
    """Return the first line of `text`, for rich."""
    lines = text.strip().splitlines()
    return plain(lines[0] if lines else "", style)


def duration(seconds: float) -> str:
    """Format a time in minutes and seconds, such as 4:07, or with hours, such as 1:04:07."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def estimate_text(estimate: Estimate, digits: int = 3) -> str:
    """Format a value and its interval, such as 0.694 [0.671, 0.720]."""
    value, low, high = (f"{number:.{digits}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def pgr_text(score: Score) -> str:
    """Format a score's PGR and its interval, such as 0.39 [0.29, 0.46]."""
    return estimate_text(Estimate(score.pgr, score.pgr_low, score.pgr_high), 2)
