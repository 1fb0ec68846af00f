"""A model that follows a script, behind the protocols that coding agents speak; it remembers what it was asked.

    POST /v1/messages            Anthropic
    POST /v1/chat/completions    OpenAI, and most others
    POST /v1/responses           OpenAI, newer
    POST /v1beta/models/…        Google

An agent asks with the tools that it has; each such question takes the next step of the script. Questions
without tools (agents ask for titles and the like) are answered with a few words and take no step.
"""

import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any  # JSON

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from app.ids import new_hex_id
from tests.support.web.serving import serving

Json = dict[str, Any]

# How each agent calls its tool that runs a command, and the command in it.
_SHELL_TOOLS: dict[str, Callable[[str], Json]] = {
    "Bash": lambda command: {"command": command, "description": "A step of the script"},
    "bash": lambda command: {"command": command, "description": "A step of the script"},
    "exec_command": lambda command: {"cmd": command},
    "shell": lambda command: {"command": ["bash", "-c", command]},
    "shell_command": lambda command: {"command": command},
    "run_shell_command": lambda command: {"command": command},
}

# How each calls its tool that writes a file.
_WRITE_TOOLS: dict[str, Callable[[str, str], Json]] = {
    "Write": lambda path, content: {"file_path": path, "content": content},
    "write": lambda path, content: {"filePath": path, "content": content},
    "write_file": lambda path, content: {"file_path": path, "content": content},
    "apply_patch": lambda path, content: {"patchText": _patch(path, content)},
}


@dataclass(frozen=True, slots=True)
class Say:
    """A step of the script: the model says something and ends its turn."""

    text: str


@dataclass(frozen=True, slots=True)
class Shell:
    """A step of the script: the model requests a shell command."""

    command: str
    before: str = ""  # said first


@dataclass(frozen=True, slots=True)
class Write:
    """A step of the script: the model requests a new file in the agent's working folder."""

    name: str
    content: str
    before: str = ""  # said first


@dataclass(frozen=True, slots=True)
class Use:
    """A step of the script: the model calls a tool that only this agent has."""

    tool: str
    given: Json
    before: str = ""  # said first


@dataclass(frozen=True, slots=True)
class Refuse:
    """A step of the script: the model server responds with an error."""

    status: int
    message: str


Call = Shell | Write | Use
Turn = Say | Call
Step = Turn | Refuse


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of an agent to the model."""

    path: str
    headers: dict[str, str]
    body: Json

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the agent offers to the model."""
        return [str(tool.get("name") or tool.get("function", {}).get("name")) for tool in self._tools]

    @property
    def text_tools(self) -> list[str]:
        """The names of the tools that take a text instead of JSON."""
        return [str(tool.get("name")) for tool in self._tools if tool.get("type") == "custom"]

    @property
    def _tools(self) -> list[Json]:
        # Google puts all of them into one.
        return [
            tool for each in self.body.get("tools") or [] for tool in each.get("functionDeclarations", [each])
        ]

    @property
    def model(self) -> str:
        """The name of the model that the agent requested."""
        return str(self.body.get("model") or self.path.rpartition("/")[2].partition(":")[0])

    @property
    def text(self) -> str:
        """The text of the whole request, to search for words."""
        return json.dumps(self.body, ensure_ascii=False)


@dataclass(slots=True)
class ModelServer:
    """A scripted model: the steps to come, and the requests that it received."""

    url: str = ""
    script: deque[Step] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    # What each answer is said to have cost.
    input_tokens: int = 1000
    output_tokens: int = 100

    @property
    def turns(self) -> list[Asked]:
        """The requests that took a step of the script."""
        return [asked for asked in self.asked if asked.tools]

    def play(self, *steps: Step) -> None:
        """Replace the steps to come."""
        self.script = deque(steps)

    def next_step(self, asked: Asked) -> Step:
        if not asked.tools:
            return Say("A title")
        return self.script.popleft() if self.script else Say("There is nothing more in the script.")


@asynccontextmanager
async def model_server() -> AsyncGenerator[ModelServer, None]:
    """Serve a scripted model on a free port of this machine."""
    server = ModelServer()
    routes = [
        Route("/v1/messages/count_tokens", _always({"input_tokens": 10}), methods=["POST"]),
        Route("/v1/messages", _endpoint(server, _anthropic_events, _anthropic_whole), methods=["POST"]),
        Route("/v1/chat/completions", _endpoint(server, _chat_events, _chat_whole), methods=["POST"]),
        Route("/v1/responses", _endpoint(server, _responses_events, _responses_whole), methods=["POST"]),
        # The model and what is to be done with it are one segment: `gemini-2.5-pro:streamGenerateContent`.
        Route("/v1beta/models/{ask}", _endpoint(server, _google_events, _google_whole), methods=["POST"]),
        Route("/v1/models", _always({"object": "list", "data": []})),
        Route("/", _always({}), methods=["GET", "HEAD"]),
    ]
    # A gateway of the reference's has the product that asks in front.
    async with serving(Starlette(routes=[*routes, Mount("/{product}", routes=routes)])) as url:
        server.url = url
        yield server


