"""A real campaign that is joined from outside, by an MCP client and from the command line, and steered meanwhile."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from aar.campaign.events import EventLog
from aar.campaign.state import read_state
from aar.commons.forum import Forum
from aar.researchers.transcript import read, transcript_folder
from tests.campaign.tiny_campaign import finish, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.campaign]

METHOD = """def supervise(lab):
    print("by hand")
    return lab.fine_tune((lab.weak_labels + lab.zero_shot()) / 2)
"""


def open_campaign(tiny: Path) -> Path:
    """The tiny campaign with one external researcher; its folder."""
    head = tiny.read_text().split("\n[[researchers]]")[0]
    tiny.write_text(f'{head}\n[[researchers]]\nname = "eve"\nbrain = "external"\n')
    return tiny.parent / "campaign"


def joined(folder: Path) -> dict[str, Any]:
    """What `aar join` prints for an MCP client on this machine."""
    out = finish(start("join", "eve", "-c", folder))
    found, _ = json.JSONDecoder().raw_decode(out[out.index("{") :])
    server: dict[str, Any] = found["mcpServers"]["aar"]
    return server


def over_mcp(server: dict[str, Any], *calls: tuple[str, dict[str, Any]]) -> list[str]:
    """The texts that an MCP client gets for its calls."""

    async def session() -> list[str]:
        parameters = StdioServerParameters(
            command=server["command"], args=server["args"], env={**os.environ, **server["env"]}
        )
        async with stdio_client(parameters) as streams, ClientSession(*streams) as client:
            await client.initialize()
            results = [await client.call_tool(name, arguments) for name, arguments in calls]
            return [str(result.content[0].text) for result in results]  # type: ignore[union-attr]

    return asyncio.run(session())


def acts(folder: Path, *arguments: object) -> str:
    return finish(start("as", "-c", folder, "eve", *arguments))


def test_minds_outside_take_part_and_people_steer(tiny: Path, tmp_path: Path) -> None:
    folder = open_campaign(tiny)
    campaign = start("run", tiny)
    try:
        wait_for("the researcher", lambda: transcript_folder(folder, "eve").joinpath("shared/data").exists(), 400)
        take_part(folder, tmp_path)
        finish(start("steer", "add", "fay", "--brain", "search", "--by", "dana", "-c", folder))
        finish(start("steer", "stop", "eve", "--by", "dana", "-c", folder))
        output, _ = campaign.communicate(timeout=400)
        assert campaign.returncode == 0, output
    finally:
        campaign.kill()
        campaign.communicate()
    check_the_record(folder)


def take_part(folder: Path, tmp_path: Path) -> None:
    server = joined(folder)
    hi, left = over_mcp(server, ("bash", {"command": "echo hi; ls /shared/lab"}), ("budget", {}))
    assert hi.startswith("hi\n") and "README.md" in hi and "2 experiments left" in left
    finish(start("steer", "message", "eve", "Be quick.", "--by", "dana", "-c", folder))
    method = tmp_path / "mine.py"
    method.write_text(METHOD)
    ran = acts(folder, "experiment", "run", method, "--note", "by hand", "--wait")
    assert "Be quick." in ran and "scored: " in ran
    assert "by hand" in acts(folder, "experiment", "log", "e2")
    assert "is on the forum" in acts(folder, "forum", "post", "result", "By hand", "It works.", "--family", "mixture")
    refused = subprocess.run(
        [*start_command("as", "-c", folder, "eve", "forum", "post", "result", "No family")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert refused.returncode == 1 and "needs a family" in refused.stderr


def start_command(*arguments: object) -> list[str]:
    import sys

    return [sys.executable, "-m", "aar", *map(str, arguments)]


def check_the_record(folder: Path) -> None:
    state = read_state(folder)
    assert [one.name for one in state.researchers] == ["eve", "fay"]
    assert {one.researcher for one in state.experiments if one.status == "scored"} == {"platform", "eve", "fay"}
    events = [event.text for event in EventLog(folder, read_only=True).events()]
    for words in ("dana asks: message eve: Be quick.", "dana asks: add fay", "dana asks: stop eve"):
        assert words in events
    titles = [post.title.text for post in Forum(folder / "commons/forum.sqlite", read_only=True).posts(author="eve")]
    assert titles == ["By hand", "eve has ended: a person stopped it"]
    calls = [entry.data["tool"] for entry in read(transcript_folder(folder, "eve")) if entry.kind == "call"]
    assert calls[:2] == ["bash", "budget"] and "run_experiment" in calls
    assert state.researchers[0].spent.resources.cpu_seconds > 0
