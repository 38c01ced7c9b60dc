"""The MCP server: the tools of the registry, for the external researcher that the caller's credentials name.

Covers: over HTTP a bearer token for every request, and hosts and origins as the `mcp` package checks them: this
machine's own names and those that are given, or all where it serves others and none is given. A caller acts for the one
researcher that its token stands for. Does not cover: encryption; put a proxy with TLS before it where the network is
not your own.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl

from aar.errors import AarError
from aar.researchers.tools import TOOLS

Context = ServerRequestContext[Any]
Words = Callable[[str], str]
"""What a researcher is told at the beginning, by its name."""
THIS_MACHINE = ("127.0.0.1", "localhost", "[::1]")
KEY = "aar/key"
"""In a call's `_meta`: the caller's own name for the call, under which it is made once however often it is sent."""


class Calls(Protocol):
    """Answers calls; `CampaignConnection` does."""

    async def call(self, researcher: str, tool: str, arguments: object, key: str | None = None) -> tuple[str, bool]: ...

    def authenticate(self, token: str) -> str | None: ...


class ResearchersServer(Server[Any]):
    """A server that tells each caller what it is to know when the caller asks.

    Attributes:
        instructions: for the one who asks now.
    """

    def __init__(self, instructions: Callable[[], str], **handlers: Any) -> None:
        super().__init__("aar", **handlers)
        self._instructions = instructions

    @property
    def instructions(self) -> str | None:
        return self._instructions()

    @instructions.setter
    def instructions(self, _: str | None) -> None:
        """They are made anew for each caller; what the package sets at the beginning is not kept."""


def mcp_server(calls: Calls, authenticate: Callable[[], str], instructions: Words) -> Server[Any]:
    """A server whose caller is the researcher that `authenticate` names during a request."""

    async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(name=tool.name, description=tool.description, input_schema=tool.schema()) for tool in TOOLS
            ]
        )

    async def call_tool(_: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        key = str(given) if (given := (params.meta or {}).get(KEY)) is not None else None
        try:
            text, is_error = await calls.call(authenticate(), params.name, params.arguments or {}, key)
        except AarError as error:
            text, is_error = str(error), True
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)

    return ResearchersServer(lambda: instructions(authenticate()), on_list_tools=list_tools, on_call_tool=call_tool)


async def serve_stdio(calls: Calls, researcher: str, instructions: Words) -> None:
    """Serve one researcher on standard input and output, until the client hangs up."""
    server = mcp_server(calls, lambda: researcher, instructions)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def http_server(
    calls: Calls, instructions: Words, host: str, port: int, host_names: Sequence[str] = ()
) -> uvicorn.Server:
    """A server for every external researcher, each known by its bearer token; its `run` serves http://HOST:PORT/mcp.

    Args:
        host_names: the names under which others reach it, as behind a proxy that passes the Host header on.
    """
    url = AnyHttpUrl(f"http://{host}:{port}")
    auth = AuthSettings(issuer_url=url, resource_server_url=None, required_scopes=[])
    server = mcp_server(calls, _holder, instructions)
    app = server.streamable_http_app(
        stateless_http=True, host=host, auth=auth, token_verifier=_Tokens(calls),
        transport_security=_allowed([host, *host_names]) if host_names else None,
    )  # fmt: skip
    return uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning"))


def _allowed(host_names: Sequence[str]) -> TransportSecuritySettings:
    """Which Host and Origin headers are let in: these names and this machine's own, on any port."""
    names = [name for host in (*THIS_MACHINE, *host_names) for name in (host, f"{host}:*")]
    origins = [f"{scheme}://{name}" for scheme in ("http", "https") for name in names]
    return TransportSecuritySettings(allowed_hosts=names, allowed_origins=origins)


class _Tokens:
    """Says whose a bearer token is. Implements the package's TokenVerifier."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def verify_token(self, token: str) -> AccessToken | None:
        researcher = self._calls.authenticate(token)
        return AccessToken(token=token, client_id=researcher, scopes=[]) if researcher else None


def _holder() -> str:
    token = get_access_token()
    assert token is not None  # the middleware lets nobody in without one
    return token.client_id
