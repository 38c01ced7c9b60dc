"""`aar doctor`: what is missing on this machine, and how to get it."""

from typing import Annotated

import typer

from aar.cli.output import AsJson, say, say_json

Full = Annotated[bool, typer.Option("--full", help="Try everything that the sandbox promises; takes a minute.")]


def doctor(as_json: AsJson = False, full: Full = False) -> None:
    """Check this machine; exit code 1 when something is missing."""
    from dataclasses import asdict

    from aar.campaign.doctor import diagnose
    from aar.reporting.tables import new_table
    from aar.reporting.text import plain

    checks = diagnose(full=full)
    missing = [check for check in checks if not check.passed]
    if as_json:
        say_json([asdict(check) for check in checks])
    else:
        table = new_table()
        for name in ("", "check", "found"):
            table.add_column(name, overflow="fold")
        for check in checks:
            table.add_row(plain("ok", "green") if check.passed else plain("no", "red"), check.name, plain(check.detail))
        say(table, *(f"{check.name}: {check.remedy}" for check in missing))
    if missing:
        raise typer.Exit(1)
