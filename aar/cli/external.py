"""`aar join` and `aar mcp`: how people and agents outside take part in a campaign as external researchers."""

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
    url: Annotated[
        str, typer.Option(help="The address at which `aar mcp --http` serves.")
    ] = f"http://{HOST}:{PORT}/mcp",
    campaign: CampaignOption = None,
) -> None:
    """Print the configuration with which to take part as RESEARCHER. Its earlier token becomes invalid."""
    from aar.campaign.folder import find_campaign
    from aar.gateway.connection import checked_external
    from aar.researchers.brains.external.credentials import issue

    folder = find_campaign(campaign).resolve()
    token = issue(folder, checked_external(folder, researcher))
    program = [sys.executable, "-m", "aar", "mcp", "-c", str(folder)]
    stdio = {"command": program[0], "args": program[1:], "env": {TOKEN: token}}
    http = {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {token}"}}
    echo(
        f"Anyone with this token can act as {researcher}. It is shown once; `aar join {researcher}` makes a new one.",
        "", "On this machine, for any MCP client (for Claude Code, in .mcp.json):",
        json.dumps({"mcpServers": {"aar": stdio}}, indent=2),
        "", f"From elsewhere, while `aar mcp --http -c {folder}` serves here:",
        json.dumps({"mcpServers": {"aar": http}}, indent=2),
        "", "Without MCP, on this machine:", f"  aar as -c {folder} {researcher} budget",
    )  # fmt: skip


def mcp(
    http: Annotated[bool, typer.Option("--http", help="Serve every external researcher over HTTP.")] = False,
    host: Annotated[
        str, typer.Option(help="The address to serve at. Any but this machine's own needs TLS in front of it.")
    ] = HOST,
    port: Annotated[int, typer.Option(help="The port to serve on.")] = PORT,
    host_name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name by which clients reach it, such as a proxy's. May be repeated."),
    ] = None,
    campaign: CampaignOption = None,
) -> None:
    """Serve the researchers' tools over MCP, on standard input and output, to the researcher of $AAR_TOKEN.

    It keeps running when the campaign stops, and answers again when the campaign resumes.
    """
    import asyncio

    from aar.campaign.folder import find_campaign
    from aar.errors import CampaignError
    from aar.gateway.connection import CampaignConnection
    from aar.gateway.mcp_server import http_server, serve_stdio

    folder = find_campaign(campaign)
    render = partial(instructions, folder)
    if http:
        echo(f"serving http://{host}:{port}/mcp; `aar join` prints how to use it")
        return http_server(CampaignConnection(folder), render, host, port, host_name or ()).run()
    from aar.researchers.brains.external.credentials import researcher_of

    researcher = researcher_of(folder, os.environ.get(TOKEN, ""))
    if researcher is None:
        raise CampaignError(f"{TOKEN} names no external researcher of this campaign; `aar join` prints what to set")
    asyncio.run(serve_stdio(CampaignConnection(folder), researcher, render))


def instructions(folder: Path, researcher: str) -> str:
    """Return what other researchers have as their system prompt, and the current direction of this one."""
    from aar.campaign.folder import stored_config
    from aar.gateway.connection import checked_external, researchers
    from aar.researchers.commands import mark_of
    from aar.researchers.prompts import render_later_direction, render_system_prompt

    by_name = {each.name: each for each in researchers(folder)}
    config = by_name[checked_external(folder, researcher)]
    background = render_system_prompt(config, stored_config(folder), mark_of(folder, researcher))
    return f"{background}\n{render_later_direction(config.direction)}"
