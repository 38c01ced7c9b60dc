"""`aar as RESEARCHER ...`: the researchers' tools from the command line, for people and scripts."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from aar.cli.output import CampaignOption, echo

HELP = "Act as an external researcher of a running campaign, with its budget, in its sandbox."
app = typer.Typer(help=HELP, no_args_is_help=True)
experiment = typer.Typer(help="Run methods and ask about experiments.", no_args_is_help=True)
forum = typer.Typer(help="Read and write the forum.", no_args_is_help=True)
store = typer.Typer(help="Publish and look at snapshots.", no_args_is_help=True)
app.add_typer(experiment, name="experiment")
app.add_typer(forum, name="forum")
app.add_typer(store, name="store")

Id = Annotated[str, typer.Argument(help="An experiment, such as e7.")]
MethodFile = Annotated[Path, typer.Argument(help="A method file of yours; it is copied into the workspace.")]
Snapshot = Annotated[str, typer.Argument(help="A snapshot's id, or an experiment.")]


@dataclass(frozen=True)
class ExternalClient:
    """Who acts, in which campaign."""

    researcher: str
    campaign: str | None

    def does(self, tool: str, /, **arguments: Any) -> None:
        """Call a tool and print the answer."""
        from aar.cli.external import call

        echo(call(self.campaign, self.researcher, tool, **arguments))

    def puts(self, file: Path, name: str | None = None) -> str:
        """Copy a text file into the workspace, and print the answer; its name there."""
        from aar.cli.external import call
        from aar.errors import ConfigError

        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} cannot be read as text ({error})") from None
        path = name or file.name
        echo(call(self.campaign, self.researcher, "files", command="create", path=path, file_text=text))
        return path

    def waits(self, experiment: str, seconds: float) -> None:
        """Wait for an experiment and print what became of it; exit code 1 when it failed."""
        self.does("experiment", action="wait", experiment=experiment, seconds=seconds)
        if self._failed(experiment):
            raise typer.Exit(1)

    def _failed(self, experiment: str) -> bool:
        from aar.campaign.folder import find_campaign
        from aar.scoring.store import ScoreStore

        book = ScoreStore(find_campaign(self.campaign), read_only=True)
        return book.experiment(experiment).status == "failed"


@app.callback()
def authenticate(
    context: typer.Context,
    researcher: Annotated[str, typer.Argument(metavar="RESEARCHER", help="An external researcher.")],
    campaign: CampaignOption = None,
) -> None:
    """Act as an external researcher of a running campaign, with its budget, in its sandbox."""
    context.obj = ExternalClient(researcher, campaign)


@app.command()
def bash(context: typer.Context, command: str, seconds: float = 120) -> None:
    """Run a command in the researcher's shell."""
    context.obj.does("bash", command=command, seconds=seconds)


@app.command()
def put(context: typer.Context, file: Path, name: Annotated[str | None, typer.Argument()] = None) -> None:
    """Copy a text file of yours into the workspace."""
    context.obj.puts(file, name)


@app.command()
def check(context: typer.Context, method: MethodFile) -> None:
    """Try a method on a small slice, without a score."""
    context.obj.does("quick_check", method=context.obj.puts(method))


@app.command(context_settings={"ignore_unknown_options": True})  # -1 is a value
def vote(context: typer.Context, post: int, value: int) -> None:
    """Vote on a post: 1, -1 or 0."""
    context.obj.does("vote", post=post, value=value)


@app.command()
def leaderboard(context: typer.Context) -> None:
    """The best experiments so far."""
    context.obj.does("leaderboard")


@app.command()
def budget(context: typer.Context) -> None:
    """What the researcher has used and what is left."""
    context.obj.does("budget")