Events = Callable[[ModelServer, Asked, Turn], Iterator[tuple[str | None, Json | str]]]
Whole = Callable[[ModelServer, Asked, Turn], Json]


def _endpoint(server: ModelServer, events: Events, whole: Whole) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        asked = Asked(request.url.path, dict(request.headers), json.loads(await request.body()))
        server.asked.append(asked)
        step = server.next_step(asked)
        if isinstance(step, Refuse):
            error = {"type": "invalid_request_error", "message": step.message, "code": step.status}
            return JSONResponse({"type": "error", "error": error}, status_code=step.status)
        if not asked.body.get("stream") and request.query_params.get("alt") != "sse":
            return JSONResponse(whole(server, asked, step))
        return StreamingResponse(
            _encoded(events(server, asked, step)), headers={"content-type": "text/event-stream"}
        )

    return answer


async def _encoded(events: Iterable[tuple[str | None, Json | str]]) -> AsyncIterator[bytes]:
    for name, data in events:
        prefix = f"event: {name}\n" if name else ""
        yield f"{prefix}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def _always(content: Json) -> Callable[[Request], Response]:
    return lambda _: JSONResponse(content)


def _tool_call(asked: Asked, step: Call) -> tuple[str, Json]:
    if isinstance(step, Use):
        assert step.tool in asked.tools, f"the agent has no {step.tool}: {asked.tools}"
        return step.tool, step.given
    for name in asked.tools:
        if isinstance(step, Shell) and name in _SHELL_TOOLS:
            return name, _SHELL_TOOLS[name](step.command)
        if isinstance(step, Write) and name in _WRITE_TOOLS:
            return name, _WRITE_TOOLS[name](step.name, step.content)
    raise AssertionError(f"none of the agent's tools does that: {step}, {asked.tools}")


def _patch(path: str, content: str) -> str:
    lines = "".join(f"+{line}\n" for line in content.splitlines())
    return f"*** Begin Patch\n*** Add File: {path}\n{lines}*** End Patch\n"


def _pieces(text: str) -> Iterator[str]:
    middle = len(text) // 2
    yield from (part for part in (text[:middle], text[middle:]) if part)


def _event(kind: str, **fields: Any) -> tuple[str, Json]:
    return kind, {"type": kind, **fields}


def _said(step: Turn) -> str:
    return step.text if isinstance(step, Say) else step.before


# Anthropic: https://docs.anthropic.com/en/api/messages-streaming


def _anthropic_whole(server: ModelServer, asked: Asked, step: Turn) -> Json:
    content: list[Json] = []
    if _said(step):
        content.append({"type": "text", "text": _said(step)})
    if isinstance(step, Call):
        name, arguments = _tool_call(asked, step)
        content.append({"type": "tool_use", "id": f"toolu_{new_hex_id()}", "name": name, "input": arguments})
    return {
        "id": f"msg_{new_hex_id()}",
        "type": "message",
        "role": "assistant",
        "model": asked.body.get("model"),
        "content": content,
        "stop_reason": "tool_use" if isinstance(step, Call) else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": server.input_tokens,
            "output_tokens": server.output_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def _anthropic_events(server: ModelServer, asked: Asked, step: Turn) -> Iterator[tuple[str | None, Json]]:
    whole = _anthropic_whole(server, asked, step)
    start = whole | {"content": [], "stop_reason": None, "usage": whole["usage"] | {"output_tokens": 1}}
    yield _event("message_start", message=start)
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            empty: Json = {"text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        else:
            empty, written = {"input": {}}, json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(written)]
        yield _event("content_block_start", index=index, content_block=block | empty)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=ending, usage=whole["usage"])
    yield _event("message_stop")


# OpenAI, chat completions


def _chat_usage(server: ModelServer) -> Json:
    return {
        "prompt_tokens": server.input_tokens,
        "completion_tokens": server.output_tokens,
        "total_tokens": server.input_tokens + server.output_tokens,
    }


def _chat_message(asked: Asked, step: Turn) -> Json:
    message: Json = {"role": "assistant", "content": _said(step) or None}
    if isinstance(step, Call):
        name, arguments = _tool_call(asked, step)
        call = {"name": name, "arguments": json.dumps(arguments)}
        message["tool_calls"] = [
            {"index": 0, "id": f"call_{new_hex_id()}", "type": "function", "function": call}
        ]
    return message


