"""`aar as RESEARCHER ...`: the researchers' tools as commands, for people and scripts.

Each tool is a command, made from its name, description and arguments: required arguments are positional, all others are
options. So a new tool is a command without a change here. `LAYOUTS` describes the commands that read better otherwise.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from rich.markup import escape

from aar.cli.output import CampaignOption, echo, print_error
from aar.errors import ConfigError
from aar.researchers.tools import TOOLS, Tool

if TYPE_CHECKING:
    from aar.gateway.connection import CampaignConnection

HELP = "Act as an external researcher of a running campaign, with its budget, in its sandbox."
GROUPS = {
    "experiment": "Run methods and follow experiments.",
    "forum": "Read and write the forum.",
    "store": "Publish and compare snapshots.",
}
WAIT_SECONDS = 1800.0
FILE_FIELD, TEXT_FIELD = "method", "body"
"""Fields that a command line gives differently: by a file of the caller's, and by "-" for standard input."""
SCALARS = (str, int, float, bool)


class Client(Protocol):
    """One researcher of a campaign, as commands use it."""

    def call(self, tool: str, arguments: dict[str, Any]) -> str: ...

    def has_failed(self, experiment: str) -> bool: ...


@dataclass(frozen=True)
class ExternalClient:
    """An external researcher of a campaign. It connects at the first call, so that `--help` needs no campaign."""

    researcher: str
    campaign: str | None

    def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """Return a tool's answer. An error as the answer is printed and ends the command with code 1."""
        import asyncio

        from aar.gateway.connection import checked_external

        researcher = checked_external(self._folder, self.researcher)
        text, is_error = asyncio.run(self._connection.call(researcher, tool, arguments))
        if is_error:
            print_error(text)
            raise typer.Exit(1)
        return text

    def has_failed(self, experiment: str) -> bool:
        """True if the experiment has ended in a failure."""
        from aar.scoring.store import ScoreStore

        return ScoreStore(self._folder, read_only=True).experiment(experiment).status == "failed"

    @cached_property
    def _folder(self) -> Path:
        from aar.campaign.folder import find_campaign

        return find_campaign(self.campaign)

    @cached_property
    def _connection(self) -> "CampaignConnection":
        from aar.gateway.connection import CampaignConnection

        return CampaignConnection(self._folder)


