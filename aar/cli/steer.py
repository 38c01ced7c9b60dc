"""`aar steer`: what a person may ask of researchers, while a campaign runs or before it goes on."""

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
By = Annotated[str | None, typer.Option(help="Who asks.", show_default="your user name")]


@app.command()
def message(
    researcher: Name,
    text: Annotated[str, typer.Argument(help='What to tell it; "-" reads it from standard input.')],
    by: By = None,
    campaign: CampaignOption = None,
) -> None:
    """Tell a researcher something; it reads it at its next turn."""
    _ask(campaign, researcher, "message", sys.stdin.read() if text == "-" else text, by)


@app.command()
def pause(researcher: Name, by: By = None, campaign: CampaignOption = None) -> None:
    """Let a researcher rest after its present turn; experiments that run go on."""
    _ask(campaign, researcher, "pause", "", by)


@app.command()
def resume(researcher: Name, by: By = None, campaign: CampaignOption = None) -> None:
    """Let a paused researcher go on."""
    _ask(campaign, researcher, "resume", "", by)


@app.command()
def stop(researcher: Name, by: By = None, campaign: CampaignOption = None) -> None:
    """End a researcher after its present turn."""
    _ask(campaign, researcher, "stop", "", by)


@app.command()
def direction(
    researcher: Name,
    new: Annotated[str | None, typer.Argument(help="A direction's name or text file; none: undirected.")] = None,
    by: By = None,
    campaign: CampaignOption = None,
) -> None:
    """Give a researcher another direction."""
    _ask(campaign, researcher, "direction", _direction(new) or "", by)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The new researcher's name.")],
    brain: Annotated[str, typer.Option(help="search, claude or external.")] = "claude",
    direction: Annotated[str | None, typer.Option(help="A direction's name or text file.")] = None,
    model: Annotated[str | None, typer.Option(help="Its model, instead of the campaign's.")] = None,
    by: By = None,
    campaign: CampaignOption = None,
) -> None:
    """Add a researcher; it begins at once where the campaign runs."""
    from aar.campaign.folder import find_campaign, stored_config
    from aar.errors import CampaignError
    from aar.researchers.commands import new_researcher

    config = stored_config(find_campaign(campaign))
    own = config.claude.model_copy(update={"model": model}).model_dump() if model else None
    one = new_researcher(name=name, brain=brain, direction=_direction(direction), claude=own)
    if name in _names(find_campaign(campaign)):
        raise CampaignError(f"there is a researcher {name} already; give another name")
    _ask(campaign, name, "add", one.model_dump_json(), by, new=True)


def _direction(direction: str | None) -> str | None:
    """A direction that can be read, as the researcher's process will find it. Raises ConfigError."""
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
    brains = {one.name: one.brain for one in researchers(folder)}
    if not new and researcher not in brains:
        raise CampaignError(f"there is no researcher {researcher}; there are: {', '.join(brains)}")
    if action == "message" and brains[researcher] == "search":
        raise CampaignError(f'{researcher} has brain = "search", which reads no messages; it reads posts on the forum')
    command = CommandQueue(folder).ask(by or getpass.getuser(), researcher, action, text)
    echo(f"{command.describe()}: it is taken up {_when(folder, command, brains.get(researcher))}")


def _when(folder: Path, command: "OperatorCommand", brain: str | None) -> str:
    """When a command is applied, as far as can be predicted."""
    from aar.campaign.folder import is_running
    from aar.campaign.state import read_state

    if not is_running(folder):
        return "when the campaign goes on"
    activities = {one.name: one.activity for one in read_state(folder).researchers}
    has_ended = activities.get(command.researcher, "").startswith(("ended", "finished", "stopped"))
    if has_ended or (brain == "search" and command.action == "direction"):
        return "when the campaign is started again; in this run it is too late"
    return "at the next turn"


def _names(folder: Path) -> list[str]:
    from aar.gateway.connection import researchers

    return [one.name for one in researchers(folder)]
