"""The MCP server, with the real client of the mcp package over real HTTP."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from aar.errors import CampaignError
from aar.gateway.mcp_server import KEY, http_server
from aar.researchers.tools import TOOLS

HOLDERS = {"aar_ada": "ada", "aar_ben": "ben"}


@dataclass
class CallsDouble:
    """Answers who called what."""

    made: list[tuple[str, str, object, str | None]] = field(default_factory=list)

    def authenticate(self, token: str) -> str | None:
        return HOLDERS.get(token)

    async def call(self, researcher: str, tool: str, arguments: object, key: str | None = None) -> tuple[str, bool]:
        if tool == "experiment":
            await asyncio.sleep(3600)
        self.made.append((researcher, tool, arguments, key))
        if tool == "vote":
            raise CampaignError("the campaign is over")
        return f"{researcher} did {tool}", tool == "files"


@dataclass
class Service:
    url: str
    calls: CallsDouble

    def use(self, token: str, work: Callable[[ClientSession], Awaitable[Any]]) -> Any:
        """Do something as a client with a token."""

        async def session() -> Any:
            async with (
                httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http,
                streamable_http_client(self.url, http_client=http) as streams,
                ClientSession(streams[0], streams[1]) as client,
            ):
                await client.initialize()
                return await work(client)

        return asyncio.run(session())


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    calls = CallsDouble()
    server = http_server(calls, "You are {}.".format, "127.0.0.1", port, ["research.example.org"])
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield Service(f"http://127.0.0.1:{port}/mcp", calls)
    server.should_exit = server.force_exit = True
    thread.join(10)


def text(result: Any) -> str:
    return str(result.content[0].text)


def test_every_tool_is_offered_with_description_and_schema(service: Service) -> None:
    tools = service.use("aar_ada", lambda client: client.list_tools()).tools
    assert [tool.name for tool in tools] == [tool.name for tool in TOOLS]
    assert tools[0].input_schema["required"] == ["command"] and "bash" in tools[0].description


def test_a_caller_is_the_researcher_of_its_token(service: Service) -> None:
    for token, name in HOLDERS.items():
        result = service.use(token, lambda client: client.call_tool("bash", {"command": "ls"}))
        assert text(result) == f"{name} did bash" and not result.is_error


def test_errors_are_results_that_a_model_can_read(service: Service) -> None:
    assert service.use("aar_ada", lambda client: client.call_tool("files", {"command": "view", "path": "x"})).is_error
    over = service.use("aar_ada", lambda client: client.call_tool("vote", {"post": 1, "value": 1}))
    assert over.is_error and text(over) == "the campaign is over"


def test_each_caller_gets_its_own_instructions(service: Service) -> None:
    async def told(client: ClientSession) -> str | None:
        return client.instructions

    for token, name in HOLDERS.items():
        assert service.use(token, told) == f"You are {name}."


def test_however_many_wait_others_are_answered(service: Service) -> None:
    async def wait_and_ask(client: ClientSession) -> Any:
        waits = [asyncio.ensure_future(client.call_tool("experiment", {"action": "wait"})) for _ in range(64)]
        done, _ = await asyncio.wait(waits, timeout=1)
        assert not done
        answer = await asyncio.wait_for(client.call_tool("bash", {"command": "ls"}), 10)
        for one in waits:
            one.cancel()
        return answer

    assert text(service.use("aar_ada", wait_and_ask)) == "ada did bash"


@pytest.mark.parametrize(
    ("host", "origin", "code"),
    [
        ("research.example.org", "https://research.example.org", 200),
        ("research.example.org:8443", None, 200),
        ("127.0.0.1:80", None, 200),
        ("elsewhere.example.org", None, 421),
        ("research.example.org", "https://elsewhere.example.org", 403),
    ],
)
def test_only_hosts_that_were_named_are_answered(service: Service, host: str, origin: str | None, code: int) -> None:
    headers = {"Accept": "application/json, text/event-stream", "Authorization": "Bearer aar_ada", "Host": host}
    headers |= {"Origin": origin} if origin else {}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    assert httpx2.post(service.url, json=body, headers=headers).status_code == code


def test_a_callers_own_key_is_passed_on(service: Service) -> None:
    service.use("aar_ben", lambda client: client.call_tool("budget", {}, meta={KEY: "k1"}))
    assert service.calls.made[-1] == ("ben", "budget", {}, "k1")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer aar_eve"}, {"Authorization": "Basic YTpi"}])
def test_other_callers_are_rejected(service: Service, headers: dict[str, str]) -> None:
    before = len(service.calls.made)
    params = {"name": "bash", "arguments": {"command": "id"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    accept = {"Accept": "application/json, text/event-stream"}
    assert httpx2.post(service.url, json=body, headers={**accept, **headers}).status_code == 401
    assert len(service.calls.made) == before