def upload(client: Client, file: Path, name: str | None = None) -> str:
    """Copy a text file of the caller into the workspace and return its name there. Raises ConfigError."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as text ({error})") from None
    path = name or file.name
    echo(client.call("files", {"command": "create", "path": path, "file_text": text}))
    return path


def _call(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    echo(client.call(tool, arguments))


def _run(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    """Start an experiment, and wait for it when `--wait` was given."""
    wait = arguments.pop("wait", False)
    started = client.call(tool, {"note": Path(arguments[FILE_FIELD]).stem, **arguments})
    echo(started)
    if wait:
        _wait(client, "experiment", {"action": "wait", "experiment": started.split()[0], "seconds": WAIT_SECONDS})


def _wait(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    """Wait for an experiment; exit code 1 when it has failed."""
    _call(client, tool, arguments)
    if client.has_failed(arguments["experiment"]):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Layout:
    """The form of a tool's command.

    Attributes:
        name: the command, after its group if it has one.
        positional: the fields that are positional, in order; an optional one is in brackets.
        help: instead of the tool's description.
        fixed: arguments that the command itself gives.
        defaults: of options, where they differ from the tool's.
        options: options that are not the tool's.
        perform: makes the call and prints the answer.
    """

    name: str
    positional: str
    help: str = ""
    fixed: Mapping[str, Any] = dataclass_field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclass_field(default_factory=dict)
    options: Sequence[inspect.Parameter] = ()
    perform: Callable[[Client, str, dict[str, Any]], None] = _call


WAIT_OPTION = inspect.Parameter(
    "wait",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--wait", help="Wait for the result; exit code 1 if it failed.")],
)
LAYOUTS = {
    "run_experiment": Layout("experiment run", FILE_FIELD, options=[WAIT_OPTION], perform=_run),
    "quick_check": Layout("check", FILE_FIELD),
    "forum_post": Layout("forum post", "kind title [body]"),
    "forum_read": Layout("forum read", "[post]"),
    "forum_reply": Layout("forum reply", "post title [body]"),
    "store_publish": Layout("store publish", "message [paths]"),
    "store_diff": Layout("store diff", "snapshot [other]"),
    "lab_notes": Layout("lab-notes", "command [path]"),
}
ACTIONS = {
    "list": "List the researcher's experiments.",
    "status": "Show an experiment and its outcome so far.",
    "log": "Show what an experiment's method printed, and its error if it failed.",
    "wait": "Wait until an experiment has ended; exit code 1 if it failed.",
    "cancel": "Cancel an experiment. It still counts.",
}
"""The actions of the tool `experiment`, each a command."""


def add_tool_commands(app: typer.Typer, tools: Sequence[Tool]) -> None:
    """Add the commands of `tools` to `app`. The object of their context is the `Client` that they call."""
    groups = {name: typer.Typer(help=text, no_args_is_help=True) for name, text in GROUPS.items()}
    for tool in tools:
        for layout in _layouts(tool):
            group, _, name = layout.name.rpartition(" ")
            _add_command(groups[group] if group else app, name, tool, layout)
    for name, group_app in groups.items():
        app.add_typer(group_app, name=name)


def _layouts(tool: Tool) -> Iterator[Layout]:
    if tool.name == "experiment":
        yield from map(_action_layout, get_args(tool.arguments.model_fields["action"].annotation))
        return
    group, _, rest = tool.name.partition("_")
    name = f"{group} {rest}" if group in GROUPS and rest else tool.name
    required = [name for name, field in tool.arguments.model_fields.items() if field.is_required()]
    yield LAYOUTS.get(tool.name) or Layout(name.replace("_", "-"), " ".join(required))


def _action_layout(action: str) -> Layout:
    layout = Layout(f"experiment {action}", "experiment", ACTIONS.get(action, ""), {"action": action})
    if action == "list":
        return replace(layout, positional="", fixed={"action": action, "experiment": None, "seconds": None})
    if action == "wait":
        return replace(layout, defaults={"seconds": WAIT_SECONDS}, perform=_wait)
    return replace(layout, fixed={"action": action, "seconds": None})


def _add_command(app: typer.Typer, name: str, tool: Tool, layout: Layout) -> None:
    fields = tool.arguments.model_fields

    def command(_context: typer.Context, **values: Any) -> None:
        client: Client = _context.obj
        typed = {name: value for name, value in values.items() if name not in fields or value != _default(fields[name])}
        if typed.get(TEXT_FIELD) == "-":
            typed[TEXT_FIELD] = sys.stdin.read()
        if FILE_FIELD in typed:
            typed[FILE_FIELD] = upload(client, typed[FILE_FIELD])
        fixed = {name: value for name, value in layout.fixed.items() if value is not None}
        layout.perform(client, tool.name, {**fixed, **typed})

    parameters = _parameters(tool, layout)
    context = inspect.Parameter("_context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    command.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    takes_numbers = any(
        _type(fields[name].annotation)[0] in (int, float) for name in fields if name in layout.positional.split()
    )
    text = layout.help or tool.description
    app.command(
        name,
        help=escape(text),
        short_help=escape(re.split(r"(?<=\.)\s", text)[0]),
        # Otherwise a negative number as an argument, such as a vote of -1, would be taken for an option.
        context_settings={"ignore_unknown_options": takes_numbers},
    )(command)


def _parameters(tool: Tool, layout: Layout) -> list[inspect.Parameter]:
    fields = tool.arguments.model_fields
    positional = {name.strip("[]"): not name.startswith("[") for name in layout.positional.split()}
    arguments = [_argument(name, fields[name], is_required) for name, is_required in positional.items()]
    others = [name for name in fields if name not in positional and name not in layout.fixed]
    return [*arguments, *(_option(name, fields[name], layout) for name in others), *layout.options]


def _argument(name: str, field: FieldInfo, is_required: bool) -> inspect.Parameter:
    text, (kind, parser) = field.description or "", _type(field.annotation)
    if name == FILE_FIELD:
        text, kind = "A method file of yours. It is copied into the workspace.", Path
    if name == TEXT_FIELD:
        text = f'{text} "-" reads it from standard input.'.lstrip()
    argument = typer.Argument(help=escape(text), parser=parser)
    if is_required:
        return _parameter(name, Annotated[kind, argument])
    return _parameter(name, Annotated[kind | None, argument], _default(field))


def _option(name: str, field: FieldInfo, layout: Layout) -> inspect.Parameter:
    """An option. If the tool requires it and it is left out, the tool's answer says so."""
    text = field.description or ""
    for value in layout.fixed.values():
        text = text.removeprefix(f"{value}: ")  # as in "wait: the longest time to wait"
    kind, parser = _type(field.annotation)
    option = typer.Option(f"--{name.replace('_', '-')}", help=escape(text), parser=parser)
    return _parameter(name, Annotated[kind | None, option], layout.defaults.get(name, _default(field)))


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _default(field: FieldInfo) -> Any:
    """The default of a field, or None if it is required."""
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _type(annotation: Any) -> tuple[Any, Callable[[str], Any] | None]:
    """The type of a field on the command line and its parser. Bounds are left to the tool; nested data is JSON."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if NoneType in arguments and len(arguments) == 2:
        return _type(next(argument for argument in arguments if argument is not NoneType))
    if origin is Literal or annotation in SCALARS or (origin is list and arguments[0] in SCALARS):
        return annotation, None
    return Any, json.loads


app = typer.Typer(help=HELP, no_args_is_help=True)


@app.callback()
def authenticate(
    context: typer.Context,
    researcher: Annotated[str, typer.Argument(metavar="RESEARCHER", help="An external researcher.")],
    campaign: CampaignOption = None,
) -> None:
    """Act as an external researcher of a running campaign, with its budget, in its sandbox."""
    context.obj = ExternalClient(researcher, campaign)


@app.command()
def put(context: typer.Context, file: Path, name: Annotated[str | None, typer.Argument()] = None) -> None:
    """Copy a text file of yours into the workspace."""
    upload(context.obj, file, name)


@app.command()
def tool(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A tool's name, as language models know it.")],
    arguments: Annotated[str, typer.Argument(help='Its arguments as JSON; "-" reads them from standard input.')] = "{}",
) -> None:
    """Call any tool with JSON arguments."""
    try:
        given = json.loads(sys.stdin.read() if arguments == "-" else arguments)
    except ValueError as error:
        raise ConfigError(f"the arguments are not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f'the arguments must be a JSON object, such as {{"post": 3}}, not {json.dumps(given)[:80]}')
    _call(context.obj, name, given)


add_tool_commands(app, TOOLS)
