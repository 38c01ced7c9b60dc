"""`aar status` and `aar leaderboard`: a campaign from its folder, whether it runs or not.

`aar doctor`: what is missing on this machine, and how to get it.
"""

from typing import Annotated

import typer

from aar.cli.output import AsJson, WhichCampaign, echo, echo_json


def status(campaign: WhichCampaign = None, as_json: AsJson = False) -> None:
    """Show what a campaign is doing, its best score, and its researchers: what is left to each, and what went wrong."""
    import time

    from aar.campaign.folder import find_campaign
    from aar.campaign.state import api_failures_in, read_state
    from aar.reporting.data import state_data
    from aar.reporting.spending import api_failure_tables, spending
    from aar.reporting.views import dashboard

    state = read_state(find_campaign(campaign))
    failures = api_failures_in(state.folder)
    if as_json:
        return echo_json(state_data(state, failures))
    runs = "It runs" if state.running else "It does not run"
    tables = [*spending(state), *api_failure_tables(failures)]
    echo(dashboard(state, time.time()), *tables, f"{runs}; folder: {state.folder}")


def leaderboard(campaign: WhichCampaign = None, as_json: AsJson = False) -> None:
    """Show the experiments of a campaign by score, with the references, and what was verified."""
    from aar.campaign.folder import find_campaign
    from aar.campaign.state import read_state
    from aar.reporting.data import leaderboard_data
    from aar.reporting.results import summary

    state = read_state(find_campaign(campaign))
    if as_json:
        return echo_json(leaderboard_data(state))
    echo(summary(state))


Full = Annotated[bool, typer.Option("--full", help="Try everything that the sandbox promises; takes a minute.")]


def doctor(as_json: AsJson = False, full: Full = False) -> None:
    """Check this machine; exit code 1 when something is missing."""
    from dataclasses import asdict

    from aar.campaign.doctor import diagnose
    from aar.reporting.text import new_table, plain

    checks = diagnose(full=full)
    missing = [check for check in checks if not check.passed]
    if as_json:
        echo_json([asdict(check) for check in checks])
    else:
        table = new_table()
        for name in ("", "check", "found"):
            table.add_column(name, overflow="fold")
        for check in checks:
            table.add_row(plain("ok", "green") if check.passed else plain("no", "red"), check.name, plain(check.detail))
        echo(table, *(f"{check.name}: {check.remedy}" for check in missing))
    if missing:
        raise typer.Exit(1)
