"""The Model Context Protocol for a server that has only tools (revisions 2025-06-18 and 2025-11-25)."""

from collections.abc import Callable
from dataclasses import dataclass

import orjson
import structlog

from app.agents.errors import AgentStopped
from app.agents.tools import notify_user, report_result
from app.agents.tools.arguments import WrongArguments
from app.agents.tools.notify_user import NotifyUser
from app.json_types import JsonDict
from app.verdicts.agent_claims import AgentClaim

# The newest first.
VERSIONS = ("2025-11-25", "2025-06-18")
# The most calls of one agent, since each one stores a decision. Ordinary runs make a few.
_CALLS = 100
_PARSE_ERROR = -32700
_INVALID_REQUEST = -32600
_METHOD_NOT_FOUND = -32601
_INVALID_PARAMS = -32602
_INTERNAL = -32603
_QUOTED_CHARACTERS = 100

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ToolResponse:
    """The HTTP response of the tool server; without a body if that is None."""

    status: int
    body: JsonDict | None = None


class Refused(Exception):
    """A request that is answered with an error of JSON-RPC; only one that is no message has another status than 200."""

    def __init__(self, status: int, message: str, code: int = _INVALID_REQUEST) -> None:
        super().__init__(message)
        self._status = status
        self._code = code

    def answer(self, request_id: object = None) -> ToolResponse:
        error = {"code": self._code, "message": str(self)}
        return ToolResponse(self._status, {"jsonrpc": "2.0", "id": request_id, "error": error})


# Takes the claims of an agent, which replace its earlier ones.
ReportResult = Callable[[tuple[AgentClaim, ...]], None]


class Tools:
    """The tools of one agent, by the Model Context Protocol; `mask` replaces secrets in a text."""

    def __init__(self, notify: NotifyUser, report: ReportResult, mask: Callable[[str], str]) -> None:
        self._notify = notify
        self._report = report
        self._mask = mask
        self._calls = 0

    async def answer(self, raw: bytes) -> ToolResponse:
        """Process one JSON-RPC message; an error becomes an answer, never an exception."""
        request_id = None
        try:
            message = _read(raw)
            if "id" not in message or "method" not in message:
                return ToolResponse(202)  # a notification, or an answer to a request that was never sent
            request_id = _id_of(message)
            result = await self._result(message["method"], _params_of(message))
        except Refused as refused:
            return refused.answer(request_id)
        return ToolResponse(200, {"jsonrpc": "2.0", "id": request_id, "result": result})

    async def _result(self, method: str, params: JsonDict) -> JsonDict:
        match method:
            case "initialize":
                return _initialize(params)
            case "ping":
                return {}
            case "tools/list" if params.get("cursor") is None:
                return {"tools": [notify_user.TOOL, report_result.TOOL]}
            case "tools/list":
                raise Refused(200, "there is one page only", _INVALID_PARAMS)
            case "tools/call":
                return await self._call(params)
            case _:
                raise Refused(200, f"there is no method {method[:_QUOTED_CHARACTERS]!r}", _METHOD_NOT_FOUND)

    async def _call(self, params: JsonDict) -> JsonDict:
        name = params.get("name")
        if name not in (notify_user.NAME, report_result.NAME):
            raise Refused(200, f"there is no tool {str(name)[:_QUOTED_CHARACTERS]!r}", _INVALID_PARAMS)
        if self._calls >= _CALLS:
            raise Refused(200, "this agent has called its tools too often", _INTERNAL)
        self._calls += 1
        try:
            shown = await self._perform(name, params.get("arguments", {}))
        except WrongArguments as error:
            # The model sees this text and can call again. It might not see an error of the protocol.
            return {"content": [_text(str(error))], "isError": True}
        except AgentStopped as error:
            raise Refused(200, error.message, _INTERNAL) from error
        except Exception as error:
            # Every request must be answered, also after an unexpected error.
            log.exception("tools.call_failed")
            raise Refused(200, "the message could not be decided on; try again later", _INTERNAL) from error
        return {
            "content": [_text(orjson.dumps(shown).decode())],
            "structuredContent": shown,
            "isError": False,
        }

    async def _perform(self, name: str, arguments: object) -> JsonDict:
        if name == report_result.NAME:
            claims = report_result.read_claims(arguments, self._mask)
            self._report(claims)
            return {"claims": len(claims)}
        outcome = await self._notify(notify_user.read_arguments(arguments, self._mask))
        return outcome.answer()


def _read(raw: bytes) -> JsonDict:
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Refused(400, "the body is not JSON", _PARSE_ERROR) from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise Refused(400, "the body is not one message of JSON-RPC 2.0")
    is_answer = "result" in message or "error" in message
    if not isinstance(message.get("method"), str) and ("method" in message or not is_answer):
        raise Refused(400, "method must be a string")
    return message


def _id_of(message: JsonDict) -> str | int:
    request_id = message["id"]
    if isinstance(request_id, bool) or not isinstance(request_id, str | int):
        raise Refused(400, "id must be a string or an integer")
    return request_id


def _params_of(message: JsonDict) -> JsonDict:
    params = message.get("params", {})
    if not isinstance(params, dict):
        raise Refused(200, "params must be an object", _INVALID_PARAMS)
    return params


def _initialize(params: JsonDict) -> JsonDict:
    asked = params.get("protocolVersion")
    if not isinstance(asked, str):
        raise Refused(200, "protocolVersion must be a string", _INVALID_PARAMS)
    return {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "taskbeacon", "version": "1"},
    }


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
