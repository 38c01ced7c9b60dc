"""`aar store`: the code of every method that was run. A snapshot may also be named by its experiment, such as e7."""

import re
from pathlib import Path
from typing import Annotated

import typer

from aar.cli.output import AsJson, CampaignOption, echo, echo_json

app = typer.Typer(help="Look at the code store of a campaign.", no_args_is_help=True)
SnapshotName = Annotated[str, typer.Argument(help="A snapshot's id, or its first 7 digits, or an experiment.")]


@app.command()
def log(
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most this many snapshots.")] = 30,
    campaign: CampaignOption = None,
    as_json: AsJson = False,
) -> None:
    """List snapshots, newest first."""
    from aar.reporting.text import new_table, one_line, plain

    snapshots = _Store(campaign).code.log(limit)
    if as_json:
        return echo_json([snapshot.model_dump() for snapshot in snapshots])
    table = new_table()
    for name in ("snapshot", "built on", "author", "message"):
        table.add_column(name)
    for each in snapshots:
        table.add_row(each.id[:10], (each.parent or "")[:10], plain(each.author), one_line(each.message.text))
    echo(table if snapshots else "No snapshots.")


@app.command()
def show(snapshot: SnapshotName, campaign: CampaignOption = None, as_json: AsJson = False) -> None:
    """Show a snapshot: its author, its parent and its files."""
    store = _Store(campaign)
    id = store.resolve(snapshot)
    described = store.code.snapshot(id)
    files = {name: content.decode(errors="replace") for name, content in store.code.checkout(id).items()}
    if as_json:
        return echo_json({**described.model_dump(), "files": files})
    echo(f"snapshot {described.id}", f"by {described.author}, built on {described.parent or 'nothing'}")
    echo(described.message.text)
    for name, content in files.items():
        echo(f"\n--- {name}", content.rstrip("\n"))


@app.command()
def diff(
    snapshot: SnapshotName,
    other: Annotated[str | None, typer.Argument(help="The later snapshot, if SNAPSHOT is the earlier one.")] = None,
    campaign: CampaignOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the changes from SNAPSHOT to OTHER; without OTHER, from SNAPSHOT's parent to SNAPSHOT."""
    from aar.errors import CodeStoreError

    store = _Store(campaign)
    first = store.resolve(snapshot)
    second = store.resolve(other) if other else first
    if other is None:
        parent = store.code.snapshot(first).parent
        if parent is None:
            raise CodeStoreError(f"{snapshot} has no parent; name a second snapshot, or use `aar store show`")
        first = parent
    text = store.code.diff(first, second).text
    if as_json:
        return echo_json({"from": first, "to": second, "diff": text})
    echo(text.rstrip("\n") or "No difference.")


@app.command()
def checkout(
    snapshot: SnapshotName,
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    campaign: CampaignOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a snapshot's files to FOLDER. An agent wrote them: read them before you run anything."""
    from aar.storage import storage_errors

    store = _Store(campaign)
    id = store.resolve(snapshot)
    files = store.code.checkout(id)
    with storage_errors(folder):
        _write(files, folder)
    if as_json:
        return echo_json({"snapshot": id, "folder": str(folder), "files": sorted(files)})
    echo(f"{len(files)} files of {id[:10]} in {folder}")


def _write(files: dict[str, bytes], folder: Path) -> None:
    from aar.errors import CodeStoreError
    from aar.untrusted_files import write_workspace

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CodeStoreError(f"{folder} is not empty; give a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_workspace(folder.resolve(), files)


class _Store:
    """A campaign's code store, in which experiments name snapshots, too."""

    def __init__(self, campaign: str | None) -> None:
        from aar.campaign.folder import code_folder, find_campaign
        from aar.commons.code_store import CodeStore

        self._folder = find_campaign(campaign)
        self.code = CodeStore(code_folder(self._folder), read_only=True)

    def resolve(self, name: str) -> str:
        """Return the full id of a snapshot. Raises CodeStoreError or ScoringError if there is none."""
        from aar.scoring.store import ScoreStore

        if re.fullmatch(r"e[0-9]{1,5}", name):
            return ScoreStore(self._folder, read_only=True).experiment(name).snapshot
        return self.code.resolve(name)
