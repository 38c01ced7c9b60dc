"""The server: POST /v1/messages on loopback, as the real endpoint answers it."""

import asyncio
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from aar.errors import ModelAccessError
from aar.mock_api.protocol import BadRequest, blocks_of, encode, events_of, read_conversation, tokens_in, usage_of
from aar.mock_api.script import DONE, Conversation, Fault, Faults, Schedule, Script, next_reply

SLOW_SECONDS = 0.2
START_SECONDS = 10.0
_ERRORS: dict[str, tuple[int, str, str]] = {
    "400": (400, "invalid_request_error", "rehearsed: something is wrong with the request"),
    "401": (401, "authentication_error", "rehearsed: invalid x-api-key"),
    "413": (413, "request_too_large", "rehearsed: request exceeds the maximum size"),
    "429": (429, "rate_limit_error", "rehearsed: this request would exceed your rate limit"),
    "500": (500, "api_error", "rehearsed: internal server error"),
    "529": (529, "overloaded_error", "rehearsed: overloaded"),
    "too_long": (400, "invalid_request_error", "prompt is too long: 1000001 tokens > 1000000 maximum"),
}


class Endpoint:
    """Answers requests by script.

    Attributes:
        requests: every request so far, as (researcher, 0-based index of the requested reply, the request).
    """

    def __init__(self, script: Script, schedule: Schedule | None = None, key: str | None = None) -> None:
        """`key`: the only API key that is accepted; None: any key."""
        self._script, self._faults, self._key = script, Faults(schedule or {}), key
        self._cached: Counter[str] = Counter()
        self.requests: list[tuple[str, int, dict[str, Any]]] = []

    def app(self) -> Starlette:
        """Return the application to serve."""
        return Starlette(routes=[Route("/v1/messages", self._messages, methods=["POST"])])

    async def _messages(self, request: Request) -> Response:
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not given or self._key not in (None, given):
            return _refusal("401")
        try:
            body = await request.json()
            conversation = read_conversation(body)
        except (BadRequest, ValueError, KeyError, IndexError, TypeError) as error:
            return _error(400, "invalid_request_error", str(error))
        self.requests.append((conversation.name, conversation.turn, body))
        fault = self._faults.next(conversation.name, conversation.turn)
        if fault in _ERRORS:
            return _refusal(str(fault))
        return self._answer(body, conversation, fault)

    def _answer(self, body: dict[str, Any], conversation: Conversation, fault: Fault | None) -> Response:
        scenario = self._script.get(conversation.name)
        reply = next_reply(scenario(), conversation) if scenario else DONE
        blocks = blocks_of(reply, conversation)
        stop_reason = "tool_use" if reply.calls else "end_turn"
        if fault in ("refusal", "max_tokens"):
            blocks, stop_reason = (blocks[:1], "refusal") if fault == "refusal" else (blocks, "max_tokens")
        usage = self._usage(body, conversation.name)
        events = list(events_of(f"msg_{uuid.uuid4().hex[:20]}", body["model"], blocks, stop_reason, usage))
        if not body.get("stream"):
            return JSONResponse(_whole(events, blocks, stop_reason))
        return StreamingResponse(_streamed(events, fault), media_type="text/event-stream")

    def _usage(self, body: dict[str, Any], name: str) -> dict[str, int]:
        """Count tokens with a prompt cache that remembers the last prompt of each researcher."""
        if not body.get("cache_control"):
            return usage_of(body, 0, 0)
        prompt = tokens_in(body["messages"])
        cached = min(self._cached[name], prompt)
        self._cached[name] = prompt
        return usage_of(body, cached, prompt - cached)


class MockApi(AbstractContextManager["MockApi"]):
    """A context in which an endpoint is served on loopback, in a separate thread.

    Attributes:
        url: the base URL of the endpoint.
    """

    url: str

    def __init__(self, endpoint: Endpoint, port: int = 0) -> None:
        config = uvicorn.Config(endpoint.app(), host="127.0.0.1", port=port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="rehearsal", daemon=True)

    def __enter__(self) -> "MockApi":
        """Start the server. Raises ModelAccessError when it cannot be served."""
        self._thread.start()
        until = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise ModelAccessError("the rehearsal cannot be served; its port may be in use. Try --serve PORT")
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(START_SECONDS)


async def _streamed(events: list[tuple[str, dict[str, Any]]], fault: Fault | None) -> AsyncIterator[bytes]:
    middle = max(3, len(events) // 2)
    for place, event in enumerate(events):
        if place == middle and fault in _INTERRUPTIONS:
            yield _INTERRUPTIONS[fault]()
            return
        if fault == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        yield encode(event)


def _drop() -> bytes:
    raise ConnectionAbortedError("rehearsed: the connection is dropped")


def _overload() -> bytes:
    return encode(("error", {"error": {"type": "overloaded_error", "message": "rehearsed: overloaded in a stream"}}))


_INTERRUPTIONS: dict[Fault | None, Callable[[], bytes]] = {
    "drop": _drop, "cut": lambda: b"", "overloaded": _overload,
    "garbage": lambda: b"event: content_block_delta\ndata: {not json\n\n",
}  # fmt: skip


def _whole(events: list[tuple[str, dict[str, Any]]], blocks: list[dict[str, Any]], stop_reason: str) -> dict[str, Any]:
    head: dict[str, Any] = events[0][1]["message"]
    usage = {**head["usage"], "output_tokens": tokens_in(blocks)}
    return {**head, "content": blocks, "stop_reason": stop_reason, "usage": usage}


def _refusal(fault: str) -> Response:
    return _error(*_ERRORS[fault])


def _error(status: int, kind: str, message: str) -> Response:
    headers = {"retry-after": "0"} if status in (429, 529) else {}
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{uuid.uuid4().hex[:16]}"}
    return Response(json.dumps(body), status, headers=headers, media_type="application/json")
