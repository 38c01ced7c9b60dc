"""The MCP server: the researchers' tools, for the external researcher that the caller's credentials name.

Covers: over HTTP, a bearer token for every request, and the `mcp` package's checks of hosts and origins. Allowed are
this machine's own names and the given names, or all names if it serves other machines and no names are given. A caller
acts for the one researcher that its token stands for.
Does not cover: encryption. On a network that is not your own, put a TLS proxy in front of it.
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
Instructions = Callable[[str], str]
"""Returns the initial instructions for a researcher, by its name."""
THIS_MACHINE = ("127.0.0.1", "localhost", "[::1]")
KEY = "aar/key"
"""In a call's `_meta`: the caller's idempotency key. A call that is sent again with the same key is made once."""


class Calls(Protocol):
    """Answers calls; `CampaignConnection` does."""

    async def call(self, researcher: str, tool: str, arguments: object, key: str | None = None) -> tuple[str, bool]: ...

    def authenticate(self, token: str) -> str | None: ...


class ResearchersServer(Server[Any]):
    """A server with instructions for each caller.

    Attributes:
        instructions: those for the caller of the current request.
    """

    def __init__(self, instructions: Callable[[], str], **handlers: Any) -> None:
        super().__init__("aar", **handlers)
        self._instructions = instructions

    @property
    def instructions(self) -> str | None:
        return self._instructions()

    @instructions.setter
    def instructions(self, _: str | None) -> None:
        """Ignore the value that the package sets when it starts: instructions are created for each caller."""


def mcp_server(calls: Calls, authenticate: Callable[[], str], instructions: Instructions) -> Server[Any]:
    """Create a server whose caller is the researcher that `authenticate` returns during a request."""

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


async def serve_stdio(calls: Calls, researcher: str, instructions: Instructions) -> None:
    """Serve one researcher on standard input and output, until the client disconnects."""
    server = mcp_server(calls, lambda: researcher, instructions)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def http_server(
    calls: Calls, instructions: Instructions, host: str, port: int, host_names: Sequence[str] = ()
) -> uvicorn.Server:
    """Create a server for all external researchers, each identified by its bearer token, at http://HOST:PORT/mcp.

    Args:
        host_names: names under which clients reach it, such as behind a proxy that forwards the Host header.
    """
    url = AnyHttpUrl(f"http://{host}:{port}")
    auth = AuthSettings(issuer_url=url, resource_server_url=None, required_scopes=[])
    server = mcp_server(calls, _token_researcher, instructions)
    app = server.streamable_http_app(
        stateless_http=True, host=host, auth=auth, token_verifier=_Tokens(calls),
        transport_security=_allowed([host, *host_names]) if host_names else None,
    )  # fmt: skip
    return uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning"))


def _allowed(host_names: Sequence[str]) -> TransportSecuritySettings:
    """Allow these names and this machine's own in Host and Origin headers, on any port."""
    names = [name for host in (*THIS_MACHINE, *host_names) for name in (host, f"{host}:*")]
    origins = [f"{scheme}://{name}" for scheme in ("http", "https") for name in names]
    return TransportSecuritySettings(allowed_hosts=names, allowed_origins=origins)


class _Tokens:
    """Returns the researcher of a bearer token. Implements the package's TokenVerifier."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def verify_token(self, token: str) -> AccessToken | None:
        researcher = self._calls.authenticate(token)
        return AccessToken(token=token, client_id=researcher, scopes=[]) if researcher else None


def _token_researcher() -> str:
    token = get_access_token()
    assert token is not None  # the middleware rejects requests without one
    return token.client_id