@app.command()
def tool(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Any tool, as language models have it.")],
    arguments: Annotated[str, typer.Argument(help='Its arguments as JSON; "-" reads them from standard input.')] = "{}",
) -> None:
    """Call any tool with JSON arguments."""
    from aar.errors import ConfigError

    try:
        given = json.loads(sys.stdin.read() if arguments == "-" else arguments)
    except ValueError as error:
        raise ConfigError(f"the arguments are no JSON: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f'the arguments are a JSON object, such as {{"post": 3}}, and not {json.dumps(given)[:80]}')
    context.obj.does(name, **given)


@experiment.command("run")
def run_experiment(
    context: typer.Context,
    method: MethodFile,
    note: Annotated[str | None, typer.Option(help="One line that says what it tries.")] = None,
    parent: Annotated[str | None, typer.Option(help="The snapshot that it was built on.")] = None,
    allow_duplicate: Annotated[bool, typer.Option("--allow-duplicate", help="Run a near-duplicate, too.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result; exit code 1 if it failed.")] = False,
) -> None:
    """Run a method as an experiment."""
    from aar.cli.external import call

    actor: ExternalClient = context.obj
    path = actor.puts(method)
    started = call(
        actor.campaign, actor.researcher, "run_experiment", method=path, note=note or method.stem, parent=parent,
        allow_duplicate=allow_duplicate,
    )  # fmt: skip
    echo(started)
    if wait:
        actor.waits(started.split()[0], 1800)


@experiment.command("list")
def list_experiments(context: typer.Context) -> None:
    """The researcher's experiments."""
    context.obj.does("experiment", action="list")


@experiment.command()
def status(context: typer.Context, id: Id) -> None:
    """How an experiment stands."""
    context.obj.does("experiment", action="status", experiment=id)


@experiment.command()
def log(context: typer.Context, id: Id) -> None:
    """What an experiment's method printed."""
    context.obj.does("experiment", action="log", experiment=id)


@experiment.command("wait")
def wait_for(context: typer.Context, id: Id, seconds: float = 1800) -> None:
    """Wait until an experiment has ended; exit code 1 when it failed."""
    context.obj.waits(id, seconds)


@experiment.command()
def cancel(context: typer.Context, id: Id) -> None:
    """End an experiment."""
    context.obj.does("experiment", action="cancel", experiment=id)


@forum.command("post")
def write(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="result, hypothesis, insight or error.")],
    title: str,
    body: Annotated[str, typer.Argument(help='The text; "-" reads it from standard input.')] = "",
    family: Annotated[str | None, typer.Option(help="For a result: its family of methods.")] = None,
    about: Annotated[str | None, typer.Option("--experiment", help="The experiment that it is about.")] = None,
    snapshot: Annotated[str | None, typer.Option(help="The snapshot that it is about.")] = None,
) -> None:
    """Write a post."""
    text = sys.stdin.read() if body == "-" else body
    links = {"family": family, "experiment": about, "snapshot": snapshot}
    context.obj.does("forum_post", kind=kind, title=title, body=text, **links)


@forum.command("read")
def read(
    context: typer.Context,
    post: Annotated[int | None, typer.Argument(help="One post, with its replies.")] = None,
    query: Annotated[str | None, typer.Option(help="Posts that have all these words.")] = None,
) -> None:
    """Read one post, those that match, or the newest."""
    context.obj.does("forum_read", post=post, query=query)


@forum.command()
def reply(context: typer.Context, post: int, title: str, body: str = "") -> None:
    """Answer a post."""
    context.obj.does("forum_reply", post=post, title=title, body=body)


@store.command()
def publish(context: typer.Context, message: str, paths: list[str]) -> None:
    """Publish files of the workspace."""
    context.obj.does("store_publish", message=message, paths=paths)


@store.command()
def checkout(context: typer.Context, snapshot: Snapshot) -> None:
    """Get a snapshot's files into /shared/snapshots."""
    context.obj.does("store_checkout", snapshot=snapshot)


@store.command()
def diff(context: typer.Context, snapshot: Snapshot, other: Annotated[str | None, typer.Argument()] = None) -> None:
    """What changed between snapshots."""
    context.obj.does("store_diff", snapshot=snapshot, other=other)
