"""What went wrong for researchers that think, for people: how often, when last, and what that was."""

import time
from collections.abc import Mapping

from rich.console import RenderableType

from aar.campaign.troubles import Troubles
from aar.reporting.tables import new_table
from aar.reporting.text import one_line, plain


def troubles_tables(troubles: Mapping[str, Troubles]) -> list[RenderableType]:
    """A table of those who had any; none where nobody had."""
    if not troubles:
        return []
    table = new_table(expand=True)
    table.add_column("researcher", no_wrap=True)
    table.add_column("troubles", no_wrap=True, justify="right")
    table.add_column("last", no_wrap=True)
    table.add_column("what it was", ratio=1)
    for name, one in troubles.items():
        when = time.strftime("%m-%d %H:%M", time.localtime(one.time))
        table.add_row(plain(name), str(one.count), when, one_line(one.last))
    return [table]
