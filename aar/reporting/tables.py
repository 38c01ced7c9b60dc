"""How tables look everywhere: a line below the heading, and no other."""

from rich import box
from rich.table import Table


def new_table(title: str | None = None, caption: str | None = None, *, expand: bool = False) -> Table:
    """An empty table. `expand`: as wide as the terminal."""
    return Table(
        title=title, caption=caption, title_justify="left", caption_justify="left",
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), expand=expand,
    )  # fmt: skip
