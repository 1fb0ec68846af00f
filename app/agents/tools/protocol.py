"""The Model Context Protocol for a server that has only tools (revisions 2025-06-18 and 2025-11-25)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # JSON

import orjson
import structlog

from app.agents.errors import AgentStopped
from app.agents.tools.notify_user import NAME, NotifyUser, WrongArguments, describe_tool, read_arguments

# The newest first.
VERSIONS = ("2025-11-25", "2025-06-18")
# Calls of one agent. Each one stores a decision; no ordinary run comes near this limit.
_CALLS = 100
_PARSE_ERROR, _INVALID_REQUEST, _METHOD_NOT_FOUND, _INVALID_PARAMS, _INTERNAL = (
    -32700,
    -32600,
    -32601,
    -32602,
    -32603,
)
_QUOTED_CHARACTERS = 100

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP response of the tool server; without a body if that is None."""

    status: int
    body: dict[str, Any] | None = None


class _Refused(Exception):
    """A message that is answered with an error; one that is no request also gets an HTTP status."""

    def __init__(self, code: int, message: str, *, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def refusal(status: int, message: str) -> Answer:
    """Return the response to an HTTP request that is refused before its body is parsed: a JSON-RPC error."""
    return _failure(_Refused(_INVALID_REQUEST, message, status=status))


def _failure(refused: _Refused, request_id: Any = None) -> Answer:
    error = {"code": refused.code, "message": str(refused)}
    return Answer(refused.status, {"jsonrpc": "2.0", "id": request_id, "error": error})


class Tools:
    """The tool `notify_user` of one agent, by the Model Context Protocol; `mask` replaces secrets in a text."""

    def __init__(self, notify: NotifyUser, mask: Callable[[str], str]) -> None:
        self._notify = notify
        self._mask = mask
        self._calls = 0

    async def answer(self, raw: bytes) -> Answer:
        """Process one JSON-RPC message; an error becomes an answer, never an exception."""
        request_id = None
        try:
            message = _read(raw)
            if "id" not in message or "method" not in message:
                return Answer(202)  # a notification, or an answer to a request that this server never sends
            request_id = _id_of(message)
            result = await self._result(message["method"], _params_of(message))
        except _Refused as refused:
            return _failure(refused, request_id)
        return Answer(200, {"jsonrpc": "2.0", "id": request_id, "result": result})

    async def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "initialize":
                return _initialize(params)
            case "ping":
                return {}
            case "tools/list" if params.get("cursor") is None:
                return {"tools": [describe_tool()]}
            case "tools/list":
                raise _Refused(_INVALID_PARAMS, "there is one page only")
            case "tools/call":
                return await self._call(params)
            case _:
                raise _Refused(_METHOD_NOT_FOUND, f"there is no method {method[:_QUOTED_CHARACTERS]!r}")

    async def _call(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params.get("name")
        if name != NAME:
            raise _Refused(_INVALID_PARAMS, f"there is no tool {str(name)[:_QUOTED_CHARACTERS]!r}")
        if self._calls >= _CALLS:
            raise _Refused(_INTERNAL, "this agent has called its tools too often")
        self._calls += 1
        try:
            outcome = await self._notify(read_arguments(params.get("arguments", {}), self._mask))
        except WrongArguments as error:
            # The model sees this text and can call again. It might not see an error of the protocol.
            return {"content": [_text(str(error))], "isError": True}
        except AgentStopped as error:
            raise _Refused(_INTERNAL, error.message) from error
        except Exception as error:
            log.exception("tools.call_failed")
            raise _Refused(_INTERNAL, "the message could not be decided on; try again later") from error
        shown = outcome.answer()
        return {
            "content": [_text(orjson.dumps(shown).decode())],
            "structuredContent": shown,
            "isError": False,
        }


def _read(raw: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise _Refused(_PARSE_ERROR, "the body is not JSON", status=400) from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise _Refused(_INVALID_REQUEST, "the body is not one message of JSON-RPC 2.0", status=400)
    is_answer = "result" in message or "error" in message
    if not isinstance(message.get("method"), str) and ("method" in message or not is_answer):
        raise _Refused(_INVALID_REQUEST, "method must be a string", status=400)
    return message


def _id_of(message: dict[str, Any]) -> str | int:
    request_id = message["id"]
    if isinstance(request_id, bool) or not isinstance(request_id, str | int):
        raise _Refused(_INVALID_REQUEST, "id must be a string or an integer", status=400)
    return request_id


def _params_of(message: dict[str, Any]) -> dict[str, Any]:
    params = message.get("params", {})
    if not isinstance(params, dict):
        raise _Refused(_INVALID_PARAMS, "params must be an object")
    return params


def _initialize(params: dict[str, Any]) -> dict[str, Any]:
    asked = params.get("protocolVersion")
    if not isinstance(asked, str):
        raise _Refused(_INVALID_PARAMS, "protocolVersion must be a string")
    return {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "taskbeacon", "version": "1"},
    }


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