def _chat_envelope(asked: Asked, kind: str, choice: Json) -> Json:
    return {
        "id": f"chatcmpl-{new_hex_id()}",
        "object": kind,
        "created": 0,
        "model": asked.body.get("model"),
        "choices": [{"index": 0, **choice}],
    }


def _chat_whole(server: ModelServer, asked: Asked, step: Turn) -> Json:
    reason = "tool_calls" if isinstance(step, Call) else "stop"
    choice = {"message": _chat_message(asked, step), "finish_reason": reason}
    return _chat_envelope(asked, "chat.completion", choice) | {"usage": _chat_usage(server)}


def _chat_events(server: ModelServer, asked: Asked, step: Turn) -> Iterator[tuple[str | None, Json | str]]:
    def chunk(delta: Json, reason: str | None = None) -> Json:
        return _chat_envelope(asked, "chat.completion.chunk", {"delta": delta, "finish_reason": reason})

    message = _chat_message(asked, step)
    yield None, chunk({"role": "assistant", "content": ""})
    for piece in _pieces(message["content"] or ""):
        yield None, chunk({"content": piece})
    if "tool_calls" in message:
        yield None, chunk({"tool_calls": message["tool_calls"]})
    yield None, chunk({}, "tool_calls" if isinstance(step, Call) else "stop")
    yield None, chunk({}) | {"choices": [], "usage": _chat_usage(server)}
    yield None, "[DONE]"


# OpenAI, responses


def _responses_items(asked: Asked, step: Turn) -> list[Json]:
    items: list[Json] = []
    if _said(step):
        content = [{"type": "output_text", "text": _said(step), "annotations": []}]
        item: Json = {"type": "message", "role": "assistant", "id": f"msg_{new_hex_id()}", "content": content}
        items.append(item | {"status": "completed"})
    if isinstance(step, Call):
        name, arguments = _tool_call(asked, step)
        if name in asked.text_tools:
            (text,) = arguments.values()
            item = {"type": "custom_tool_call", "id": f"ctc_{new_hex_id()}", "input": text}
        else:
            item = {"type": "function_call", "id": f"fc_{new_hex_id()}", "arguments": json.dumps(arguments)}
        items.append(item | {"call_id": f"call_{new_hex_id()}", "name": name, "status": "completed"})
    return items


def _responses_whole(server: ModelServer, asked: Asked, step: Turn) -> Json:
    return {
        "id": f"resp_{new_hex_id()}",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": asked.body.get("model"),
        "output": _responses_items(asked, step),
        "usage": {
            "input_tokens": server.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": server.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": server.input_tokens + server.output_tokens,
        },
    }


def _responses_events(server: ModelServer, asked: Asked, step: Turn) -> Iterator[tuple[str | None, Json]]:
    whole = _responses_whole(server, asked, step)
    yield _event("response.created", response=whole | {"status": "in_progress", "output": [], "usage": None})
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index, "item_id": item["id"]}
        begun = {key: type(item[key])() for key in ("arguments", "content", "input") if key in item}
        yield _event(
            "response.output_item.added", output_index=index, item=item | begun | {"status": "in_progress"}
        )
        for piece in _pieces(item.get("arguments", "")):
            yield _event("response.function_call_arguments.delta", delta=piece, **place)
        for content in item.get("content", ()):
            for piece in _pieces(content["text"]):
                yield _event("response.output_text.delta", content_index=0, delta=piece, **place)
        yield _event("response.output_item.done", output_index=index, item=item)
    yield _event("response.completed", response=whole)


# Google: https://ai.google.dev/api/generate-content


def _google_answer(server: ModelServer, asked: Asked, parts: list[Json], ending: Json | None = None) -> Json:
    usage = {
        "promptTokenCount": server.input_tokens,
        "candidatesTokenCount": server.output_tokens,
        "totalTokenCount": server.input_tokens + server.output_tokens,
    }
    candidate = {"index": 0, "content": {"role": "model", "parts": parts}} | (ending or {})
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": asked.model}


def _google_calls(asked: Asked, step: Turn) -> list[Json]:
    if isinstance(step, Say):
        return []
    name, arguments = _tool_call(asked, step)
    return [{"functionCall": {"id": f"call_{new_hex_id()}", "name": name, "args": arguments}}]


def _google_whole(server: ModelServer, asked: Asked, step: Turn) -> Json:
    if asked.path.endswith(":countTokens"):
        return {"totalTokens": 10}
    said = [{"text": _said(step)}] if _said(step) else []
    return _google_answer(server, asked, [*said, *_google_calls(asked, step)], {"finishReason": "STOP"})


def _google_events(server: ModelServer, asked: Asked, step: Turn) -> Iterator[tuple[str | None, Json]]:
    for piece in _pieces(_said(step)):
        yield None, _google_answer(server, asked, [{"text": piece}])
    yield None, _google_answer(server, asked, _google_calls(asked, step), {"finishReason": "STOP"})
