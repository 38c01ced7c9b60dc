"""The MCP server: the tools of the registry, for the external researcher that the caller's credentials name.

Covers: over HTTP a bearer token for every request, and hosts and origins as the `mcp` package checks them; a caller
acts for the one researcher that its token stands for. Does not cover: encryption; put a proxy with TLS before it where
the network is not your own.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.stdio import stdio_server
from pydantic import AnyHttpUrl

from aar.errors import AarError
from aar.researchers.toolkit import TOOLS

Context = ServerRequestContext[Any]
CALLS_AT_ONCE = 128
"""Of all callers; each researcher takes a few at a time and refuses more."""
KEY = "aar/key"
"""In a call's `_meta`: the caller's own name for the call, under which it is made once however often it is sent."""


class Calls(Protocol):
    """Answers calls; `Link` does."""

    def call(self, researcher: str, tool: str, arguments: object, key: str | None = None) -> tuple[str, bool]: ...

    def who(self, token: str) -> str | None: ...


def mcp_server(calls: Calls, who: Callable[[], str], instructions: str) -> Server[Any]:
    """A server whose caller is the researcher that `who` names during a request."""
    threads = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="call")

    async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(name=tool.name, description=tool.description, input_schema=tool.schema()) for tool in TOOLS
            ]
        )

    async def call_tool(_: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        key = str(given) if (given := (params.meta or {}).get(KEY)) is not None else None
        try:
            call = partial(calls.call, who(), params.name, params.arguments or {}, key)
            text, is_error = await asyncio.get_running_loop().run_in_executor(threads, call)
        except AarError as error:
            text, is_error = str(error), True
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)

    return Server("aar", instructions=instructions, on_list_tools=list_tools, on_call_tool=call_tool)


async def serve_stdio(calls: Calls, researcher: str, instructions: str) -> None:
    """Serve one researcher on standard input and output, until the client hangs up."""
    server = mcp_server(calls, lambda: researcher, instructions)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def http_server(calls: Calls, instructions: str, host: str, port: int) -> uvicorn.Server:
    """A server for every external researcher, each known by its bearer token; its `run` serves http://HOST:PORT/mcp."""
    url = AnyHttpUrl(f"http://{host}:{port}")
    auth = AuthSettings(issuer_url=url, resource_server_url=None, required_scopes=[])
    server = mcp_server(calls, _holder, instructions)
    app = server.streamable_http_app(stateless_http=True, host=host, auth=auth, token_verifier=_Tokens(calls))
    return uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning"))


class _Tokens:
    """Says whose a bearer token is. Implements the package's TokenVerifier."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def verify_token(self, token: str) -> AccessToken | None:
        researcher = self._calls.who(token)
        return AccessToken(token=token, client_id=researcher, scopes=[]) if researcher else None


def _holder() -> str:
    token = get_access_token()
    assert token is not None  # the middleware lets nobody in without one
    return token.client_id
