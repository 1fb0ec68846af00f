"""Commands to the agent of a live run: JSON-RPC 2.0 requests and responses (contract 6.4, 13.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, NotRequired, Self
from uuid import UUID

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict, override

from app.enums import CommandMethod, ServiceMethod
from app.json_types import JsonDict
from app.schemas.base import Input, doc
from app.schemas.fields import Choice, Items, JsonObject, JsonSchema, Text, Uuid, fail, require_at_most
from app.schemas.fields import Field as InputField
from app.schemas.staged_artifacts import EXAMPLE_ID

_MAX_CONTENT = 1_000_000
_MAX_BLOCKS = 100
_MAX_ARTIFACTS = 100
_MAX_ANSWERS = 100
_MAX_ANSWER = 10_000
_SERVICE_METHODS = [method.value for method in ServiceMethod]
_PREFIXES = ("_posthog/", "posthog/")
# The content blocks of the protocol, each with its required texts.
_BLOCKS: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": ("data", "mimeType"),
    "audio": ("data", "mimeType"),
    "resource_link": ("name", "uri"),
    "resource": (),
}


def _command(method: str, **params: Any) -> JsonDict:
    return {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}


class JsonRpcVersion(StrEnum):
    """The supported versions of JSON-RPC."""

    V2 = "2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Method(Choice):
    """A method, by its name alone or with the prefix of the client's protocol."""

    @override
    def parse(self, value: object) -> StrEnum:
        name = value
        if isinstance(value, str):
            for prefix in filter(value.startswith, _PREFIXES):
                name = value.removeprefix(prefix)
        return ServiceMethod(name) if name in _SERVICE_METHODS else Choice.parse(self, name)

    @override
    def json_schema(self) -> JsonSchema:
        schema = Choice.json_schema(self)
        return schema | {"enum": [*schema["enum"], *_SERVICE_METHODS]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _RpcId(InputField):
    """The id of a request: a string or a number."""

    schema: ClassVar = {"anyOf": [{"type": "string", "maxLength": 255}, {"type": "number"}, {"type": "null"}]}

    @override
    def parse(self, value: object) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise fail("invalid_input", "id must be a string or number")
        return Text(max_length=255, blank=True).parse(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content(InputField):
    """A message: text, or content blocks of the Agent Client Protocol. Blank text counts as absent."""

    @override
    def parse(self, value: object) -> Any:
        if isinstance(value, str):
            return Text(max_length=_MAX_CONTENT, blank_is_absent=True).parse(value)
        if not isinstance(value, list):
            raise fail("invalid_input", "content must be a string or a list of content blocks")
        require_at_most(_MAX_BLOCKS, len(value), "elements")
        require_at_most(_MAX_CONTENT, sum(_block_size(block) for block in value))
        return value or None


def _block_size(block: Any) -> int:
    needed = _BLOCKS.get(str(block.get("type"))) if isinstance(block, dict) else None
    if needed is None or not all(isinstance(block.get(key), str) for key in needed):
        raise fail("invalid_input", f"Each block needs a type ({', '.join(_BLOCKS)}) and what belongs to it.")
    return len(str(block))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers(JsonObject):
    """Texts by name."""

    @override
    def parse(self, value: object) -> Any:
        answers = JsonObject.parse(self, value)
        require_at_most(_MAX_ANSWERS, len(answers), "elements")
        if not all(isinstance(answer, str) for answer in answers.values()):
            raise fail("invalid_input", "Not a valid string.")
        for name, answer in answers.items():
            require_at_most(_MAX_ANSWER, max(len(name), len(answer)))
        return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting(InputField):
    """The value of an option: the name of a choice, or a boolean."""

    schema: ClassVar = {"type": ["string", "boolean"]}

    @override
    def parse(self, value: object) -> Any:
        return value if isinstance(value, bool) else Text(max_length=255).parse(value)


class _NoParams(Input):
    """`cancel`, `close` and the methods that the service answers itself have no params."""


class _ClearParams(Input):
    """The messages to take out of the queue: one, or all."""

    command_id: Annotated[UUID | None, Uuid()] = None


class _MessageParams(Input):
    """A message for the agent, files of the run for it, or both."""

    content: Annotated[Any, _Content(null=True)] = None
    artifact_ids: Annotated[list[Annotated[str, Text(max_length=128)]], Items(max_length=_MAX_ARTIFACTS)] = []
    steer: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_steer(cls, params: JsonDict) -> JsonDict:
        if not isinstance(params.get("steer", False), bool):
            raise fail("invalid_input", "steer must be a boolean when provided")
        return params

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        if self.content is None and not self.artifact_ids:
            raise fail(
                "invalid_input", "user_message requires a non-empty content string, artifact_ids, or both"
            )
        return self


class _AnswerParams(Input):
    """A person's answer to a permission request."""

    request_id: Annotated[str, Text(max_length=255), Field(alias="requestId")]
    option_id: Annotated[str, Text(max_length=255), Field(alias="optionId")]
    custom_input: Annotated[
        str | None, Text(max_length=_MAX_ANSWER, null=True, blank_is_absent=True), Field(alias="customInput")
    ] = None
    answers: Annotated[dict[str, str] | None, _Answers(null=True)] = None


class _OptionParams(Input):
    """An option of the agent and its new value."""

    config_id: Annotated[str, Text(max_length=255), Field(alias="configId")]
    value: Annotated[str | bool, _Setting()]


_PARAMS: Mapping[CommandMethod | ServiceMethod, type[Input]] = {
    CommandMethod.USER_MESSAGE: _MessageParams,
    CommandMethod.CANCEL: _NoParams,
    CommandMethod.CLOSE: _NoParams,
    CommandMethod.PERMISSION_RESPONSE: _AnswerParams,
    CommandMethod.SET_CONFIG_OPTION: _OptionParams,
    **dict.fromkeys(ServiceMethod, _NoParams),
    ServiceMethod.QUEUE_CLEAR: _ClearParams,
}


class CommandIn(Input):
    """A command to an agent as a JSON-RPC 2.0 request; the `method` decides which `params` belong to it."""

    examples: ClassVar = {
        "A message": _command("user_message", content="Keep the old page, too."),
        "A message with a file of the run": _command(
            "user_message", content="Like in this picture.", artifact_ids=[EXAMPLE_ID]
        ),
        "A message of content blocks": _command(
            "user_message",
            content=[
                {"type": "text", "text": "Follow this guide:"},
                {"type": "resource_link", "name": "guide", "uri": "https://docs.example.com/guide"},
            ],
        ),
        "A message before the others": _command("user_message", content="Stop after this file.", steer=True),
        "Cancel the turn": _command("cancel"),
        "End the conversation": _command("close"),
        "Answer a permission request": _command(
            "permission_response", requestId="0f3c9d1b7a5e4c2d8b6a4f2e1d3c5b7a", optionId="allow_once"
        ),
        "Set an option": _command("set_config_option", configId="mode", value="plan"),
    }

    jsonrpc: Annotated[JsonRpcVersion, Choice(of=JsonRpcVersion), doc("Always `2.0`.")]
    method: Annotated[
        CommandMethod | ServiceMethod,
        _Method(of=CommandMethod),
        doc("The command; also with the prefix `posthog/` or `_posthog/`."),
    ]
    params: Annotated[
        JsonDict,
        JsonObject(),
        Field(
            validate_default=True,
            description="`user_message`: `content` (text, or a list of ACP content blocks), `artifact_ids` (files of "
            "this run), or both, and perhaps `steer` (a boolean). `permission_response`: `requestId`, `optionId`, "
            "and perhaps `customInput` and `answers` (texts by name). "
            "`set_config_option`: `configId` and `value`. `queue_clear`: perhaps `command_id`. Others: none.",
        ),
    ] = {}
    id: Annotated[
        Any,
        _RpcId(null=True),
        doc("The client's id of the request, repeated in the response and in the command's log entries."),
    ] = None

    @field_validator("params")
    @classmethod
    def _check_params(cls, params: JsonDict, info: ValidationInfo) -> JsonDict:
        model = _PARAMS.get(info.data.get("method"))  # type: ignore[arg-type] # none, if the method is no method
        if model is None:
            return params
        try:
            return model.model_validate(params).model_dump(exclude_none=True)
        except ValidationError as error:
            raise _below(error) from None


def _below(error: ValidationError) -> PydanticCustomError:
    first = error.errors(include_url=False)[0]
    code, text = first["type"], first["msg"]
    if code == "missing":
        code, text = "required", "This field is required."
    return fail(code, text, *first["loc"])


class RpcError(TypedDict):
    """The object `error` in the JSON-RPC 2.0 response to a command that was refused: the reason, as code and text."""

    code: Annotated[
        int,
        doc("`-32602`: the params name something that does not exist (any more); `-32000`: not now.", -32602),
    ]
    message: Annotated[str, doc("The reason, as a text for people.")]


class QueuedMessageOut(TypedDict):
    """A message that the agent of a run has not been given yet."""

    command_id: Annotated[str, doc("As in its log entries; `queue_clear` takes it.")]
    id: Annotated[str | int | float | None, doc("The `id` of the request that sent it.")]
    text: str
    artifact_ids: list[str]


class QueuedMessages(TypedDict):
    """The messages that the agent of a run has not been given yet, oldest first."""

    steering: Annotated[list[str], doc("The texts of those sent with `steer`.")]
    followUp: Annotated[list[str], doc("The texts of the others.", ["Then update the guide."])]
    messages: Annotated[list[QueuedMessageOut], doc("All of them.")]


class CommandOut(TypedDict):
    """The JSON-RPC 2.0 response to a command: `result`, or `error` if it was refused."""

    jsonrpc: Annotated[str, Field(examples=["2.0"])]
    result: NotRequired[
        Annotated[
            dict[str, bool] | QueuedMessages,
            doc(
                "`queued`: the command is stored, and is delivered as soon as the agent can accept it; "
                "`resolved`: the answer was the first one and counts; `skipped`: the run is completed without its "
                "checks. `queue_get` and `queue_clear`: the messages."
            ),
        ]
    ]
    error: NotRequired[RpcError]
    id: NotRequired[Annotated[str | int | float, doc("The `id` of the request, if it has one.")]]
