"""How tables look everywhere: a line below the heading, and no other.

Numbers, times and other people's words, as they are shown.

Protected: a terminal, and a reader, against text that agents or method code wrote: it has no control characters, no
invisible ones and none that turn the direction of writing, and it is never taken for rich's markup.
Not protected: against what the text says.
"""

from rich import box
from rich.table import Table
from rich.text import Text

from aar.scoring.records import Score
from aar.scoring.stats.uncertainty import Estimate
from aar.text import is_unseen


def new_table(title: str | None = None, caption: str | None = None, *, expand: bool = False) -> Table:
    """An empty table. `expand`: as wide as the terminal."""
    return Table(
        title=title, caption=caption, title_justify="left", caption_justify="left",
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), expand=expand,
    )  # fmt: skip


UNPROTECTED = "unprotected"
"""The mark of scores that researchers' code could have changed: it ran without a wall."""


def printable(text: str) -> str:
    """`text` with every character replaced that is neither printed nor a line break or tab."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or (character.isprintable() and not is_unseen(character)):
        return character
    return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"


def plain(text: str, style: str = "") -> Text:
    """`text` for rich: printable, and without any markup of its own."""
    return Text(printable(text), style=style)


def one_line(text: str, style: str = "") -> Text:
    """The first line of `text`, for rich."""
    lines = text.strip().splitlines()
    return plain(lines[0] if lines else "", style)


def duration(seconds: float) -> str:
    """Minutes and seconds, such as 4:07, or hours too, such as 1:04:07."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def estimate_text(estimate: Estimate, digits: int = 3) -> str:
    """A value and its interval, such as 0.694 [0.671, 0.720]."""
    value, low, high = (f"{number:.{digits}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def pgr_text(score: Score) -> str:
    """A score's PGR and its interval, such as 0.39 [0.29, 0.46]."""
    return estimate_text(Estimate(score.pgr, score.pgr_low, score.pgr_high), 2)
