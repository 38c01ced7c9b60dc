"""Options and printing that commands share."""

from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
WhichCampaign = Annotated[
    str | None, typer.Argument(metavar="[CAMPAIGN]", help="Name or folder.", show_default="the one that ran last")
]
CampaignOption = Annotated[
    str | None,
    typer.Option("--campaign", "-c", metavar="CAMPAIGN", help="Name or folder.", show_default="the one that ran last"),
]


def console(*, stderr: bool = False) -> Console:
    """Return a console on standard output or standard error that interprets no markup."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def echo(*lines: RenderableType) -> None:
    """Print lines or tables. A string may be by anybody: it is made printable, has no markup, and is not wrapped."""
    from aar.reporting.text import plain

    output = console()
    for line in lines:
        if isinstance(line, str):
            output.print(plain(line), soft_wrap=True)
        else:
            output.print(line)


def echo_json(data: Any) -> None:
    """Print one JSON document."""
    from aar.reporting.data import to_json

    typer.echo(to_json(data))


def print_error(message: str) -> None:
    """Print an error's message on standard error."""
    from aar.reporting.text import printable

    typer.secho(f"aar: {printable(message)}", fg="red", err=True)
