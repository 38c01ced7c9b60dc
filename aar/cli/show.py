"""`aar status`, `leaderboard` and `transcript`: a campaign from its folder, whether it runs or not."""

import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aar.cli.output import AsJson, CampaignOption, WhichCampaign, echo, echo_json

if TYPE_CHECKING:
    from aar.researchers.transcript import TranscriptEntry

FOLLOW_SECONDS = 0.5


def status(campaign: WhichCampaign = None, as_json: AsJson = False) -> None:
    """Show what a campaign is doing, its best score, what each researcher has left, and what went wrong."""
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
    """Show a campaign's experiments by score, with the references, and its verifications."""
    from aar.campaign.folder import find_campaign
    from aar.campaign.state import read_state
    from aar.reporting.data import leaderboard_data
    from aar.reporting.results import summary

    state = read_state(find_campaign(campaign))
    if as_json:
        return echo_json(leaderboard_data(state))
    echo(summary(state))


def transcript(
    researcher: Annotated[
        str | None, typer.Argument(help="A researcher.", show_default="list those who have one")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Also print new entries as they come, until Ctrl-C.")
    ] = False,
    inspect: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write a log of RESEARCHER, or of all, to FOLDER for `inspect view`."),
    ] = None,
    campaign: CampaignOption = None,
    as_json: AsJson = False,
) -> None:
    """Show a researcher's transcript: all that it read, thought, called and got back. With --json, one entry a line."""
    from aar.campaign.folder import find_campaign
    from aar.reporting.transcript import entry_words

    folder = find_campaign(campaign)
    names = [_checked(folder, researcher)] if researcher else _names(folder)
    if inspect:
        return _export(folder, names, inspect)
    if researcher is None:
        return echo(*(names or ["No researcher has a transcript yet."]))
    for entry in _entries(folder, names[0], follow):
        echo(*([json.dumps(vars(entry))] if as_json else entry_words(entry)))


def _names(folder: Path) -> list[str]:
    from aar.researchers.transcript import transcript_folders

    return list(transcript_folders(folder))


def _checked(folder: Path, researcher: str) -> str:
    from aar.errors import CampaignError

    names = _names(folder)
    if researcher not in names:
        raise CampaignError(f"{researcher} has no transcript in {folder}; these have one: {', '.join(names) or 'none'}")
    return researcher


def _entries(folder: Path, researcher: str, follow: bool) -> "Iterator[TranscriptEntry]":
    from aar.researchers.transcript import read, transcript_folder

    last = 0
    while True:
        for entry in read(transcript_folder(folder, researcher)):
            if entry.number > last:
                yield entry
                last = entry.number
        if not follow:
            return
        time.sleep(FOLLOW_SECONDS)


def _export(folder: Path, names: list[str], into: Path) -> None:
    from aar.campaign.folder import stored_config
    from aar.researchers.transcript import read, transcript_folder
    from aar.researchers.transcript.inspect_log import inspect_log, log_name
    from aar.storage import storage_errors

    entries = {name: list(read(transcript_folder(folder, name))) for name in names}
    log = inspect_log(stored_config(folder).name, entries)
    file = into / log_name(log)
    with storage_errors(file):
        into.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(log))
    view = shlex.join(["inspect", "view", "start", "--log-dir", str(into)])
    echo(f"{file}: {len(names)} researchers; open it with `{view}`")
