"""`aar steer`: an operator's commands to researchers, while a campaign runs or before it resumes."""

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aar.cli.output import CampaignOption, echo

if TYPE_CHECKING:
    from aar.researchers.commands import Action, OperatorCommand

app = typer.Typer(help="Message, pause, resume, stop, direct and add researchers.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="RESEARCHER", help="A researcher of the campaign.")]
By = Annotated[str | None, typer.Option(help="The operator's name.", show_default="your user name")]


@app.command()
def message(
    researcher: Name,
    text: Annotated[str, typer.Argument(help='The message; "-" reads it from standard input.')],
    by: By = None,
    campaign: CampaignOption = None,
) -> None:
    """Send a researcher a message. It reads it at its next turn."""
    _ask(campaign, researcher, "message", sys.stdin.read() if text == "-" else text, by)


@app.command()
def pause(researcher: Name, by: By = None, campaign: CampaignOption = None) -> None:
    """Pause a researcher after its current turn. Its running experiments continue."""
    _ask(campaign, researcher, "pause", "", by)


@app.command()
def resume(researcher: Name, by: By = None, campaign: CampaignOption = None) -> None:
    """Resume a paused researcher."""
    _ask(campaign, researcher, "resume", "", by)


@app.command()
def stop(researcher: Name, by: By = None, campaign: CampaignOption = None) -> None:
    """Stop a researcher after its current turn."""
    _ask(campaign, researcher, "stop", "", by)


@app.command()
def direction(
    researcher: Name,
    new: Annotated[
        str | None, typer.Argument(help="A direction's name or a text file. Without it, the researcher is undirected.")
    ] = None,
    by: By = None,
    campaign: CampaignOption = None,
) -> None:
    """Give a researcher another direction."""
    _ask(campaign, researcher, "direction", _direction(new) or "", by)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The new researcher's name.")],
    brain: Annotated[str, typer.Option(help="search, claude or external.")] = "claude",
    direction: Annotated[str | None, typer.Option(help="A direction's name or a text file.")] = None,
    model: Annotated[str | None, typer.Option(help="Its model, instead of the campaign's.")] = None,
    by: By = None,
    campaign: CampaignOption = None,
) -> None:
    """Add a researcher. It starts at once if the campaign runs."""
    from aar.campaign.folder import find_campaign, stored_config
    from aar.errors import CampaignError
    from aar.researchers.commands import new_researcher

    config = stored_config(find_campaign(campaign))
    claude = config.claude.model_copy(update={"model": model}).model_dump() if model else None
    researcher = new_researcher(name=name, brain=brain, direction=_direction(direction), claude=claude)
    if name in _names(find_campaign(campaign)):
        raise CampaignError(f"there is a researcher {name} already; give another name")
    _ask(campaign, name, "add", researcher.model_dump_json(), by, new=True)


def _direction(direction: str | None) -> str | None:
    """Return a readable direction as the researcher's process will find it. Raises ConfigError."""
    from aar.researchers.directions import builtin_directions, read_direction

    read_direction(direction)
    return direction if direction is None or direction in builtin_directions() else str(Path(direction).resolve())


def _ask(
    campaign: str | None, researcher: str, action: "Action", text: str, by: str | None, *, new: bool = False
) -> None:
    from aar.campaign.folder import find_campaign
    from aar.errors import CampaignError
    from aar.gateway.connection import researchers
    from aar.researchers.commands import CommandQueue

    folder = find_campaign(campaign)
    brains = {each.name: each.brain for each in researchers(folder)}
    if not new and researcher not in brains:
        raise CampaignError(f"there is no researcher {researcher}; there are: {', '.join(brains)}")
    if action == "message" and brains[researcher] == "search":
        raise CampaignError(f'{researcher} has brain = "search", which reads no messages; it reads posts on the forum')
    command = CommandQueue(folder).ask(by or getpass.getuser(), researcher, action, text)
    echo(f"{command.describe()}: takes effect {_when(folder, command, brains.get(researcher))}")


def _when(folder: Path, command: "OperatorCommand", brain: str | None) -> str:
    """Predict when a command takes effect."""
    from aar.campaign.folder import is_running
    from aar.campaign.state import read_state

    if not is_running(folder):
        return "when the campaign resumes"
    if command.action == "add":
        return "at once"
    activities = {each.name: each.activity for each in read_state(folder).researchers}
    has_ended = activities.get(command.researcher, "").startswith(("ended", "finished", "stopped"))
    if has_ended or (brain == "search" and command.action == "direction"):
        return "when the campaign is started again; it is too late in this run"
    return "at the next turn"


def _names(folder: Path) -> list[str]:
    from aar.gateway.connection import researchers

    return [each.name for each in researchers(folder)]
