"""`aar join`, `mcp` and `as`: how minds outside take part in a campaign as one of its external researchers."""

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from aar.cli.output import CampaignOption, echo

TOKEN = "AAR_TOKEN"
HOST, PORT = "127.0.0.1", 8732

Name = Annotated[str, typer.Argument(metavar="RESEARCHER", help="An external researcher of the campaign.")]


def join(
    researcher: Name,
    url: Annotated[str, typer.Option(help="Where `aar mcp --http` serves.")] = f"http://{HOST}:{PORT}/mcp",
    campaign: CampaignOption = None,
) -> None:
    """Print what to paste so that somebody can take part as RESEARCHER. Its earlier token becomes void."""
    from aar.campaign.folder import find_campaign
    from aar.gateway.connection import checked_external
    from aar.researchers.brains.external.credentials import issue

    folder = find_campaign(campaign).resolve()
    token = issue(folder, checked_external(folder, researcher))
    program = [sys.executable, "-m", "aar", "mcp", "-c", str(folder)]
    stdio = {"command": program[0], "args": program[1:], "env": {TOKEN: token}}
    http = {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {token}"}}
    echo(
        f"{researcher} is whoever holds this token. It is shown once; `aar join {researcher}` makes a new one.",
        "", "On this machine, for any MCP client (Claude Code: put it into .mcp.json):",
        json.dumps({"mcpServers": {"aar": stdio}}, indent=2),
        "", f"From elsewhere, while `aar mcp --http -c {folder}` serves here:",
        json.dumps({"mcpServers": {"aar": http}}, indent=2),
        "", "Without MCP, on this machine:", f"  aar as -c {folder} {researcher} budget",
    )  # fmt: skip


def mcp(
    http: Annotated[bool, typer.Option("--http", help="Serve every external researcher over HTTP.")] = False,
    host: Annotated[str, typer.Option(help="Where to serve; anything but this machine needs TLS before it.")] = HOST,
    port: Annotated[int, typer.Option(help="On which port.")] = PORT,
    host_name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name under which clients reach it, as behind a proxy; may be repeated."),
    ] = None,
    campaign: CampaignOption = None,
) -> None:
    """Serve the researchers' tools to MCP clients: to one on standard input and output, named by $AAR_TOKEN.

    It goes on when the campaign stops, and answers again when the campaign does.
    """
    import asyncio

    from aar.campaign.folder import find_campaign
    from aar.errors import CampaignError
    from aar.gateway.connection import CampaignConnection
    from aar.gateway.mcp_server import http_server, serve_stdio

    folder = find_campaign(campaign)
    words = partial(instructions, folder)
    if http:
        echo(f"serving http://{host}:{port}/mcp; `aar join` prints how to use it")
        return http_server(CampaignConnection(folder), words, host, port, host_name or ()).run()
    from aar.researchers.brains.external.credentials import researcher_of

    researcher = researcher_of(folder, os.environ.get(TOKEN, ""))
    if researcher is None:
        raise CampaignError(f"{TOKEN} names no external researcher of this campaign; `aar join` prints what to set")
    asyncio.run(serve_stdio(CampaignConnection(folder), researcher, words))


def instructions(folder: Path, researcher: str) -> str:
    """The background that other researchers have as their system prompt, and the direction that it has now."""
    from aar.campaign.folder import stored_config
    from aar.gateway.connection import checked_external, researchers
    from aar.researchers.commands import mark_of
    from aar.researchers.prompts import render_later_direction, render_system_prompt

    known = {one.name: one for one in researchers(folder)}
    one = known[checked_external(folder, researcher)]
    background = render_system_prompt(one, stored_config(folder), mark_of(folder, researcher))
    return f"{background}\n{render_later_direction(one.direction)}"
